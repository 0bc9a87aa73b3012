"""How well a teacher agrees with itself: what no student can be asked to beat, and whether it has silently changed."""

import math
from dataclasses import dataclass

from scipy.stats import hypergeom

from calibration.bounds import binomial_interval

CHANGED = 1e-4  # a daily probe of an unchanged teacher says so once in some 27 years


@dataclass(frozen=True)
class Repeats:
    """So many requests were asked of a teacher again, and so many of its answers agreed with those before."""

    asked: int = 0
    agreed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.agreed <= self.asked:
            raise ValueError(f"{self.agreed} of {self.asked} cannot agree")

    def __add__(self, other: "Repeats") -> "Repeats":
        return Repeats(self.asked + other.asked, self.agreed + other.agreed)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the agreement with itself, in [0, 1]."""
        low, high = binomial_interval(self.asked - self.agreed, self.asked)
        return 1.0 - high, 1.0 - low

    @property
    def least_alpha(self) -> float:
        """A contract below this cannot be met by any student, at the best agreement that the interval allows.

        A teacher that repeats itself with probability A lets the best student agree with at most sqrt(A) of its
        answers: always giving the likeliest answer agrees with probability max p <= sqrt(sum p^2) = sqrt(A).
        """
        return 1.0 - math.sqrt(self.interval[1])


def changed(before: Repeats, now: Repeats) -> bool:
    """Whether a teacher repeats itself less often now, by Fisher's exact test at a level of 1e-4."""
    if not before.asked or not now.asked:
        return False
    together = before + now
    return bool(hypergeom.cdf(now.agreed, together.asked, together.agreed, now.asked) <= CHANGED)
