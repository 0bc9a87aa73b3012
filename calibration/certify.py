"""The certificate: a test that a release with too many disagreements passes with probability at most delta.

The protocol: everything in a `Plan` is fixed before a label of the window is seen; one row per near-duplicate
cluster, in proportion to traffic, so that rows are independent; exact binomial p-values down a fixed grid of
thresholds, stopping at the first failure (fixed-sequence testing, so the whole delta serves every step; Angelopoulos
et al. 2021, "Learn then Test"). "No certificate" is a type: there is no fallback threshold.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from scipy.stats import betabinom, binom

from calibration.bounds import binomial_p_value, smallest_sample, upper_bound

GRID_POINTS = 100
MIN_POWER = 0.2  # below this predicted chance labels stay unseen: most of the few certificates would be false
WANTED_POWER = 0.8  # what "rows needed" aims at
MAX_ROWS = 100_000


@dataclass(frozen=True)
class Contract:
    """At most a share alpha of student answers differ; a worse release passes with probability at most delta."""

    alpha: float
    delta: float

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0 < self.delta < 1):
            raise ValueError(f"alpha and delta lie strictly between 0 and 1, not {self.alpha} and {self.delta}")


@dataclass(frozen=True)
class ScoredRow:
    """A drafted row: score in [0, 1], and disagreement 0 or 1."""

    score: float
    disagreement: float


@dataclass(frozen=True)
class Plan:
    """What is frozen before the window's labels are seen. Times are seconds since the epoch.

    `grid`: candidate thresholds, from `score_grid` of the fit rows. `attempt` counts the looks at labels from 1.
    """

    contract: Contract
    grid: tuple[float, ...]
    window: tuple[float, float]
    fingerprint: str
    issued_at: float
    lifetime_s: float = 30 * 86_400.0
    attempt: int = 1

    @property
    def delta_spent(self) -> float:
        """The level of this attempt; all attempts together spend less than delta."""
        return float(0.8 * 0.2 ** (self.attempt - 1) * self.contract.delta)


@dataclass(frozen=True)
class Certificate:
    """Accept iff score >= threshold. `upper_bound` is one-sided at the level spent; `coverage` is of the window."""

    alpha: float
    delta: float
    threshold: float
    n: int
    accepted: int
    errors: int
    upper_bound: float
    coverage: float
    window: tuple[float, float]
    attempt: int
    delta_spent: float
    issued_at: float
    expires_at: float
    fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "window": list(self.window)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Certificate":
        """The inverse of `to_dict`."""
        return cls(**{**values, "window": tuple(values["window"])})


@dataclass(frozen=True)
class Refusal:
    """No certificate, in words. `rows_needed` is an estimate; None where more rows would not help.

    `labels_seen`: whether delta was spent.
    """

    reason: str
    n: int
    rows_needed: int | None
    labels_seen: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def certify(rows: Sequence[ScoredRow], *, plan: Plan) -> Certificate | Refusal:
    """Test the window's rows, which nothing has been fitted on and which `thin` has made independent."""
    start = _first_tested(rows, plan.grid, plan.contract)
    if start is None:
        needed = 3 * smallest_sample(plan.contract.alpha, plan.contract.delta)
        return Refusal(
            f"{len(rows)} rows; at least {needed} accepted ones are needed to test", len(rows), needed, False
        )
    tested = plan.grid[start:]
    passed = list(takewhile(lambda threshold: _passes(rows, threshold, plan), tested))
    if not passed:
        accepted, errors = _outcome(rows, tested[0])
        reason = (
            f"{errors} of the {accepted} most confident drafts disagree with the teacher: too many to show "
            f"at most {plan.contract.alpha:.1%} at a level of {plan.delta_spent:.1%}"
        )
        return Refusal(reason, len(rows), rows_needed(rows, grid=plan.grid, contract=plan.contract), True)
    return _issue(rows, threshold=passed[-1], plan=plan)


def score_grid(fit_scores: Sequence[float]) -> tuple[float, ...]:
    """Candidate thresholds from strict to loose: up to 100 quantiles of the fit rows' scores, without repetition."""
    quantiles = np.quantile(np.asarray(fit_scores), np.linspace(1.0, 0.0, GRID_POINTS), method="lower")
    return tuple(sorted({float(q) for q in quantiles}, reverse=True))


def predicted_power(fit: Sequence[ScoredRow], *, grid: Sequence[float], contract: Contract, n: int) -> float:
    """Chance that n fresh rows like the fit rows earn some certificate.

    A fixed sequence issues one exactly when its first step passes, so this is the beta-binomial chance (Jeffreys
    prior over the fit rows) of few enough errors there.
    """
    start = _first_tested(fit, grid, contract, scale=n / max(1, len(fit)))
    if start is None:
        return 0.0
    accepted, errors = _outcome(fit, grid[start])
    fresh = int(accepted * n / len(fit))
    allowed = int(binom.ppf(0.8 * contract.delta, fresh, contract.alpha))
    if binomial_p_value(allowed, fresh, contract.alpha) > 0.8 * contract.delta:
        allowed -= 1
    return float(betabinom.cdf(allowed, fresh, errors + 0.5, accepted - errors + 0.5)) if allowed >= 0 else 0.0


def rows_needed(rows: Sequence[ScoredRow], *, grid: Sequence[float], contract: Contract) -> int | None:
    """About how many window rows would earn a certificate with power .8, if risks are as these rows suggest."""
    n = len(rows)
    while 0 < n <= MAX_ROWS:
        if predicted_power(rows, grid=grid, contract=contract, n=n) >= WANTED_POWER:
            return n
        n = math.ceil(n * 1.1)
    return None


def cluster_cap(earlier: Sequence[int]) -> int:
    """M of `thin`, fixed before the window: the largest near-duplicate cluster among as many earlier rows.

    `earlier`: their cluster numbers. At least 2: among mostly distinct rows a pair must not void the window.
    """
    return max(2, *Counter(earlier).values())


def thin(clusters: Sequence[int], *, cap: int, seed: int) -> list[int] | None:
    """Row indices that are independent and still distributed as traffic; None where a cluster is larger than `cap`.

    Near-duplicates stand or fall together, so a cluster gives one row; it gives it with probability m/cap, so that a
    cluster of m rows weighs m. One row from every cluster would certify clusters, not traffic. A cluster above the
    cap, which was fixed beforehand, cannot be weighed: no certificate.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for row, cluster in enumerate(clusters):
        members[cluster].append(row)
    if max(map(len, members.values()), default=0) > cap:
        return None
    rng = random.Random(seed)
    return sorted(rng.choice(rows) for rows in members.values() if rng.random() < len(rows) / cap)


def _first_tested(
    rows: Sequence[ScoredRow], grid: Sequence[float], contract: Contract, *, scale: float = 1.0
) -> int | None:
    """The strictest grid point that accepts three times the smallest sample: stricter ones could hardly pass."""
    wanted = 3 * smallest_sample(contract.alpha, contract.delta)
    return next((j for j, threshold in enumerate(grid) if _outcome(rows, threshold)[0] * scale >= wanted), None)


def _passes(rows: Sequence[ScoredRow], threshold: float, plan: Plan) -> bool:
    accepted, errors = _outcome(rows, threshold)
    return binomial_p_value(errors, accepted, plan.contract.alpha) <= plan.delta_spent


def _outcome(rows: Sequence[ScoredRow], threshold: float) -> tuple[int, int]:
    """Accepted rows and disagreements among them."""
    accepted = [row.disagreement for row in rows if row.score >= threshold]
    return len(accepted), int(sum(accepted))


def _issue(rows: Sequence[ScoredRow], *, threshold: float, plan: Plan) -> Certificate:
    accepted, errors = _outcome(rows, threshold)
    return Certificate(
        alpha=plan.contract.alpha,
        delta=plan.contract.delta,
        threshold=threshold,
        n=len(rows),
        accepted=accepted,
        errors=errors,
        upper_bound=upper_bound(errors, accepted, plan.delta_spent),
        coverage=accepted / len(rows),
        window=plan.window,
        attempt=plan.attempt,
        delta_spent=plan.delta_spent,
        issued_at=plan.issued_at,
        expires_at=plan.issued_at + plan.lifetime_s,
        fingerprint=plan.fingerprint,
    )
