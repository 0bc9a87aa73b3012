"""What a student makes of its teacher's errors, where people have said what is right.

People look at the answers that they choose to, so these rows are no sample of traffic. What is counted here is told
with a release: no test, no threshold and no promotion reads it (docs/decisions/0019, 0044).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from distill.anchor import Seen
from distill.evaluate import Judged
from ledger.queries import Row
from ledger.records import Draft, Usage

Compare = Callable[[Sequence[Row], Sequence[Draft | None], Sequence[str | None]], list[Judged]]


@dataclass(frozen=True)
class Verdict:
    """Of the row at a place of the window: whether the draft is wrong, one that is missing too, and the teacher's
    answer, None where that is lost; whether draft and teacher agree."""

    place: int
    draft_wrong: bool
    teacher_wrong: bool | None
    agree: bool


@dataclass(frozen=True)
class Errors:
    """Counts of `rows` of which people have said what is right. Of the `teacher_wrong` the student is right on `fixed`,
    says what the teacher says on `copied`, and something else that is wrong on the rest; on the others, where the
    teacher is right, it is wrong on `added`."""

    rows: int
    teacher_wrong: int
    fixed: int
    copied: int
    added: int


def verdicts(seen: Seen, *, compare: Compare) -> list[Verdict]:
    """Of each row that people have corrected, or whose answer they have called good, by the task's measure.

    What the teacher has said word for word is compared with the draft already: no judge is asked about it again.
    """
    truths = {place: truth for place, row in enumerate(seen.window) if (truth := _truth(row)) is not None}
    others = [place for place, truth in truths.items() if truth != seen.answers[place]]
    wrong = {place: (bool(seen.rows[place].disagreement), False) for place in truths}
    wrong.update(_compared(seen, {place: truths[place] for place in others}, compare=compare))
    return [
        Verdict(
            place,
            draft_wrong,
            None if seen.answers[place] is None else teacher_wrong,
            agree=not seen.rows[place].disagreement,
        )
        for place, (draft_wrong, teacher_wrong) in wrong.items()
    ]


def errors(found: Sequence[Verdict], seen: Seen, *, threshold: float = -1.0) -> Errors:
    """Counts of the rows with a draft and a teacher's answer; with a `threshold`, of those that the student would
    answer itself."""
    counted = [
        each
        for each in found
        if each.teacher_wrong is not None
        and seen.drafts[each.place] is not None
        and seen.rows[each.place].score >= threshold
    ]
    wrong = [each for each in counted if each.teacher_wrong]
    return Errors(
        rows=len(counted),
        teacher_wrong=len(wrong),
        fixed=sum(not each.draft_wrong for each in wrong),
        copied=sum(each.draft_wrong and each.agree for each in wrong),
        added=sum(each.draft_wrong for each in counted if not each.teacher_wrong),
    )


def agreement_as_corrected(found: Sequence[Verdict], seen: Seen) -> tuple[int, float] | None:
    """How many rows people have corrected, and the share of the window's drafts that agree with their words there and
    with the teacher's elsewhere; None where they have corrected none."""
    wrong = {each.place: each.draft_wrong for each in found if seen.window[each.place].correction is not None}
    if not wrong:
        return None
    differ = sum(wrong.get(place, bool(row.disagreement)) for place, row in enumerate(seen.rows))
    return len(wrong), 1.0 - differ / len(seen.rows)


def _truth(row: Row) -> str | None:
    """What people say is right: their own words, or the answer that they have called good."""
    return row.correction if row.correction is not None else row.answer if row.good else None


def _compared(seen: Seen, truths: dict[int, str], *, compare: Compare) -> Iterator[tuple[int, tuple[bool, bool]]]:
    if not truths:
        return
    rows, said = [seen.window[place] for place in truths], list(truths.values())
    drafts = compare(rows, [seen.drafts[place] for place in truths], said)
    teachers = compare(rows, [_as_draft(seen.answers[place]) for place in truths], said)
    for place, mine, its in zip(truths, drafts, teachers, strict=True):
        yield place, (bool(mine.disagreement), bool(its.disagreement))


def _as_draft(answer: str | None) -> Draft | None:
    return None if answer is None else Draft(answer, "stop", {}, Usage())
