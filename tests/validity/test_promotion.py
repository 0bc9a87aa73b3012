"""A release that is worse than is allowed passes for no worse in delta of runs, and an equal one nearly always."""

from dataclasses import dataclass

import numpy as np
import pytest

from bench.limits import allowed
from calibration.promotion import MARGIN, Comparison, Given, compare

pytestmark = pytest.mark.validity
RUNS, DELTA = 400, 0.05
ALLOWED = allowed(RUNS, DELTA)


@dataclass(frozen=True)
class Pair:
    """Two releases: what each accepts, how often each answer of it differs, and on which share of rows they are alike
    in both."""

    coverage: float
    coverage_before: float
    risk: float
    risk_before: float
    alike: float

    def compared(self, rng: np.random.Generator, n: int, *, alpha: float) -> Comparison:
        easy, luck = rng.random((2, n))
        same = rng.random((2, n)) < self.alike
        mine = np.where(same, [easy, luck], rng.random((2, n)))
        new = zip(mine[0] < self.coverage, mine[1] < self.risk, strict=True)
        old = zip(easy < self.coverage_before, luck < self.risk_before, strict=True)
        return compare(*([Given(bool(a), bool(d)) for a, d in each] for each in (new, old)), alpha=alpha)


def at_the_limit(*, alpha: float, coverage: float, coverage_before: float, alike: float) -> Pair:
    """The new one differs on exactly as much of all traffic as must not pass."""
    before = 0.5 * alpha
    joint = before * coverage_before + alpha * max(0.0, coverage - coverage_before) + MARGIN * alpha
    return Pair(coverage, coverage_before, 1.001 * joint / coverage, before, alike)


def passed(pair: Pair, *, n: int, alpha: float) -> int:
    rng = np.random.default_rng(0)
    return sum(pair.compared(rng, n, alpha=alpha).not_worse(DELTA) for _ in range(RUNS))


@pytest.mark.parametrize("n", [200, 600, 2000])
@pytest.mark.parametrize("alike", [0.0, 0.7, 0.95])
@pytest.mark.parametrize("coverages", [(0.7, 0.7), (0.8, 0.6), (0.6, 0.7)])
def test_what_is_worse_by_what_is_not_allowed_passes_in_delta_of_runs(n, alike, coverages):
    pair = at_the_limit(alpha=0.1, coverage=coverages[0], coverage_before=coverages[1], alike=alike)
    assert passed(pair, n=n, alpha=0.1) <= ALLOWED


@pytest.mark.parametrize(("alpha", "n"), [(0.05, 600), (0.1, 400), (0.15, 200)])
def test_an_equal_one_passes(alpha, n):
    pair = Pair(0.7, 0.7, 0.5 * alpha, 0.5 * alpha, alike=0.7)
    assert passed(pair, n=n, alpha=alpha) >= 0.85 * RUNS
