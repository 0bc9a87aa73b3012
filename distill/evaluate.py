"""What a candidate is worth: its drafts, through the serving engine, beside the teacher's answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from calibration.agreement import Measure, disagreement
from calibration.calibrator import Calibrator
from calibration.certify import ScoredRow
from calibration.fit import fit_calibrator
from distill.errors import DistillError
from ledger.records import Draft


class StudentMute(DistillError):
    """The student drafted too little to judge it."""


@dataclass(frozen=True)
class Judged:
    """One row: the draft (None where the student gave none), whether the gateway could accept it at all, and d in
    {0, 1} against the teacher's answer."""

    exchange_id: str
    draft: Draft | None
    usable: bool
    disagreement: float


def judge(
    exchange_ids: Sequence[str],
    drafts: Sequence[Draft | None],
    answers: Sequence[str | None],
    *,
    measure: Measure,
    prefix: int | None = None,
) -> list[Judged]:
    """Compare drafts with the teacher's answers; a lost answer counts as a disagreement. `prefix` is the task's."""
    return [
        Judged(
            exchange_id,
            draft,
            draft is not None and draft.can_be_accepted(prefix),
            disagreement(draft.text if draft else None, answer, measure=measure),
        )
        for exchange_id, draft, answer in zip(exchange_ids, drafts, answers, strict=True)
    ]


def agreement(rows: Sequence[Judged]) -> float:
    """Share of rows on which the student agrees, if it answered all of them."""
    return 1.0 - sum(row.disagreement for row in rows) / len(rows) if rows else 0.0


def calibrate(rows: Sequence[Judged]) -> Calibrator:
    """Fit the calibrator on the rows the gateway could accept. Raises StudentMute, or CannotFit for too few rows."""
    usable = [row for row in rows if row.usable]
    if len(usable) * 2 < len(rows):
        raise StudentMute(f"only {len(usable)} of {len(rows)} drafts carry evidence: is the adapter loaded?")
    return fit_calibrator([row.draft.evidence for row in usable if row.draft], [not row.disagreement for row in usable])


def scored(rows: Sequence[Judged], calibrator: Calibrator) -> list[ScoredRow]:
    """Rows as the certificate sees them; what the gateway would never accept has a score below every threshold."""
    return [ScoredRow(_score(row, calibrator), row.disagreement) for row in rows]


def _score(row: Judged, calibrator: Calibrator) -> float:
    return calibrator.score(row.draft.evidence) if row.usable and row.draft else -1.0
