"""Whether a certified release may take the place of a better one: a test that it is not worse.

Both releases draft the same references. A row on which the new one would give an answer that differs from the teacher's
counts against it, one on which the old one would counts for it. The new one may differ on as much more of all traffic
as the contract allows for what it answers in addition, and on a margin. (Waudby-Smith and Ramdas 2024, section 3: a
mean bounded by betting.) Near-duplicates stand or fall together, so their rows are one bet.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.clustered import NONE, Sizes

BETS = (0.3, 0.8)  # shares of the largest bet that cannot lose everything: for windows of some hundred references
LARGEST_BET = 0.9  # the same share, where a cluster of near-duplicates can lose several times
MARGIN = 0.5  # of alpha: so much of all traffic may differ in addition, where both answer as much
FEWER = 2.0  # standard errors by which it answers fewer requests, and is not worth it


@dataclass(frozen=True)
class Given:
    """What a release would do with a row: whether it answers it, and whether that answer differs from the teacher's."""

    accepted: bool
    differs: bool

    @property
    def wrong(self) -> bool:
        """Answered, and differently."""
        return self.accepted and self.differs


@dataclass(frozen=True)
class Comparison:
    """Two releases on the same rows: shares of all rows that each answers, and answers differently. `evidence`: W, a
    test of being worse than is allowed; it exceeds 1/delta with probability delta at most where that is so. `fewer`:
    by so many standard errors the new one answers less than the old one."""

    n: int
    coverage: float
    coverage_before: float
    differs: float
    differs_before: float
    allowed: float
    evidence: float
    fewer: float

    def not_worse(self, delta: float) -> bool:
        """Whether it is shown, at level delta, that no more differs than is allowed."""
        return self.evidence >= 1.0 / delta

    @property
    def worth(self) -> bool:
        """Whether it answers as much, as far as can be told."""
        return self.fewer < FEWER

    @property
    def words(self) -> str:
        """Both beside each other."""
        return (
            f"of {self.n} references it answers {self.coverage:.1%} and the one before {self.coverage_before:.1%}; "
            f"of all, {self.differs:.1%} against {self.differs_before:.1%} are answered otherwise than by the teacher, "
            f"and {self.allowed:.1%} more are allowed (evidence {self.evidence:.3g})"
        )


def compare(
    new: Sequence[Given],
    old: Sequence[Given],
    *,
    alpha: float,
    clusters: Sequence[int | None] = (),
    before: Sizes = NONE,
) -> Comparison:
    """Rows of both releases, aligned, at least one; which `clusters` of near-duplicates they belong to, None or
    unknown: they are like no other; the clusters of as many rows `before`, so that the bets are no larger where a burst
    happens to be missing.

    With D = wrong_new - wrong_old in {-1, 0, 1} and Delta = alpha max(0, c_new - c_old) + alpha/2, tests E[D] >= Delta
    by W = mean over kappa of prod(1 + kappa sum(Delta - D)), a factor for each cluster, whose expectation is at most 1
    then; kappa < 1/(1 - Delta) for distinct rows, and less where clusters are larger.
    """
    rows = list(zip(new, old, strict=True))
    gained = np.array([float(mine.accepted) - float(other.accepted) for mine, other in rows])
    worse = np.array([float(mine.wrong) - float(other.wrong) for mine, other in rows])
    allowed = alpha * max(0.0, float(gained.mean())) + MARGIN * alpha
    known = clusters or [None] * len(rows)
    numbers = np.unique([-n if one is None else one for n, one in enumerate(known, 1)], return_inverse=True)[1]
    error = math.sqrt(float((np.bincount(numbers, gained - gained.mean()) ** 2).sum())) / len(rows)
    return Comparison(
        n=len(rows),
        coverage=_share([mine.accepted for mine in new]),
        coverage_before=_share([other.accepted for other in old]),
        differs=_share([mine.wrong for mine in new]),
        differs_before=_share([other.wrong for other in old]),
        allowed=allowed,
        evidence=_evidence(
            np.bincount(numbers, allowed - worse), allowed, largest=max((int(np.bincount(numbers).max()), *before))
        ),
        fewer=0.0 if error == 0.0 else max(0.0, -float(gained.mean())) / error,
    )


def _share(marks: Sequence[bool]) -> float:
    return sum(marks) / len(marks)


def _evidence(better: np.ndarray, allowed: float, *, largest: int) -> float:
    """In logarithms: a product over thousands of rows leaves what a float can hold. `better`: than is allowed, of each
    cluster; the largest may have so many rows."""
    bets = np.minimum(BETS, LARGEST_BET / largest)[:, None] / (1.0 - allowed)
    wealth = np.log1p(bets * better[None, :]).sum(axis=1)  # (bets,)
    return float(np.exp(min(700.0, float(np.logaddexp.reduce(wealth)) - math.log(len(BETS)))))
