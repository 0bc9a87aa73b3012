"""How narrow a job looks from its prompts and answers alone: a few numbers, and one word with stated thresholds.

The word is a rule of thumb for reading a table; what a student can take is measured, never derived from it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from distill.clusters import cluster, normalise

Verdict = Literal["narrow", "middling", "broad", "too few"]

COMMONEST = 10
FEWEST_ROWS = 50  # of fewer nothing is said
NARROW_COMMONEST, NARROW_DISTINCT = 0.8, 0.05
BROAD_COMMONEST, BROAD_CHARACTERS = 0.2, 400

THRESHOLDS = (
    f"narrow: the ten commonest answers are at least {NARROW_COMMONEST:.0%} of all, or the distinct ones at most "
    f"{NARROW_DISTINCT:.0%} of the rows; broad: the ten commonest are less than {BROAD_COMMONEST:.0%} and the median "
    f"answer is longer than {BROAD_CHARACTERS} characters; middling: what lies between; too few: less than "
    f"{FEWEST_ROWS} rows"
)


@dataclass(frozen=True)
class Narrowness:
    """Of so many rows: answers that differ after normalisation of case and white space, the share of rows that the ten
    commonest answers make up, the share of rows that have an earlier near-duplicate, the median answer's characters."""

    rows: int
    distinct: int
    commonest_share: float
    duplicate_share: float
    answer_characters: float

    @property
    def verdict(self) -> Verdict:
        """By `THRESHOLDS`."""
        if self.rows < FEWEST_ROWS:
            return "too few"
        if self.commonest_share >= NARROW_COMMONEST or self.distinct <= NARROW_DISTINCT * self.rows:
            return "narrow"
        broad = self.commonest_share < BROAD_COMMONEST and self.answer_characters > BROAD_CHARACTERS
        return "broad" if broad else "middling"


def narrowness(prompts: Sequence[str], answers: Sequence[str]) -> Narrowness:
    """Of at least one row; `prompts` are the parts that change, aligned with `answers`."""
    counts = Counter(normalise(answer) for answer in answers)
    n = len(answers)
    return Narrowness(
        rows=n,
        distinct=len(counts),
        commonest_share=sum(count for _, count in counts.most_common(COMMONEST)) / n,
        duplicate_share=1.0 - len(set(cluster(prompts))) / n,
        answer_characters=median(len(answer) for answer in answers),
    )
