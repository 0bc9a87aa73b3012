"""What was saved in a period: in words, as a table, as CSV and as one page. The figures are `ledger.savings`'."""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

import sqlalchemy as sa
from markupsafe import Markup
from matplotlib.figure import Figure

from ledger.keys import all_keys
from ledger.savings import COMPONENTS, DAY_S, Part, Savings, by_day, by_part, by_task, together
from ledger.totals import HOUR_S
from router.settings import ConfigError, Settings
from tutelage.report.figures import BLUE, GRAY, GREEN, SIZE, svg
from tutelage.report.page import template
from tutelage.savings_words import bounds, in_words, usd

UNITS = {"h": HOUR_S, "d": DAY_S, "w": 7 * DAY_S}
PERIOD = re.compile(r"([1-9][0-9]{0,4})([hdw])")
NO_TASK = "(no task)"
NONE: Mapping[Part, str] = {"task": NO_TASK, "key": "(no key, and for all)", "release": "(no release, and for all)"}
TOKENS = (
    "draft_prompt_tokens",
    "draft_completion_tokens",
    "teacher_prompt_tokens",
    "teacher_cached_tokens",
    "teacher_completion_tokens",
)
CSV_FIELDS = ("requests", "student_answers", "baseline_usd", "measured_usd", "estimated_usd")
CSV_BOUNDS = (
    "estimated_low_usd",
    "estimated_high_usd",
    *(f"{name}_usd" for name in COMPONENTS),
    "spent_usd",
    "saved_usd",
    *TOKENS,
)


@dataclass(frozen=True)
class Saved:
    """Of whole hours in [since, until), in seconds since the epoch: the savings of each part, of each day by part, and
    of all that there is."""

    since: float
    until: float
    by: Part
    parts: Mapping[str, Savings]
    days: tuple[tuple[str, Mapping[str, Savings]], ...]
    total: Savings


def seconds(period: str) -> float:
    """Of "24h", "7d" or "4w". Raises ConfigError."""
    if (found := PERIOD.fullmatch(period)) is None:
        raise ConfigError(f"{period!r} is no period: say a number and h, d or w, for instance 7d")
    return float(found[1]) * UNITS[found[2]]


def gather(
    settings: Settings, engine: sa.Engine, *, task: str | None, since: float, until: float, by: Part = "task"
) -> Saved:
    """Of a task of the settings or of everything that is recorded. Raises ConfigError where there is no such task."""
    if task is not None:
        settings.task(task)
    since = since // HOUR_S * HOUR_S
    parts = by_part(engine, by, task=task, since=since, until=until)
    days = by_day(engine, by, task=task, since=since, until=until)
    whole = by_task(engine, task=task, since=since, until=until)
    named = {key.account: f"{key.account} ({key.grant.name})" for key in all_keys(engine)} if by == "key" else {}

    def with_names(found: Mapping[str, Savings]) -> dict[str, Savings]:
        return {named.get(name, name): each for name, each in sorted(found.items())}

    return Saved(
        since,
        until,
        by,
        with_names(parts),
        tuple((_day(begin), with_names(found)) for begin, found in days),
        together(whole.values()),
    )


def rows(saved: Saved) -> Iterator[tuple[str, Savings]]:
    """Each part and, behind several, all of them."""
    yield from ((name or NONE[saved.by], found) for name, found in saved.parts.items())
    if len(saved.parts) > 1:
        yield "all", saved.total


def as_csv(saved: Saved) -> str:
    """A line a day and part; dollars with all their digits."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("day", saved.by, *CSV_FIELDS, *CSV_BOUNDS))
    for day, parts in saved.days:
        for name, found in parts.items():
            estimated, costs = found.estimated, [found.costs[each] for each in COMPONENTS]
            counts = (found.requests, found.student_answers)
            baseline = (found.baseline_usd, found.measured_usd, estimated.usd, estimated.low, estimated.high)
            sums = (found.spent_usd, found.saved_usd, *(getattr(found, each) for each in TOKENS))
            writer.writerow((day, name, *counts, *baseline, *costs, *sums))
    return out.getvalue()


def as_page(saved: Saved) -> str:
    """One HTML file that needs nothing else."""
    figures = [Markup(svg(figure)) for figure in _figures(saved)]
    facts = {"saved": saved, "rows": list(rows(saved)), "components": COMPONENTS, "figures": figures}
    words = {"in_words": in_words, "bounds": bounds, "usd": usd, "date": _date, "none": NONE[saved.by]}
    return template("saved.html.j2").render(**facts, **words)


def write(text: str, path: Path) -> None:
    """Raises ConfigError where it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _figures(saved: Saved) -> Iterator[Figure]:
    """Both kinds of dollars, added up over the days; who has answered."""
    if not saved.days:
        return
    days = [day[5:] for day, _ in saved.days]
    sums = [together(tasks.values()) for _, tasks in saved.days]
    figure = Figure(figsize=SIZE, layout="constrained")
    axis = figure.subplots()
    axis.plot(days, list(accumulate(each.baseline_usd for each in sums)), color=GRAY, marker="o", label="teacher alone")
    axis.plot(days, list(accumulate(each.spent_usd for each in sums)), color=GREEN, marker="o", label="spent")
    axis.set(title="US dollars, added up", ylabel="US dollars")
    axis.set_ylim(bottom=0)
    axis.legend(loc="upper left")
    yield _ticked(figure, days)
    figure = Figure(figsize=SIZE, layout="constrained")
    axis = figure.subplots()
    students = [each.student_answers for each in sums]
    axis.bar(days, students, color=BLUE, label="students")
    others = [each.requests - each.student_answers for each in sums]
    axis.bar(days, others, bottom=students, color=GRAY, label="teachers, or nobody")
    axis.set(title="Requests by who answered", ylabel="requests a day")
    axis.legend(loc="upper left")
    yield _ticked(figure, days)


def _ticked(figure: Figure, days: list[str]) -> Figure:
    """With as many dates as can be read."""
    axis = figure.axes[0]
    axis.set_xticks(range(0, len(days), math.ceil(len(days) / 10)))
    axis.grid(alpha=0.3)
    return figure


def _day(begin: float) -> str:
    return datetime.fromtimestamp(begin, UTC).strftime("%Y-%m-%d")


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
