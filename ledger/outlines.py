"""What decides of a request what it may be used for, without its texts: a task has millions of them, and a run reads
the texts of some thousands."""

import math
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger.ended import FORGOTTEN
from ledger.records import TRAFFIC
from ledger.schema import exchanges, feedback, teacher_replies
from ledger.teachers import ANSWERED_AT, Answers


@dataclass(frozen=True, slots=True)
class Outline:
    """As `ledger.queries.Row`; `labelled`: the teacher's answer is there, `corrected`: people have said a right one."""

    exchange_id: str
    answered_at: float
    at: float
    eligible: bool
    reference: bool
    rho: float | None
    teaches: bool
    teacher: str | None
    replied: bool
    labelled: bool
    corrected: bool
    forgotten: bool

    @property
    def lesson(self) -> bool:
        """Whether there is something to learn from it."""
        return self.eligible and self.teaches and (self.labelled or self.corrected)


_LABELLED, _CORRECTED = teacher_replies.c.text.is_not(None), feedback.c.correction.is_not(None)


def outlines(engine: sa.Engine, task: str, *, since: float) -> list[Outline]:
    """Of a task's traffic from `since` on, imported requests among it, in order of arrival."""
    query = _joined(
        exchanges.c.id,
        ANSWERED_AT,
        *(exchanges.c[name] for name in ("at", "eligible", "reference", "rho", "teaches")),
        teacher_replies.c.teacher,
        teacher_replies.c.exchange_id.is_not(None),
        _LABELLED,
        _CORRECTED,
        exchanges.c.prompt_fingerprint == FORGOTTEN,
    ).where(_of(task), exchanges.c.at >= since)
    with engine.connect() as connection:
        return [Outline(*row) for row in connection.execute(query.order_by(exchanges.c.at, exchanges.c.id))]


def lessons_begin(engine: sa.Engine, task: str, *, said: Answers, until: float, most: int) -> float:
    """When the oldest of the newest `most` lessons came, of what is `said`, that arrived by then; 0 where there are not
    so many."""
    lesson = sa.and_(exchanges.c.eligible, exchanges.c.teaches, sa.or_(_LABELLED, _CORRECTED))
    theirs = said.condition(ANSWERED_AT, teacher_replies.c.teacher)
    query = _joined(exchanges.c.at).where(_of(task), lesson, theirs)
    if until < math.inf:
        query = query.where(exchanges.c.at <= until)
    with engine.connect() as connection:
        found = connection.execute(query.order_by(exchanges.c.at.desc()).limit(1).offset(most - 1)).scalar()
    return 0.0 if found is None else float(found)


def _joined(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return (
        sa.select(*columns)
        .select_from(exchanges)
        .join(teacher_replies, teacher_replies.c.exchange_id == exchanges.c.id, isouter=True)
        .join(feedback, feedback.c.exchange_id == exchanges.c.id, isouter=True)
    )


def _of(task: str) -> sa.ColumnElement[bool]:
    return sa.and_(exchanges.c.task == task, exchanges.c.origin.in_(TRAFFIC))
