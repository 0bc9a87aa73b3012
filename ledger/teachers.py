"""Whose answers count for a task, and since when it has the teacher model that it has: what another model has answered
certifies nothing for this one, and teaches nothing under its terms.

The ledger keeps a teacher's name with each answer, and the settings may put another model behind a name. While a
release is in force that voids it, and traffic begins anew with that; without one nothing else tells the two apart. A
model that comes back (a name that was mistyped, a change that was taken back) has its answers of before again: they
teach, and certify as little as before. What is imported counts for the model of that time, whenever it was answered.
"""

import json
import math
from dataclasses import dataclass
from itertools import pairwise

import sqlalchemy as sa

from ledger.database import writing
from ledger.schema import exchanges, settings, teacher_replies

# What decides whose the joined answer is: when it was asked for, or came later as a label, or was imported with a log.
ANSWERED_AT = sa.func.coalesce(teacher_replies.c.at, exchanges.c.at)
Model = tuple[str, float | None]  # and since when the settings name it; None: since the first look


@dataclass(frozen=True)
class Answers:
    """Whose answers count for a task: its `teacher`'s (None: anybody's), of the times in which its model of now was
    behind that name: `spans` of (begin, end], in seconds since the epoch."""

    teacher: str | None = None
    spans: tuple[tuple[float, float], ...] = ((-math.inf, math.inf),)

    @property
    def begin(self) -> float:
        """Before it nothing counts, in seconds since the epoch; -inf for all of it."""
        return min(begin for begin, _ in self.spans)

    def hold(self, at: float, teacher: str | None) -> bool:
        """Whether an answer of that time counts, by that teacher; not answered yet, a request is anybody's."""
        theirs = None in (self.teacher, teacher) or teacher == self.teacher
        return theirs and any(begin < at <= end for begin, end in self.spans)

    def condition(self, at: sa.ColumnElement[float], teacher: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        """The same of columns."""
        theirs = sa.true() if self.teacher is None else sa.func.coalesce(teacher, self.teacher) == self.teacher
        return sa.and_(theirs, sa.or_(*(_within(at, begin, end) for begin, end in self.spans)))


ANYBODYS = Answers()


def note(engine: sa.Engine, task: str, *, model: str, now: float) -> None:
    """Remember the model that the settings name for a task, and when it became another one."""
    with writing(engine) as connection:
        known = _known(connection, task)
        if known and known[-1][0] == model:
            return
        newest, *before = (model, now if known else None), *reversed(known)
        value = json.dumps([*newest, *before])  # the one of now first, as versions that knew no other have it
        if known:
            connection.execute(settings.update().where(settings.c.key == _key(task)).values(value=value))
        else:
            connection.execute(settings.insert().values(key=_key(task), value=value))


def model(connection: sa.Connection, task: str) -> str | None:
    """The model that the settings named when a worker looked last; None where none did."""
    known = _known(connection, task)
    return known[-1][0] if known else None


def since(connection: sa.Connection, task: str) -> float:
    """When the task's model became another one, in seconds since the epoch; -inf where it never did."""
    known = _known(connection, task)
    return _begin(known[-1]) if known else -math.inf


def answers(connection: sa.Connection, task: str, *, teacher: str) -> Answers:
    """Those of the task's teacher, and of its model of now."""
    known = _known(connection, task)
    if not known:
        return Answers(teacher)
    ends = [*(_begin(after) for _, after in pairwise(known)), math.inf]
    mine = zip(known, ends, strict=True)
    return Answers(teacher, tuple((_begin(model), end) for model, end in mine if model[0] == known[-1][0]))


def _known(connection: sa.Connection, task: str) -> list[Model]:
    """All that it had, oldest first."""
    value = connection.execute(sa.select(settings.c.value).where(settings.c.key == _key(task))).scalar()
    if value is None:
        return []
    name, begin, *before = json.loads(value)
    return [*((model, at) for model, at in reversed(before)), (name, begin)]


def _begin(model: Model) -> float:
    return -math.inf if model[1] is None else model[1]


def _within(at: sa.ColumnElement[float], begin: float, end: float) -> sa.ColumnElement[bool]:
    """Infinity is no number that every database compares with."""
    after = sa.true() if begin == -math.inf else at > begin
    return sa.and_(after, sa.true() if end == math.inf else at <= end)


def _key(task: str) -> str:
    return f"teacher of {task}"
