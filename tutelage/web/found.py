"""What the pages show, read from the ledger: frozen facts, bounded however long it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger.schema import exchanges, feedback, teacher_replies

PAGE = 50
SEARCHED = 20_000  # of the newest exchanges: a text is looked for in these
ROUTES = ("student", "teacher", "none")


@dataclass(frozen=True)
class Round:
    """What clients asked while a release was in force, or none was: how many of these requests the teacher answered."""

    release: str
    requests: int
    students: int

    @property
    def escalated(self) -> float:
        """Share of its requests that it did not answer."""
        return 1.0 - self.students / self.requests if self.requests else 0.0


@dataclass(frozen=True)
class Wanted:
    """Which exchanges are looked for; empty texts are any. `before`: behind this number, for the next page."""

    task: str = ""
    route: str = ""
    reason: str = ""
    text: str = ""
    before: int | None = None


def recent(engine: sa.Engine, wanted: Wanted) -> list[Mapping[str, Any]]:
    """The newest exchanges that are wanted, a page of them and one more where there are more."""
    names = ("id", "seq", "at", "task", "model", "route", "reason", "status", "score", "threshold", "release", "origin")
    columns = [*(exchanges.c[name] for name in names), exchanges.c.answer, exchanges.c.messages, exchanges.c.latency_s]
    query = sa.select(*columns).order_by(exchanges.c.seq.desc()).limit(PAGE + 1)
    for name in ("task", "route", "reason"):
        if value := getattr(wanted, name):
            query = query.where(exchanges.c[name] == value)
    if wanted.before is not None:
        query = query.where(exchanges.c.seq < wanted.before)
    with engine.connect() as connection:
        if wanted.text:
            newest = connection.execute(sa.select(sa.func.max(exchanges.c.seq))).scalar() or 0
            query = query.where(exchanges.c.seq > newest - SEARCHED, _holds(wanted.text))
        return [dict(row) for row in connection.execute(query).mappings()]


def _holds(text: str) -> sa.ColumnElement[bool]:
    said = sa.cast(exchanges.c.messages, sa.Text)
    return sa.or_(
        exchanges.c.id == text,
        said.icontains(text, autoescape=True),
        exchanges.c.answer.icontains(text, autoescape=True),
    )


def one(engine: sa.Engine, exchange_id: str) -> Mapping[str, Any] | None:
    """An exchange with the teacher's reply, as `teacher_*`, and what people say of it; without what only a student
    reads of a reply, which may be megabytes."""
    shown = [column for column in teacher_replies.c if column.name not in ("rationale", "logprobs")]
    replies = [column.label(f"teacher_{column.name}") for column in shown]
    query = (
        sa.select(*exchanges.c, *replies, feedback.c.good, feedback.c.correction)
        .join(teacher_replies, teacher_replies.c.exchange_id == exchanges.c.id, isouter=True)
        .join(feedback, feedback.c.exchange_id == exchanges.c.id, isouter=True)
        .where(exchanges.c.id == exchange_id)
    )
    with engine.connect() as connection:
        row = connection.execute(query).mappings().first()
        return dict(row) if row else None


def rounds(engine: sa.Engine, task: str) -> Sequence[Round]:
    """By release, in the order in which they began, from the sums: the first without one."""
    from ledger.totals import read

    found: dict[str, Round] = {}
    with engine.connect() as connection:
        for _, of, sums in read(connection, task=task):
            if of.origin == "client":
                before = found.get(of.release, Round(of.release, 0, 0))
                found[of.release] = Round(
                    of.release, before.requests + sums.requests, before.students + sums.student_answers
                )
    return [found[name] for name in sorted(found)]
