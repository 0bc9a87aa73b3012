"""Scored rows as curves: how well scores are calibrated, what a threshold accepts at which risk, what that costs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.bounds import binomial_interval
from calibration.certify import ScoredRow

BINS, POINTS = 10, 100


@dataclass(frozen=True)
class Bin:
    """Rows of similar score: its mean, their number, and the share that agrees with its 95 % interval."""

    score: float
    n: int
    agreement: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """A threshold: the share it accepts, and the share of these that disagrees with its 95 % interval (of one look)."""

    threshold: float
    coverage: float
    risk: float
    low: float
    high: float


@dataclass(frozen=True)
class Price:
    """US dollars a request: what the teacher asks, and what a draft costs; `rho`: the share that is always labelled."""

    teacher_usd: float
    draft_usd: float
    rho: float


def reliability(rows: Sequence[ScoredRow]) -> list[Bin]:
    """Up to ten bins of about equal size, by score; what the gateway never accepts is left out."""
    scored = sorted((row for row in rows if row.score >= 0), key=lambda row: row.score)
    parts = np.array_split(np.arange(len(scored)), min(BINS, len(scored))) if scored else []
    return [_bin([scored[i] for i in part]) for part in parts]


def _bin(rows: Sequence[ScoredRow]) -> Bin:
    n, errors = len(rows), int(sum(row.disagreement for row in rows))
    low, high = binomial_interval(errors, n)
    return Bin(sum(row.score for row in rows) / n, n, 1.0 - errors / n, 1.0 - high, 1.0 - low)


def risk_coverage(rows: Sequence[ScoredRow]) -> list[Point]:
    """From the strictest threshold to the loosest, up to a hundred of them."""
    scored = sorted((row for row in rows if row.score >= 0), key=lambda row: -row.score)
    ends = [i + 1 for i in range(len(scored)) if i + 1 == len(scored) or scored[i + 1].score < scored[i].score]
    chosen = ends if len(ends) <= POINTS else [ends[int(i)] for i in np.linspace(0, len(ends) - 1, POINTS)]
    errors = np.cumsum([row.disagreement for row in scored])
    return [_point(scored[n - 1].score, n, int(errors[n - 1]), of=len(rows)) for n in chosen]


def _point(threshold: float, n: int, errors: int, *, of: int) -> Point:
    low, high = binomial_interval(errors, n)
    return Point(threshold, n / of, errors / n, low, high)


def cost_quality(points: Sequence[Point], price: Price) -> list[tuple[float, float]]:
    """(US dollars a request, agreement of all answers) of every threshold; the teacher agrees with itself here.

    Every request is drafted; the teacher answers what is not accepted, and the share rho of what is.
    """
    asked = (1.0 - point.coverage * (1.0 - price.rho) for point in points)
    return [
        (price.draft_usd + share * price.teacher_usd, 1.0 - point.coverage * point.risk)
        for share, point in zip(asked, points, strict=True)
    ]
