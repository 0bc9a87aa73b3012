"""Which recorded rows a new release may learn from, and which are kept back to certify it.

The data cut divides them: rows before it teach, references after it certify. A reference row certifies one release,
after that release's cut, and may teach the next.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import sqlalchemy as sa

from calibration.references import REFERENCE_DOMAIN, draw
from distill.errors import DistillError
from distill.rows import TrainingRow, as_student_reads
from ledger import teachers
from ledger.outlines import Outline, lessons_begin, outlines
from ledger.queries import (
    HARDLY_ANY,
    Row,
    fresh_since,
    last_cut,
    reference_key,
    rows_of,
    rows_used,
    task_rows,
)
from ledger.rationales import rationales
from ledger.redaction import holds_placeholder
from ledger.studies import studied_until
from ledger.teachers import ANYBODYS, Answers


class HarvestError(DistillError):
    """Nothing may or can be harvested; the message says what to do. Nothing was changed."""


@dataclass(frozen=True)
class Harvest:
    """Rows on both sides of the cut (seconds since the epoch). `window` rows are references nobody has used;
    `synthetic` ones were written before the cut, and only teach. So many references of the window were `forgotten`
    after they were drawn: each counts as lost, answered and in disagreement. `part`: of the references behind the cut
    that the window has, where there were more than it may."""

    cut_at: float
    older: tuple[TrainingRow, ...]
    window: tuple[Row, ...]
    window_span: tuple[float, float]
    synthetic: tuple[TrainingRow, ...] = ()
    forgotten: int = 0
    part: float = 1.0

    @property
    def before(self) -> tuple[str, ...]:
        """What the newest references before the cut asked, which stand for traffic as the window does: as thin as it
        is, so of as long a time, if it was as busy."""
        asked = [row.variable_text for row in self.older if row.reference]
        newest = asked[-max(1, round(len(self.window) / self.part)) :]
        return tuple(newest[int(i / self.part)] for i in range(int(len(newest) * self.part)))


def with_rationales(engine: sa.Engine, rows: Sequence[TrainingRow]) -> tuple[TrainingRow, ...]:
    """Rows that teach with what their teacher thought, where that is recorded and leads to what they teach: not to what
    people have corrected or the teacher itself has put right, and none of which something was taken out before it was
    stored."""
    as_recorded = [row.exchange_id for row in rows if row.correction is None and not row.put_right]
    found = rationales(engine, as_recorded)
    usable = {name: text for name, text in found.items() if not holds_placeholder(text)}
    return tuple(replace(row, rationale=usable.get(row.exchange_id)) for row in rows)


def permit(*, teacher: str, may_train: bool) -> None:
    """Raises HarvestError where the teacher's terms are not known to allow training: denied by default."""
    if not may_train:
        raise HarvestError(
            f"training on outputs of the teacher {teacher!r} is not allowed: read its provider's terms, and if they "
            f"permit it set teachers.{teacher}.may_train: true, teachers.{teacher}.terms to where they say so, and "
            f"teachers.{teacher}.confirmed_by to who confirms that"
        )


def harvest(  # noqa: PLR0913  each is a rule of the cut
    engine: sa.Engine,
    *,
    task: str,
    teacher: str | None,
    window_share: float,
    max_rows: int,
    max_references: int,
    due: float,
    adapter_digest: str | None = None,
    easy_weight: float = 1.0,
    again: bool = False,
) -> Harvest:
    """Cut a task's traffic at the start of the newest `window_share` of what no release before was certified on, or
    later, where every request began to be a reference, if that gives more of them.

    What lies before the cut teaches, the newest `max_rows` of it; the window behind it is fresh traffic only, of which
    at most `max_references` are drawn. It ends before the first reference whose label may still be on its way: a
    missing one of a request before `due` is lost. Only what this `teacher` answered counts, and under its name the
    model of now: what another has said is neither lesson nor reference. None: whoever answered, since all are asked
    anew. An adapter that exists is not certified on what it was studied with. What opted out of teaching is measured,
    and teaches nothing. `easy_weight`: the most that a lesson counts which the student has answered
    (docs/decisions/0032). What a teacher has written takes the room that is left under `max_rows`, and was written
    before the cut like everything that teaches: its examples may be among the traffic behind it. `again`: at the cut of
    the attempt before, whose training goes on, unless that traffic is not fresh any more (docs/decisions/0045).

    Raises HarvestError where nothing is recorded.
    """
    with engine.connect() as connection:
        since, cut_before = fresh_since(connection, task), last_cut(connection, task)
        if adapter_digest is not None:
            since = max(since, studied_until(connection, adapter_digest))
        said = ANYBODYS if teacher is None else teachers.answers(connection, task, teacher=teacher)
    begin = lessons_begin(engine, task, said=said, until=since, most=max_rows)
    recorded = outlines(engine, task, since=begin)
    rows = [row for row in recorded if row.eligible and said.hold(row.answered_at, row.teacher)]
    fresh = [row for row in rows if row.at > since]
    if not fresh:
        when = "yet" if since == -math.inf else "since its last certification, alarm or study"
        raise HarvestError(f"no eligible request is recorded for the task {task!r} {when}")
    settled = list(takewhile(lambda row: row.replied or not row.reference or row.at < due, fresh))
    key = reference_key(engine)
    # What came while a budget left no room for references was part of no draw, whatever it was.
    drawn = [row for row in settled if row.rho is not None]
    usual = max(cut_before, fresh[int(len(fresh) * (1.0 - window_share))].at)
    cut_at = cut_before if again and cut_before > since else _later(usual, drawn, key)
    older = [row for row in rows if row.at < cut_at]
    fair = {row.exchange_id for row in _uniform([row for row in older if row.rho is not None], key)}
    lessons = _left(engine, [row.exchange_id for row in older if row.lesson][-max_rows:])
    written = _written(engine, task, said=said, until=cut_at)
    drawn = [row for row in drawn if row.at >= cut_at]
    there = _unused(_uniform(drawn, key), rows_used(engine, task))
    chosen = _drawn(there, key, most=max_references)
    window = _left(engine, [row.exchange_id for row in chosen])
    last = max(cut_at, settled[-1].at) if settled else cut_at
    gone = [row for row in recorded if cut_at <= row.at <= last and row.forgotten]
    return Harvest(
        cut_at=cut_at,
        older=tuple(_lesson(row, fair=row.exchange_id in fair, easy_weight=easy_weight) for row in lessons),
        window=tuple(window),
        window_span=(cut_at, last),
        synthetic=tuple(_lesson(row, fair=False) for row in written[: max_rows - len(lessons)]),
        forgotten=len(chosen) - len(window) + _below(_rate(drawn), gone, key),
        part=len(chosen) / len(there) if there else 1.0,
    )


def _written(engine: sa.Engine, task: str, *, said: Answers, until: float) -> list[Row]:
    rows = task_rows(engine, task, until=until, origins=("synthetic",))
    return [row for row in rows if row.teacher_text is not None and said.hold(row.answered_at, row.teacher)]


def _left(engine: sa.Engine, exchange_ids: Sequence[str]) -> list[Row]:
    """Those of them that were not forgotten since they were chosen."""
    return [row for row in rows_of(engine, exchange_ids) if not row.forgotten]


def _later(cut_at: float, drawn: Sequence[Outline], key: bytes) -> float:
    """The cut, or where rows begin that were all drawn for certain, if there are more references behind that.

    What a release in force has left to references is little of its traffic, and as little would be taken of the rest.
    Nothing but rates and times decides.
    """
    begins = _all_drawn_since(drawn)
    if begins <= cut_at:
        return cut_at
    usual, late = (len(_uniform([row for row in drawn if row.at >= since], key)) for since in (cut_at, begins))
    return begins if late > usual else cut_at


def _all_drawn_since(drawn: Sequence[Outline]) -> float:
    """When the first row came behind the last that was drawn at a lower rate than 1; -inf where there is none such."""
    lower = max((row.at for row in drawn if row.rho != 1.0), default=math.inf)
    return min((row.at for row in drawn if row.at > lower), default=-math.inf)


def _uniform(rows: Sequence[Outline], key: bytes) -> list[Outline]:
    """The references of rows that were drawn at several rates, as if all had been drawn at one.

    A row that was imported, or recorded without a release in force, is a reference for certain, another one with
    probability rho, and rho is a setting: together they would stand for the traffic of the higher rate. The draw is
    permanent, so the lower rate's references are among the higher one's: all are taken at the lowest. Unless hardly any
    was drawn at less than 1: then all rows are references, and a label that is missing counts as lost.
    """
    lowest = _rate(rows)
    if lowest == 1.0:
        return list(rows)
    drawn = [row for row in rows if row.reference]
    return [row for row in drawn if row.rho == lowest or draw(key, row.exchange_id, domain=REFERENCE_DOMAIN) < lowest]


def _rate(rows: Sequence[Outline]) -> float:
    """At which rate rows are taken, as `_uniform` has it."""
    hardly_any = sum(row.rho != 1.0 for row in rows) <= HARDLY_ANY * len(rows)  # also of none
    return 1.0 if hardly_any else min(row.rho or 0.0 for row in rows)


def _below(rate: float, rows: Sequence[Outline], key: bytes) -> int:
    """How many of them would have been references."""
    return sum(draw(key, row.exchange_id, domain=REFERENCE_DOMAIN) < rate for row in rows)


def _drawn(rows: Sequence[Outline], key: bytes, *, most: int) -> list[Outline]:
    """So many of the references, in order: those of the lowest draws, as if the rate had been lower."""
    lowest = sorted(rows, key=lambda row: draw(key, row.exchange_id, domain=REFERENCE_DOMAIN))[:most]
    return sorted(lowest, key=lambda row: (row.at, row.exchange_id))


def _unused(rows: Sequence[Outline], used: dict[str, set[str]]) -> list[Outline]:
    return [row for row in rows if row.exchange_id not in used]


def _lesson(row: Row, *, fair: bool, easy_weight: float = 1.0) -> TrainingRow:
    """`fair`: it is a reference among all that were drawn at one rate."""
    return TrainingRow(
        exchange_id=row.exchange_id,
        messages=as_student_reads(row.messages),
        completion=row.teacher_text or "",
        finish_reason=row.teacher_finish_reason,
        reference=fair and row.teacher_text is not None,
        params=row.params,
        correction=row.correction,
        disowned=row.answer if row.good is False else None,
        confirmed=row.answer if row.good else None,
        draft=row.draft_text if row.draft_finish_reason == "stop" else None,
        weight=min(easy_weight, _stands_for(row)),
    )


def _stands_for(row: Row) -> float:
    """How many requests: of those that the student answered the teacher was asked about references alone."""
    return 1.0 / row.rho if row.route == "student" and row.reference and row.rho else 1.0
