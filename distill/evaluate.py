"""What a candidate is worth: its drafts, through the serving engine, beside the teacher's answers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from calibration.agreement import Measure, disagreement
from calibration.calibrator import Calibrator
from calibration.certify import ScoredRow
from calibration.fit import MIN_ROWS, fit_calibrator
from calibration.question import By, Judge, Pair, settled
from distill.errors import DistillError
from distill.judge import AskJudge, ask_patiently
from distill.rows import TrainingRow
from ledger.queries import Row
from ledger.records import Draft
from ledger.texts import variable_text


class StudentMute(DistillError):
    """The student's drafts are such that the gateway could accept too few of them to judge it: the same rows would make
    another such student."""


class DraftsMissing(DistillError):
    """Too many drafts did not come at all, which is the engine's doing and may be over the next time."""


@dataclass(frozen=True)
class Judged:
    """One row: the draft (None where the student gave none), and d in {0, 1} against the teacher's answer; whether a
    judge was `asked` for it."""

    exchange_id: str
    draft: Draft | None
    disagreement: float
    asked: bool = False

    @property
    def usable(self) -> bool:
        """Whether the gateway could accept this draft at all."""
        return self.draft is not None and bool(self.draft.evidence)


def acceptable(drafts: Sequence[Draft | None], *, prefix: int | None) -> list[Draft | None]:
    """The drafts of a task; what the gateway would never accept carries no evidence."""
    return [
        draft if draft is None or draft.can_be_accepted(prefix) else msgspec.structs.replace(draft, evidence={})
        for draft in drafts
    ]


def judge(
    exchange_ids: Sequence[str], drafts: Sequence[Draft | None], answers: Sequence[str | None], *, measure: Measure
) -> list[Judged]:
    """Compare drafts with the teacher's answers; a lost answer counts as a disagreement."""
    return [
        Judged(exchange_id, draft, disagreement(draft.text if draft else None, answer, measure=measure))
        for exchange_id, draft, answer in zip(exchange_ids, drafts, answers, strict=True)
    ]


def compare(
    rows: Sequence[TrainingRow | Row],
    drafts: Sequence[Draft | None],
    answers: Sequence[str | None],
    *,
    by: By,
    ask_judge: AskJudge,
    progress: Callable[[int, int], None],
) -> list[Judged]:
    """Each row's draft beside the teacher's answer, by a rule or a judge. Without a verdict they disagree.

    Raises JudgeMute and GatewayUnavailable.
    """
    ids = [row.exchange_id for row in rows]
    if not isinstance(by, Judge):
        return judge(ids, drafts, answers, measure=by)
    pairs = [
        Pair(variable_text(row.messages), draft.text if draft else None, answer)
        for row, draft, answer in zip(rows, drafts, answers, strict=True)
    ]
    said = ask_patiently(pairs, judge=by, ask=ask_judge, progress=progress)
    return [
        Judged(exchange_id, draft, float(differs is not False), asked=settled(pair) is None)
        for exchange_id, draft, pair, differs in zip(ids, drafts, pairs, said, strict=True)
    ]


def agreement(rows: Sequence[Judged]) -> float:
    """Share of rows on which the student agrees, if it answered all of them."""
    return 1.0 - sum(row.disagreement for row in rows) / len(rows) if rows else 0.0


def calibrate(rows: Sequence[Judged]) -> Calibrator:
    """Fit the calibrator on the rows the gateway could accept. Raises StudentMute or DraftsMissing for too few of them,
    CannotFit for evidence of another version."""
    usable = [row for row in rows if row.usable]
    needed = max(MIN_ROWS, math.ceil(len(rows) / 2))
    if len(usable) < needed:
        raise _too_few(rows, usable=len(usable), needed=needed)
    return fit_calibrator([row.draft.evidence for row in usable if row.draft], [not row.disagreement for row in usable])


def _too_few(rows: Sequence[Judged], *, usable: int, needed: int) -> DistillError:
    missing = sum(row.draft is None for row in rows)
    words = f"only {usable} of {len(rows)} drafts could be accepted"
    if usable + missing >= needed:
        return DraftsMissing(f"{words}: {missing} did not come")
    cut = sum(row.draft is not None and not row.usable and row.draft.finish_reason == "length" for row in rows)
    if 2 * cut < len(rows) - usable - missing:
        return StudentMute(f"{words}: most others carry no evidence")
    return StudentMute(
        f"{words}: {cut} did not end within the task's max_tokens; raise it if the teacher's answers are longer"
    )


def scored(
    rows: Sequence[Judged], calibrator: Calibrator, *, clusters: Sequence[int | None] | None = None
) -> list[ScoredRow]:
    """Rows as the certificate sees them; what the gateway would never accept has a score below every threshold.
    `clusters`: which are near-duplicates of each other, where that matters."""
    return [
        ScoredRow(_score(row, calibrator), row.disagreement, row.asked, cluster)
        for row, cluster in zip(rows, clusters if clusters is not None else [None] * len(rows), strict=True)
    ]


def lost(count: int) -> list[ScoredRow]:
    """Rows that left the window after they were drawn: whatever is accepted, each would have been, and been wrong."""
    return [ScoredRow(1.0, 1.0)] * count


def _score(row: Judged, calibrator: Calibrator) -> float:
    return calibrator.score(row.draft.evidence) if row.usable and row.draft else -1.0
