"""The certificate: a test that a release with too many disagreements passes with probability at most delta.

The protocol: everything in a `Plan` is fixed before a label of the window is seen; one row per near-duplicate
cluster, in proportion to traffic, so that rows are independent; exact binomial p-values down a fixed grid of
thresholds, stopping at the first failure (fixed-sequence testing, so the whole delta serves every step; Angelopoulos
et al. 2021, "Learn then Test"). "No certificate" is a type: there is no fallback threshold.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom, binom

from calibration.bounds import binomial_p_value, lower_bound, smallest_sample, upper_bound
from calibration.certificate import Certificate, Contract, Refusal
from calibration.judged import level
from calibration.words import percent

GRID_POINTS = 100
MIN_POWER = 0.2  # below this predicted chance labels stay unseen: most of the few certificates would be false
WANTED_POWER = 0.8  # what "rows needed" aims at
MAX_ROWS = 20_000  # beyond it "more rows" is no advice
ASKED_PART = 0.1  # of what a judged test spends, for the bound on the share that the judge is asked about


@dataclass(frozen=True)
class ScoredRow:
    """A drafted row: score in [0, 1], below 0 where the gateway would never accept the draft, and d of 0 or 1; whether
    a judge was `asked` for it.

    Raises ValueError for a graded d, of which a sum would count fewer errors than there are, and for a score that is no
    number: sorted, it would stand above all others.
    """

    score: float
    disagreement: float
    asked: bool = False

    def __post_init__(self) -> None:
        if self.disagreement not in (0.0, 1.0):
            raise ValueError(f"the exact test counts disagreements of 0 or 1, not {self.disagreement}")
        if not self.score <= 1.0:
            raise ValueError(f"a score is at most 1, not {self.score}")


@dataclass(frozen=True)
class Plan:
    """What is frozen before the window's labels are seen. Times are seconds since the epoch.

    `grid`: candidate thresholds from strict to loose, from `frozen_grid`. `attempt` counts the looks
    at labels from 1. Raises ValueError where the test would not hold what it says.
    """

    contract: Contract
    grid: tuple[float, ...]
    window: tuple[float, float]
    fingerprint: str
    issued_at: float
    lifetime_s: float = 30 * 86_400.0
    attempt: int = 1

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
    """Test the window's rows, which nothing has been fitted on and which `thin` has made independent."""
    outcomes = _outcomes(rows, plan.grid)
    start = _first_tested(outcomes, plan.contract)
    if start is None:
        needed = _wanted(plan.contract)
        return Refusal(
            f"{len(rows)} rows; at least {needed} accepted ones are needed to test", len(rows), needed, False
        )
    passed = list(takewhile(lambda outcome: _passes(outcome, plan), outcomes[start:]))
    if not passed:
        first, judged = outcomes[start], ", as the judge sees it," if plan.contract.judge else ""
        reason = (
            f"{first.errors} of the {first.accepted} most confident drafts disagree with the teacher{judged}: too many "
            f"to show at most {percent(_level(first, plan.contract, plan.test_spent))} at {percent(plan.test_spent)}"
        )
        return Refusal(reason, len(rows), rows_needed(rows, contract=plan.contract), True)
    return _issue(_operated(passed, plan), n=len(rows), plan=plan)


def score_grid(fit_scores: Sequence[float]) -> tuple[float, ...]:
    """Candidate thresholds from strict to loose: up to 100 quantiles of the fit rows' scores, without repetition."""
    quantiles = np.quantile(np.asarray(fit_scores), np.linspace(1.0, 0.0, GRID_POINTS), method="lower")
    return tuple(sorted({float(q) for q in quantiles}, reverse=True))


def frozen_grid(fit: Sequence[ScoredRow], *, contract: Contract, n: int, attempt: int = 1) -> tuple[float, ...]:
    """The thresholds to test on n fresh rows, from strict to loose, begun where a first step is likeliest to pass.

    A fixed sequence that begins at the strictest testable threshold fails there by bad luck: a teacher's own mistakes
    keep the risk of the surest drafts above 0, and few of them are accepted. Where it begins is chosen by the fit
    rows alone, so the test stays what it is (docs/decisions/0004, with the powers of both ways).
    """
    grid = _grid(fit)
    steps = _first_steps(fit, grid=grid, contract=contract, sample=_Sample(n, attempt))
    return grid[max(steps, key=lambda j: steps[j]) :] if steps else grid


def predicted_power(fit: Sequence[ScoredRow], *, contract: Contract, n: int, attempt: int = 1) -> float:
    """Chance that n fresh rows like the fit rows earn some certificate in this attempt, tested down `frozen_grid`.

    That is the chance that its first step passes: beta-binomial, with Jeffreys' prior over the fit rows accepted there.
    """
    steps = _first_steps(fit, grid=_grid(fit), contract=contract, sample=_Sample(n, attempt))
    return max(steps.values(), default=0.0)


def _grid(fit: Sequence[ScoredRow]) -> tuple[float, ...]:
    scores = [row.score for row in fit if row.score >= 0]
    return score_grid(scores) if scores else ()


@dataclass(frozen=True)
class _Sample:
    """So many fresh rows, which this attempt is to be made on."""

    n: int
    attempt: int


def _first_steps(
    fit: Sequence[ScoredRow], *, grid: Sequence[float], contract: Contract, sample: _Sample
) -> dict[int, float]:
    """Grid point -> chance to pass there, for the points that so many rows like these can test."""
    outcomes, scale = _outcomes(fit, grid), sample.n / max(1, len(fit))
    start = _first_tested(outcomes, contract, scale=scale)
    if start is None:
        return {}
    accepted = np.array([outcome.accepted for outcome in outcomes[start:]])  # (J,)
    errors = np.array([outcome.errors for outcome in outcomes[start:]])
    fresh, spent = (accepted * scale).astype(int), level_of(contract, sample.attempt)
    levels = np.array([_level(outcome.scaled(scale), contract, spent) for outcome in outcomes[start:]])
    allowed = _errors_allowed(fresh, levels, _p_wanted(contract, spent))
    counts = np.arange(allowed.max(initial=0) + 1)[:, None]  # (K, 1)
    chances = betabinom.pmf(counts, fresh, errors + 0.5, accepted - errors + 0.5)  # (K, J)
    return dict(enumerate(np.where(counts <= allowed, chances, 0.0).sum(axis=0).tolist(), start))


def _errors_allowed(n: NDArray[np.int_], risks: NDArray[np.float64], p_wanted: float) -> NDArray[np.int_]:
    """The most errors with which n rows pass the test against a risk; -1 where none would do."""
    errors = binom.ppf(p_wanted, n, risks).astype(int)
    passing: NDArray[np.int_] = np.where(binom.cdf(errors, n, risks) <= p_wanted, errors, errors - 1)
    return passing


def rows_needed(rows: Sequence[ScoredRow], *, contract: Contract, attempt: int = 1) -> int | None:
    """About how many window rows would earn a certificate with power .8, if risks are as these rows suggest."""
    grid, n = _grid(rows)[::5], max(1, len(rows))  # a fifth of the points will do for an estimate
    while rows and n <= MAX_ROWS:
        steps = _first_steps(rows, grid=grid, contract=contract, sample=_Sample(n, attempt))
        if max(steps.values(), default=0.0) >= WANTED_POWER:
            return n
        n = math.ceil(n * 1.5)
    return None


def cluster_cap(earlier: Sequence[int]) -> int:
    """M of `thin`, fixed before the window: the largest near-duplicate cluster among as many earlier rows.

    `earlier`: their cluster numbers. At least 2: among mostly distinct rows a pair must not void the window.
    """
    return max([2, *Counter(earlier).values()])


@dataclass(frozen=True)
class Kept:
    """A row that thinning keeps; `weight`: as how many disagreements it counts if it disagrees."""

    index: int
    weight: int


def thin(clusters: Sequence[int], *, cap: int, seed: int) -> list[Kept] | None:
    """Rows that are independent and still distributed as traffic; None where a cluster is larger than twice the cap.

    Near-duplicates stand or fall together, so a cluster gives one row; it gives it with probability m/cap, so that a
    cluster of m rows weighs m. One row from every cluster would certify clusters, not traffic. A cluster somewhat
    above the cap, which was fixed beforehand, would have to weigh more than one row: agreeing it counts once, and
    disagreeing m times, which errs against the student. Far above it that does not hold delta: no certificate.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for row, cluster in enumerate(clusters):
        members[cluster].append(row)
    if max(map(len, members.values()), default=0) > 2 * cap:
        return None
    rng = random.Random(seed)
    kept = [(rng.choice(rows), len(rows)) for rows in members.values() if rng.random() < len(rows) / cap]
    return [Kept(index, size if size > cap else 1) for index, size in sorted(kept)]


def weigh(rows: Sequence[ScoredRow], kept: Sequence[Kept]) -> list[ScoredRow]:
    """The kept rows as `certify` counts them: a disagreement as often as it weighs.

    Where one weighs more than a row the shares among them are no longer those of traffic: then none counts as asked,
    and a judge's false alarms have no credit.
    """
    if any(one.weight > 1 for one in kept):
        rows = [replace(row, asked=False) for row in rows]
    return [row for row, one in zip(rows, kept, strict=True) for _ in range(one.weight if row.disagreement else 1)]


@dataclass(frozen=True)
class _Outcome:
    """What a threshold accepts of some rows, how many of these disagree, and about how many a judge was asked."""

    threshold: float
    accepted: int
    errors: int
    asked: int

    def scaled(self, by: float) -> "_Outcome":
        """Of so many times the rows."""
        return _Outcome(self.threshold, *(int(each * by) for each in (self.accepted, self.errors, self.asked)))


def _outcomes(rows: Sequence[ScoredRow], grid: Sequence[float]) -> list[_Outcome]:
    """One outcome a grid point."""
    order = sorted(rows, key=lambda row: row.score)
    scores = np.array([row.score for row in order])
    errors, asked = (
        np.concatenate([np.cumsum(marks[::-1])[::-1], [0.0]])
        for marks in ([row.disagreement for row in order], [float(row.asked) for row in order])
    )
    first = np.searchsorted(scores, np.asarray(grid), side="left")  # accept iff score >= threshold
    return [_Outcome(t, len(order) - int(i), int(errors[i]), int(asked[i])) for t, i in zip(grid, first, strict=True)]


def _first_tested(outcomes: Sequence[_Outcome], contract: Contract, *, scale: float = 1.0) -> int | None:
    """The strictest grid point that accepts three times the smallest sample: stricter ones could hardly pass."""
    wanted = _wanted(contract)
    return next((j for j, outcome in enumerate(outcomes) if outcome.accepted * scale >= wanted), None)


def _wanted(contract: Contract) -> int:
    return 3 * smallest_sample(contract.least_level, contract.test_delta)


def _passes(outcome: _Outcome, plan: Plan) -> bool:
    risk = _level(outcome, plan.contract, plan.test_spent)
    return binomial_p_value(outcome.errors, outcome.accepted, risk) <= _p_wanted(plan.contract, plan.test_spent)


def _level(outcome: _Outcome, contract: Contract, spent: float) -> float:
    """The share of errors that is tested against: alpha, or what a judge flags at least of a release at alpha."""
    if contract.judge is None:
        return contract.alpha
    asked = lower_bound(outcome.asked, outcome.accepted, ASKED_PART * spent)
    return level(contract.judge, contract.alpha, asked=asked)


def _p_wanted(contract: Contract, spent: float) -> float:
    return spent if contract.judge is None else (1.0 - ASKED_PART) * spent


def _operated(passed: Sequence[_Outcome], plan: Plan) -> _Outcome:
    """Of the thresholds that passed the loosest that keeps the margin; where none does, the one of the lowest bound.

    All that passed hold at once, so one may be chosen by what the window showed (docs/decisions/0010).
    """
    free = 1.0 - plan.contract.margin
    keeping = [
        each for each in passed if each.errors <= free * _level(each, plan.contract, plan.test_spent) * each.accepted
    ]
    return keeping[-1] if keeping else min(passed, key=lambda each: _bound(each, plan))


def _bound(outcome: _Outcome, plan: Plan) -> float:
    return upper_bound(outcome.errors, outcome.accepted, _p_wanted(plan.contract, plan.test_spent))


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
        level=_level(outcome, plan.contract, plan.test_spent) if plan.contract.judge else None,
    )
