"""What is known of a student that was made of a log, and of its drafts; kept on disk between runs.

Evidence, agreement and token counts: never a prompt or an answer.
"""

import msgspec

from calibration.study import Drafted
from ledger.records import Usage


class DraftedRow(msgspec.Struct, frozen=True):
    """A row of the newer part: its draft's evidence (None where the gateway could not accept it), d against the log's
    answer, its near-duplicate cluster, and the tokens that drafting it took."""

    evidence: dict[str, float] | None
    disagreement: float
    cluster: int
    usage: Usage

    def drafted(self) -> Drafted:
        """As `calibration.study` sees it."""
        return Drafted(self.evidence, self.disagreement)


class Trial(msgspec.Struct, frozen=True):
    """A student that was made, and its drafts in the order of the log. `rejected`: rows that curation kept from
    teaching, by reason; `too_long`: rows that its context does not hold, which would be the teacher's."""

    taught: int
    rejected: dict[str, int]
    training_s: float
    drafting_s: float
    too_long: int
    rows: list[DraftedRow]

    @property
    def seconds(self) -> float:
        """Of the machine, for training and drafting."""
        return self.training_s + self.drafting_s
