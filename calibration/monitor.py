"""The live alarm: has a release's risk risen above its contract? Asked after every reference, at any time.

An e-SR detector (Shin, Ramdas and Rinaldo 2023, "E-detectors"): a Shiryaev-Roberts sum over e-values of each reference,
mixed over bets eta. While the risk is at most alpha every e-value has a mean of at most 1, so by Doob's inequality

    P(alarm within m references) <= m / B.

The state is plain numbers, and replaying a release's references from the first one gives it again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

ETAS = (0.025, 0.05, 0.1, 0.2, 0.4, 0.6)  # bets in units of 1 / alpha; all below 1, so that no e-value is negative
RUNS, SETTLING, LONGEST = 300, 500, 20_000  # of the simulated delay


@dataclass(frozen=True)
class Alarm:
    """A detector after `references` of them. `bound` is B, in references; `sums` holds S of each bet."""

    alpha: float
    bound: float
    sums: tuple[float, ...] = (0.0,) * len(ETAS)
    references: int = 0
    errors: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1 or not self.bound > 1:
            raise ValueError(f"alpha lies in (0, 1) and the bound above 1, not {self.alpha} and {self.bound}")

    @property
    def level(self) -> float:
        """The mixed statistic as a share of the bound; 1 and above is the alarm."""
        return math.fsum(self.sums) / len(self.sums) / self.bound

    @property
    def raised(self) -> bool:
        """Whether the alarm sounds."""
        return self.level >= 1.0

    def after(self, disagreement: float) -> "Alarm":
        """The detector after one more reference that the student answered, with d in [0, 1]."""
        if not 0 <= disagreement <= 1:
            raise ValueError(f"a disagreement lies in [0, 1], not {disagreement}")
        bets = (1.0 + eta / self.alpha * (disagreement - self.alpha) for eta in ETAS)
        sums = tuple((total + 1.0) * e for total, e in zip(self.sums, bets, strict=True))
        return replace(self, sums=sums, references=self.references + 1, errors=self.errors + (disagreement > 0))


def rise(disagreements: Sequence[float], *, alpha: float) -> int:
    """So many of the last references speak most for a raised risk, whichever bet gains most by them; at least 1.

    Not part of the guarantee: it tells a reader of the alarm what it has seen.
    """
    bets = np.array(ETAS)[:, None] / alpha
    gains = np.log1p(bets * (np.asarray(disagreements, dtype=float)[::-1] - alpha))  # (ETAS, n), the newest first
    return int(gains.cumsum(axis=1).max(axis=0).argmax()) + 1


def delay(*, alpha: float, bound: float, risk: float) -> float:
    """Median number of references until the alarm, if the risk rises at once from 0.6 alpha to `risk`; from 300 runs.

    Infinite where it has not sounded after `LONGEST` references, and for a risk within the contract.
    """
    if risk <= alpha:
        return math.inf
    rng, etas = np.random.default_rng(0), np.array(ETAS)[:, None]
    sums, sounded = np.zeros((len(ETAS), RUNS)), np.full(RUNS, math.inf)
    for number in range(-SETTLING, LONGEST):
        wrong = rng.random(RUNS) < (risk if number >= 0 else 0.6 * alpha)  # (RUNS,)
        sums = (sums + 1.0) * (1.0 + etas / alpha * (wrong - alpha))
        sounds = (sums.mean(axis=0) >= bound) & (number >= 0) & np.isinf(sounded)
        sounded[sounds] = number + 1
        if np.isfinite(sounded).sum() > RUNS / 2:
            break
    return float(np.median(sounded))


def exposure(*, alpha: float, bound: float, risk: float, rho: float) -> float:
    """Wrong answers beyond the contract that clients get before the alarm, if the risk rises to `risk` at once."""
    return delay(alpha=alpha, bound=bound, risk=risk) / rho * (risk - alpha) if risk > alpha else math.inf
