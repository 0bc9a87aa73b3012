"""The live agreement: of all answers that a release has given, the share that agree with the teacher's, at any time.

Only references are labelled, so each answer enters with the frozen calibrator's guess, corrected by its label where it
has one (AIPW; Robins, Rotnitzky and Zhao 1994): with the score s, p = 1 - s and a reference rate pi,

    X = 1 - [p + (A / pi) (d - p)],  A = 1 for a reference and 0 for others.

The draw A is all that is random here. Given everything else X has the mean 1 - d, so the interval is one for the
answers that were really given, whatever traffic does, and it holds at all times at once: the empirical Bernstein
confidence sequence of Howard, Ramdas, McAuliffe and Sekhon 2021 ("Time-uniform, nonparametric, nonasymptotic
confidence sequences", theorem 4) with the polynomial stitched boundary (equation 10). Its predictions may be any that
are made before the draw. Here they are 1 - p: an answer without a label then adds nothing to the variance.
"""

import math
from dataclasses import dataclass, replace

from scipy.special import zeta

MOST_DOUBT = 0.5  # p is cut here: any p leaves X unbiased, and a small one keeps its range small
GROWTH, POWER = 2.0, 1.4  # eta and s of the boundary
TUNED_FOR = 20.0  # squared ranges of variance, where the boundary is tightest


@dataclass(frozen=True)
class LiveAgreement:
    """What is known after `answers` of a release, `references` of them labelled and `errors` of these disagreeing.

    `rate` in (0, 1]: the least at which any of them is drawn; `threshold` in [0, 1]: the least score of any. Plain
    numbers; replaying the answers from the first one gives them again.
    """

    rate: float
    threshold: float
    confidence: float = 0.95
    answers: int = 0
    references: int = 0
    errors: int = 0
    total: float = 0.0
    variance: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.rate <= 1 and 0 <= self.threshold <= 1 and 0 < self.confidence < 1):
            raise ValueError(
                f"rate lies in (0, 1], threshold in [0, 1], confidence in (0, 1), "
                f"not {self.rate}, {self.threshold}, {self.confidence}"
            )

    def after(self, score: float, *, rate: float, disagreement: float | None) -> "LiveAgreement":
        """One more answer, drawn as a reference at this rate; d in [0, 1], None where it was not drawn.

        Raises ValueError where a number is out of the range that the interval is made for.
        """
        if not (self.threshold <= score <= 1 and self.rate <= rate <= 1):
            raise ValueError(f"score {score} and rate {rate}: least are {self.threshold} and {self.rate}")
        doubt = min(1.0 - score, MOST_DOUBT)
        if disagreement is None:
            return replace(self, answers=self.answers + 1, total=self.total + 1.0 - doubt)
        if not 0 <= disagreement <= 1:
            raise ValueError(f"a disagreement lies in [0, 1], not {disagreement}")
        correction = (disagreement - doubt) / rate
        return replace(
            self,
            answers=self.answers + 1,
            references=self.references + 1,
            errors=self.errors + (disagreement > 0),
            total=self.total + 1.0 - doubt - correction,
            variance=self.variance + correction**2,
        )

    @property
    def estimate(self) -> float | None:
        """The agreement of all answers so far, in [0, 1]; None before the first one."""
        return min(1.0, max(0.0, self.total / self.answers)) if self.answers else None

    @property
    def interval(self) -> tuple[float, float]:
        """In [0, 1]. That it is ever wrong, at any number of answers, has a probability of 1 - confidence at most."""
        if not self.answers:
            return 0.0, 1.0
        half = boundary(self.variance, scale=self._range, level=(1.0 - self.confidence) / 2) / self.answers
        mean = self.total / self.answers
        return max(0.0, mean - half), min(1.0, mean + half)

    @property
    def _range(self) -> float:
        """Between the least and the greatest X that can be."""
        doubt = min(1.0 - self.threshold, MOST_DOUBT)
        return 1.0 / self.rate + doubt * (1.0 / self.rate - 1.0)


def boundary(variance: float, *, scale: float, level: float) -> float:
    """A sum of differences from their means crosses this one-sided boundary, ever, with probability `level` at most.

    `variance` is the sum of squared differences from predictions, `scale` the width of the range of each term.
    """
    tuned = TUNED_FOR * scale**2
    v = max(variance, tuned)
    epochs = math.log(v / tuned, GROWTH) + 1.0
    wanted = POWER * math.log(epochs) + math.log(zeta(POWER)) - math.log(level)
    k1 = (GROWTH**0.25 + GROWTH**-0.25) / math.sqrt(2.0)
    k2 = (math.sqrt(GROWTH) + 1.0) / 2.0
    return math.sqrt(k1**2 * v * wanted + (k2 * scale * wanted) ** 2) + k2 * scale * wanted
