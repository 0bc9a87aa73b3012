"""The level at which a judge's verdicts are tested, so that the contract holds for what people would say.

On accepted drafts a share R differs by people's judgement, and a share u is asked of the judge: it is never asked about
equal answers. With q1 = P(judge says different | people say different), q0 = P(judge says same | people say same), both
of pairs that are asked, the judge flags a share (Rogan and Gladen 1978)

    F(R) = R q1 + (u - R) (1 - q0),

which grows with R where q1 + q0 > 1. So whatever the true rates are, a release with R > alpha is flagged more often
than at

    level(alpha) = alpha q1 + max(0, u - alpha) (1 - q0)

with q1 and u at lower bounds and q0 at an upper bound. With u = 1 this is alpha q1 + (1 - alpha) (1 - q0); but a credit
for false alarms that was measured on pairs which are asked is not due for pairs which are not, and a student with
many equal answers would be certified by it (`tests/validity/test_judged.py`; docs/decisions/0012).

The labels speak for pairs like themselves: that the judge errs as often on a release's accepted drafts is assumed. And
the bounds are those of a number of labels that was chosen beforehand, not of labelling on until they please.
"""

from dataclasses import dataclass

from calibration.bounds import lower_bound, upper_bound
from calibration.certificate import JudgeRates, Refusal


@dataclass(frozen=True)
class Labelled:
    """Pairs that people have labelled: so many `different`, of which the judge `caught` some, and so many `same`, of
    which it `spared` some. `+` adds them up."""

    different: int = 0
    caught: int = 0
    same: int = 0
    spared: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.caught <= self.different and 0 <= self.spared <= self.same):
            raise ValueError(f"{self.caught} of {self.different} and {self.spared} of {self.same} cannot be")

    def __add__(self, other: "Labelled") -> "Labelled":
        return Labelled(
            self.different + other.different,
            self.caught + other.caught,
            self.same + other.same,
            self.spared + other.spared,
        )

    @property
    def pairs(self) -> int:
        """How many there are."""
        return self.different + self.same


def rates(found: Labelled, *, delta: float) -> JudgeRates | Refusal:
    """q1 at a lower and q0 at an upper Clopper-Pearson bound, one-sided at delta/4 each; the test has the other half.

    A refusal where a judge with such rates might flag no more of the pairs that differ than of those that do not.
    """
    if not found.different:
        return Refusal(
            "no labelled pair that people call different is known of this judge, so it may miss all of them: label "
            "pairs (`tutelage judge sample`, or a file of your own) and run `tutelage judge check`",
            *(found.pairs, None, False),
        )
    caught = lower_bound(found.caught, found.different, delta / 4)
    spared = upper_bound(found.spared, found.same, delta / 4)
    if caught + spared > 1.0:
        return JudgeRates(caught, spared, found.pairs)
    return Refusal(
        f"the judge catches {found.caught} of {found.different} pairs that people call different, perhaps no more than "
        f"{caught:.0%}, and spares {found.spared} of {found.same} that they call the same, perhaps {spared:.0%}: no "
        "better than chance at this confidence. Label more pairs, write a clearer judge_rubric or name another judge",
        *(found.pairs, None, False),
    )


def level(judge: JudgeRates, alpha: float, *, asked: float = 1.0) -> float:
    """The share of flagged answers that a release at `alpha` has at least, where a share `asked` of its answers is put
    to the judge; 1 - q0 is taken off none but these."""
    return min(1.0, alpha * judge.caught + max(0.0, asked - alpha) * (1.0 - judge.spared))
