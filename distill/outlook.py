"""What share of its requests the next student of a task is expected to take: the task's own learning curve.

A point is a release that was tested: the rows that its adapter was made of, and the share of its window that it could
take under the contract, 0 where it could take none. Knows no prices, and nothing of other tasks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression
from typing import Any

from ledger.releases import Release

HOUR_S = 3600.0
REACH = 2.0  # of more rows than so many times those of any release nothing is known: that has to be tried
LEAST = 1e-3  # share that is left to the teacher: of none there is no logarithm


@dataclass(frozen=True)
class Outlook:
    """`coverage`: the share of what can be drafted that is expected to be accepted, None where nothing is known."""

    coverage: float | None
    because: str


UNKNOWN = Outlook(None, "none was tested")


@dataclass(frozen=True)
class Point:
    """One release, made of so many rows."""

    release: str
    rows: int
    coverage: float


def outlook(history: Sequence[Release], *, alpha: float, rows: int) -> Outlook:
    """For a student that is made of so many `rows`, by the releases that were tested for the same alpha.

    The share that is left to the teacher falls as a power of the rows, by least squares between the logarithms, and
    never rises with them: what is expected grows with the rows and stays below 1. Where all were made of as many rows
    it is as they were.
    """
    known = points(history, alpha=alpha)
    if not any(point.coverage for point in known):
        return Outlook(None, f"{len(known)} tested, none certified") if known else UNKNOWN
    most, least = (pick(point.rows for point in known) for pick in (max, min))
    if rows > REACH * most:
        return Outlook(None, f"{rows:,} rows are more than twice the {most:,} of any before")
    logs = [math.log(point.rows) for point in known]
    left = [math.log(max(LEAST, 1.0 - point.coverage)) for point in known]
    slope = min(0.0, linear_regression(logs, left).slope) if most > least else 0.0
    expected = 1.0 - math.exp(min(0.0, fmean(left) + slope * (math.log(max(1, rows)) - fmean(logs))))
    if len(known) == 1:
        return Outlook(expected, f"as {known[0].release}, made of {most:,} rows")
    return Outlook(expected, f"by {len(known)} releases of {least:,} to {most:,} rows, for {rows:,}")


def points(history: Sequence[Release], *, alpha: float) -> list[Point]:
    """Of releases, oldest first; one that was certified anew has the rows of its adapter."""
    reports = [(each, each.report or {}) for each in history]
    # Reports of earlier versions lack some of it: such a release is no point.
    made_of = {
        each.adapter_digest: _rows(report)
        for each, report in reports
        if {"training", "rows", "rejected"} <= report.keys()
    }
    tested = [(each, _took(each, report)) for each, report in reports if report.get("alpha") == alpha]
    known = [(each, took) for each, took in tested if took is not None and each.adapter_digest in made_of]
    return [Point(each.name, made_of[each.adapter_digest], took) for each, took in known]


def training_hours(history: Sequence[Release]) -> float | None:
    """Of the last training; None where there was none."""
    reports = (each.report or {} for each in reversed(history))
    trained = (report["training"] for report in reports if "seconds" in report.get("training", {}))
    last = next(trained, None)
    return hours(last) if last else None


def hours(training: Mapping[str, Any]) -> float:
    """Of a training as a report has it, its second lesson included."""
    return float(training["seconds"] + (training.get("preferred") or {"seconds": 0.0})["seconds"]) / HOUR_S


def _rows(report: Mapping[str, Any]) -> int:
    """Before the cut: what has taught, validated or fitted, and what was left out."""
    return int(sum(report["rows"].values()) + sum(report["rejected"].values()))


def _took(release: Release, report: Mapping[str, Any]) -> float | None:
    """None where its window was not looked at. One that is certified and refused for a better one says it in its report
    alone."""
    if release.certificate:
        return float(release.certificate["coverage"])
    if told := report.get("expected"):
        return 1.0 - float(told["escalation"])
    return 0.0 if (report.get("effort") or {}).get("of") == "window" else None
