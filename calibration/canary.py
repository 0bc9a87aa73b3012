"""Whether a release under trial fails more often, or answers more slowly, than what serves beside it.

Numbers only. Which conversations a trial gets is drawn at random, so where the release makes no difference every
division of the failures, and of the slow answers, among both sides is equally likely: both tests are exact for any
distribution (Fisher 1935; the precedence test, Nelson 1963), as far as requests are independent of each other.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, hypergeom

FALSE_ROLLBACK = 0.01  # chance that a trial that is no worse is ever rolled back, over all its looks and both questions
FIRST_LOOK = 10  # requests; from there on each look has twice as many
QUANTILE = 0.95


@dataclass(frozen=True)
class Limits:
    """`errors` in [0, 1]: a share of failed drafts that is borne; `slowdown` >= 1: so many times as long as the others
    an answer may take at the 95th percentile, None for any."""

    errors: float
    slowdown: float | None


@dataclass(frozen=True)
class Side:
    """Of `asked` requests so many `failed`; seconds that answers took, shape (A,), in any order."""

    asked: int
    failed: int
    latencies_s: Sequence[float]


def looks(most: int) -> Iterator[int]:
    """After how many requests a trial is looked at: 10, 20, 40 and so on, at last after `most`."""
    n = FIRST_LOOK
    while n < most:
        yield n
        n *= 2
    yield most


def level(look: int) -> float:
    """At which each of both questions is tested in the look of this number, from 1; over all looks the levels of both
    add up to FALSE_ROLLBACK, however many there are."""
    return FALSE_ROLLBACK / (2 * look * (look + 1))


def fails_more(trial: Side, others: Side | None, *, limits: Limits, at: float) -> bool:
    """Whether more of its drafts fail than are borne, and than of the others'; without others, than are borne.

    Without others a trial that fails at most so often is found to fail more with a probability of `at` at most; with
    them, one that fails as often as they do.
    """
    if trial.failed <= limits.errors * trial.asked:
        return False
    if others is None or others.asked < FIRST_LOOK:
        return float(binom.sf(trial.failed - 1, trial.asked, limits.errors)) <= at
    asked, failed = trial.asked + others.asked, trial.failed + others.failed
    return float(hypergeom.sf(trial.failed - 1, asked, failed, trial.asked)) <= at


def is_slower(trial: Side, others: Side, *, limits: Limits, at: float) -> bool:
    """Whether its 95th percentile is more than `slowdown` times that of the others, of whom some must have answered.

    Counted are its answers that take longer than so many times the others' 95th percentile. A trial whose answers take
    as long as the others', or up to so many times as long, is found to be slower with a probability of `at` at most.
    """
    n, m = len(trial.latencies_s), len(others.latencies_s)
    if limits.slowdown is None or not n or m < FIRST_LOOK:
        return False
    rank = math.ceil(QUANTILE * m)
    bound = limits.slowdown * sorted(others.latencies_s)[rank - 1]
    slow, slowest = sum(each > bound for each in trial.latencies_s), m - rank + 1
    # So many of mine come before the `slowest`-th of theirs, from the top: fewer than that many of theirs are there.
    return float(hypergeom.cdf(slowest - 1, n + m, m, slow + slowest - 1)) <= at


def p95(latencies_s: Sequence[float]) -> float:
    """Seconds within which 95 of 100 of at least one answer came."""
    return float(np.quantile(latencies_s, QUANTILE))
