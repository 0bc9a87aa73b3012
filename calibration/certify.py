"""The certificate: a test that a release with too many disagreements passes with probability at most delta.

The protocol: everything in a `Plan` is fixed before a label of the window is seen; p-values down a fixed grid of
thresholds, exact and binomial, and where rows are near-duplicates the worst of `calibration.clustered`, stopping at the
first failure (fixed-sequence testing, so the whole delta serves every step; Angelopoulos et al. 2021, "Learn then
Test"). "No certificate" is a type: there is no fallback threshold.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

import numpy as np
from scipy.stats import betabinom

from calibration.bounds import smallest_sample
from calibration.certificate import Certificate, Contract, Refusal
from calibration.clustered import (
    NO_CLUSTERS,
    Clusters,
    Sizes,
    errors_allowed,
    least_share,
    p_value,
    risk_bound,
    sizes_of,
)
from calibration.judged import level
from calibration.words import percent

GRID_POINTS = 100
COARSE = 25  # of them are looked at for where to begin, if each takes a while
LEAST = 3  # times the smallest sample, to be tested at all
MIN_POWER = 0.2  # below this predicted chance labels stay unseen: most of the few certificates would be false
WANTED_POWER = 0.8  # what "rows needed" aims at
MAX_ROWS = 20_000  # beyond it "more rows" is no advice
ASKED_PART = 0.1  # of what a judged test spends, for the bound on the share that the judge is asked about


@dataclass(frozen=True)
class ScoredRow:
    """A drafted row: score in [0, 1], below 0 where the gateway would never accept the draft, and d of 0 or 1; whether
    a judge was `asked` for it; which `cluster` of near-duplicates it belongs to, None: it is like no other.

    Raises ValueError for a graded d, of which a sum would count fewer errors than there are, and for a score that is no
    number: sorted, it would stand above all others.
    """

    score: float
    disagreement: float
    asked: bool = False
    cluster: int | None = None

    def __post_init__(self) -> None:
        if self.disagreement not in (0.0, 1.0):
            raise ValueError(f"the exact test counts disagreements of 0 or 1, not {self.disagreement}")
        if not self.score <= 1.0:
            raise ValueError(f"a score is at most 1, not {self.score}")


@dataclass(frozen=True)
class Plan:
    """What is frozen before the window's labels are seen. Times are seconds since the epoch.

    `grid`: candidate thresholds from strict to loose, from `frozen_grid`. `attempt` counts the looks
    at labels from 1. `before`: the clusters of as many rows before the window, None: it is not known which rows are
    near-duplicates. Raises ValueError where the test would not hold what it says.
    """

    contract: Contract
    grid: tuple[float, ...]
    window: tuple[float, float]
    fingerprint: str
    issued_at: float
    lifetime_s: float = 30 * 86_400.0
    attempt: int = 1
    before: Sizes | None = None

    def __post_init__(self) -> None:
        if self.attempt < 1:
            raise ValueError(f"attempts count from 1, not {self.attempt}: delta would be overspent")
        if any(strict <= loose for strict, loose in pairwise(self.grid)):
            raise ValueError("the grid runs from strict to loose, without repetition")
        if not all(0.0 <= threshold <= 1.0 for threshold in self.grid):
            raise ValueError("thresholds lie in [0, 1]: one below 0 would accept what the gateway never accepts")
        if not (self.window[0] <= self.window[1] and 0.0 < self.lifetime_s < math.inf):
            raise ValueError(f"a window that begins before it ends, and a lifetime above 0, not {self.window}")

    @property
    def clusters(self) -> Sizes:
        """Those before the window; none where they are not known."""
        return self.before or {}

    @property
    def test_spent(self) -> float:
        """The level of this attempt's test; all attempts together spend less than the test may."""
        return level_of(self.contract, self.attempt)

    @property
    def delta_spent(self) -> float:
        """The level of this attempt with what the bounds of a judge's rates have spent."""
        return self.test_spent + (self.contract.delta - self.contract.test_delta)


def level_of(contract: Contract, attempt: int) -> float:
    """What an attempt's test may spend of delta: all of them together spend less than the contract allows."""
    return float(0.8 * 0.2 ** (attempt - 1) * contract.test_delta)


def certify(rows: Sequence[ScoredRow], *, plan: Plan) -> Certificate | Refusal:
    """Test the window's rows, all of them, which nothing has been fitted on.

    Raises ValueError for rows in clusters where those before the window are not known: it would hope for the best.
    """
    if plan.before is None and any(row.cluster is not None for row in rows):
        raise ValueError("rows in clusters are tested beside the clusters before them: a plan without is for others")
    outcomes = _outcomes(rows, plan.grid)
    start = _first_tested(outcomes, plan.contract, before=plan.clusters)
    if start is None:
        return _too_few(outcomes, n=len(rows), plan=plan)
    passed = list(takewhile(lambda outcome: _passes(outcome, plan), outcomes[start:]))
    if not passed:
        first, judged = outcomes[start], ", as the judge sees it," if plan.contract.judge else ""
        reason = (
            f"{first.errors} of the {first.accepted} most confident drafts disagree with the teacher{judged}: too many "
            f"to show at most {percent(_tested_at(first, plan))} at {percent(plan.test_spent)}"
        )
        return Refusal(reason, len(rows), rows_needed(rows, contract=plan.contract, clusters=_seen(rows, plan)), True)
    return _issue(_operated(passed, plan), n=len(rows), plan=plan)


def _too_few(outcomes: Sequence["_Outcome"], *, n: int, plan: Plan) -> Refusal:
    loosest = outcomes[-1] if outcomes else None
    sizes = (loosest.sizes if loosest else {}, plan.clusters)
    needed, largest = _wanted(plan.contract, *sizes), _largest(*sizes)
    why = (
        f", since {largest} of them, or of those before, came as near-duplicates in a burst" if largest > LEAST else ""
    )
    rows_needed = math.ceil(needed * n / loosest.accepted) if loosest and loosest.accepted else None
    return Refusal(f"{n} rows; at least {needed} accepted ones are needed to test{why}", n, rows_needed, False)


def score_grid(fit_scores: Sequence[float]) -> tuple[float, ...]:
    """Candidate thresholds from strict to loose: up to 100 quantiles of the fit rows' scores, without repetition."""
    quantiles = np.quantile(np.asarray(fit_scores), np.linspace(1.0, 0.0, GRID_POINTS), method="lower")
    return tuple(sorted({float(q) for q in quantiles}, reverse=True))


def frozen_grid(
    fit: Sequence[ScoredRow], *, contract: Contract, n: int, attempt: int = 1, clusters: Clusters = NO_CLUSTERS
) -> tuple[float, ...]:
    """The thresholds to test on n fresh rows, from strict to loose, begun where a first step is likeliest to pass.

    A fixed sequence that begins at the strictest testable threshold fails there by bad luck: a teacher's own mistakes
    keep the risk of the surest drafts above 0, and few of them are accepted. Where it begins is chosen by the fit
    rows alone, so the test stays what it is (docs/decisions/0004, with the powers of both ways).
    """
    grid = _grid(fit)
    steps = _first_steps(fit, grid=grid, contract=contract, sample=_Sample(n, attempt, clusters))
    return grid[max(steps, key=lambda j: steps[j]) :] if steps else grid


def predicted_power(
    fit: Sequence[ScoredRow], *, contract: Contract, n: int, attempt: int = 1, clusters: Clusters = NO_CLUSTERS
) -> float:
    """Chance that n fresh rows like the fit rows earn some certificate in this attempt, tested down `frozen_grid`.

    That is the chance that its first step passes: beta-binomial, with Jeffreys' prior over the fit rows accepted there.
    `clusters`: the near-duplicates among the fresh rows, which are known before their labels are.
    """
    steps = _first_steps(fit, grid=_grid(fit), contract=contract, sample=_Sample(n, attempt, clusters))
    return max(steps.values(), default=0.0)


def _grid(fit: Sequence[ScoredRow]) -> tuple[float, ...]:
    scores = [row.score for row in fit if row.score >= 0]
    return score_grid(scores) if scores else ()


@dataclass(frozen=True)
class _Sample:
    """So many fresh rows with these near-duplicates among them, which this attempt is to be made on."""

    n: int
    attempt: int
    clusters: Clusters


def _first_steps(
    fit: Sequence[ScoredRow], *, grid: Sequence[float], contract: Contract, sample: _Sample
) -> dict[int, float]:
    """Grid point -> chance to pass there, for the points that so many rows like these can test."""
    known, before = _outcomes(fit, grid), sample.clusters.before
    fresh = [outcome.expected_in(sample, fitted=len(fit)) for outcome in known]
    start = _first_tested(fresh, contract, before=before)
    if start is None:
        return {}
    points = range(start, len(grid), 1 if sample.clusters.all_distinct else math.ceil(len(grid) / COARSE))
    spent = level_of(contract, sample.attempt)
    allowed = errors_allowed(
        [fresh[j].sizes for j in points],
        [_level(fresh[j], contract, spent) for j in points],
        _p_wanted(contract, spent),
        before=before,
    )
    n = np.array([fresh[j].accepted for j in points])  # (J,)
    errors = np.array([known[j].errors for j in points])
    right = np.array([known[j].accepted for j in points]) - errors
    counts = np.arange(allowed.max(initial=0) + 1)[:, None]  # (K, 1)
    chances = betabinom.pmf(counts, n, errors + 0.5, right + 0.5)  # (K, J)
    return dict(zip(points, np.where(counts <= allowed, chances, 0.0).sum(axis=0).tolist(), strict=True))


def rows_needed(
    rows: Sequence[ScoredRow], *, contract: Contract, attempt: int = 1, clusters: Clusters = NO_CLUSTERS
) -> int | None:
    """About how many window rows would earn a certificate with power .8, if risks are as these rows suggest, and as
    many of them near-duplicates as of `clusters`."""
    grid, n = _grid(rows)[::5], max(1, len(rows))  # a fifth of the points will do for an estimate
    while rows and n <= MAX_ROWS:
        steps = _first_steps(rows, grid=grid, contract=contract, sample=_Sample(n, attempt, NO_CLUSTERS))
        if max(steps.values(), default=0.0) >= WANTED_POWER:
            return math.ceil(n * clusters.effect)
        n = math.ceil(n * 1.5)
    return None


@dataclass(frozen=True)
class _Outcome:
    """What a threshold accepts of some rows, in clusters of these `sizes`, how many of these disagree, and about how
    many a judge was asked."""

    threshold: float
    accepted: int
    errors: int
    asked: int
    sizes: Sizes

    def expected_in(self, sample: _Sample, *, fitted: int) -> "_Outcome":
        """What to expect of so many fresh rows, if as large a share is accepted as of those that were fitted."""
        share, scale = self.accepted / max(1, fitted), sample.n / max(1, fitted)
        accepted, errors, asked = (int(each * scale) for each in (self.accepted, self.errors, self.asked))
        return _Outcome(self.threshold, accepted, errors, asked, sample.clusters.accepted(accepted, share=share))


def _outcomes(rows: Sequence[ScoredRow], grid: Sequence[float]) -> list[_Outcome]:
    """One outcome a grid point."""
    order = sorted(rows, key=lambda row: row.score, reverse=True)
    ends = np.searchsorted([-row.score for row in order], [-t for t in grid], side="right")  # accept iff score >= t
    errors, asked = (
        np.concatenate([[0.0], np.cumsum(marks)])
        for marks in ([row.disagreement for row in order], [float(row.asked) for row in order])
    )
    sizes = _growing([row.cluster for row in order], ends.tolist())
    return [
        _Outcome(t, int(end), int(errors[end]), int(asked[end]), of_each)
        for t, end, of_each in zip(grid, ends, sizes, strict=True)
    ]


def _growing(clusters: Sequence[int | None], ends: Sequence[int]) -> list[Sizes]:
    """Sizes of the clusters among the first rows, up to each of these ends, which ascend."""
    found, members, sizes, begin = list[Sizes](), Counter[int](), Counter[int](), 0
    for end in ends:
        for cluster in clusters[begin:end]:
            size = 1
            if cluster is not None:
                members[cluster] = size = members[cluster] + 1
            sizes[size] += 1
            sizes[size - 1] -= 1
        found.append({size: count for size, count in sizes.items() if size and count})
        begin = end
    return found


def _first_tested(outcomes: Sequence[_Outcome], contract: Contract, *, before: Sizes) -> int | None:
    """The strictest grid point that accepts enough: stricter ones could hardly pass."""
    return next((j for j, each in enumerate(outcomes) if each.accepted >= _wanted(contract, each.sizes, before)), None)


def _wanted(contract: Contract, *sizes: Sizes) -> int:
    """Three times the smallest sample, and one of as many clusters as large as the largest: a window might have none of
    these by chance."""
    return max(LEAST, _largest(*sizes)) * smallest_sample(contract.least_level, contract.test_delta)


def _largest(*sizes: Sizes) -> int:
    return max((1, *(size for each in sizes for size in each)))


def _passes(outcome: _Outcome, plan: Plan) -> bool:
    found = p_value(outcome.errors, outcome.sizes, _tested_at(outcome, plan), before=plan.clusters)
    return found <= _p_wanted(plan.contract, plan.test_spent)


def _tested_at(outcome: _Outcome, plan: Plan) -> float:
    return _level(outcome, plan.contract, plan.test_spent)


def _level(outcome: _Outcome, contract: Contract, spent: float) -> float:
    """The share of errors that is tested against: alpha, or what a judge flags at least of a release at alpha."""
    if contract.judge is None:
        return contract.alpha
    asked = least_share(outcome.asked, outcome.sizes, ASKED_PART * spent)
    return level(contract.judge, contract.alpha, asked=asked)


def _p_wanted(contract: Contract, spent: float) -> float:
    return spent if contract.judge is None else (1.0 - ASKED_PART) * spent


def _seen(rows: Sequence[ScoredRow], plan: Plan) -> Clusters:
    return Clusters(sizes_of(row.cluster for row in rows), plan.clusters)


def _operated(passed: Sequence[_Outcome], plan: Plan) -> _Outcome:
    """Of the thresholds that passed the loosest that keeps the margin; where none does, the one of the lowest bound.

    All that passed hold at once, so one may be chosen by what the window showed (docs/decisions/0010).
    """
    free = 1.0 - plan.contract.margin
    keeping = [each for each in passed if each.errors <= free * _tested_at(each, plan) * each.accepted]
    return keeping[-1] if keeping else min(passed, key=lambda each: _bound(each, plan))


def _bound(outcome: _Outcome, plan: Plan) -> float:
    spent = _p_wanted(plan.contract, plan.test_spent)
    return risk_bound(outcome.errors, outcome.sizes, spent, before=plan.clusters)


def _issue(outcome: _Outcome, *, n: int, plan: Plan) -> Certificate:
    return Certificate(
        alpha=plan.contract.alpha,
        delta=plan.contract.delta,
        threshold=outcome.threshold,
        n=n,
        accepted=outcome.accepted,
        errors=outcome.errors,
        upper_bound=_bound(outcome, plan),
        coverage=outcome.accepted / n,
        window=plan.window,
        attempt=plan.attempt,
        delta_spent=plan.delta_spent,
        issued_at=plan.issued_at,
        expires_at=plan.issued_at + plan.lifetime_s,
        fingerprint=plan.fingerprint,
        level=_tested_at(outcome, plan) if plan.contract.judge else None,
    )
