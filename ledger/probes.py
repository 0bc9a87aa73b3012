"""Requests that a teacher is asked again every day, what it said at first, and how often it said so since.

`teacher` is the model as the settings name it: another one is another teacher, with questions of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from calibration.teacher import Repeats
from ledger.database import writing
from ledger.records import TRAFFIC
from ledger.schema import exchanges, teacher_replies
from ledger.schema import probe_questions as questions
from ledger.schema import probe_rounds as rounds


@dataclass(frozen=True)
class Question:
    """A recorded request, and the teacher's answer that the next ones are compared with."""

    exchange_id: str
    messages: list[dict[str, Any]]
    params: dict[str, Any]
    answer: str


@dataclass(frozen=True)
class Round:
    """When a teacher was asked, in seconds since the epoch, and how much of it agreed with what it said before."""

    at: float
    repeats: Repeats


_REQUEST = (exchanges.c.id, exchanges.c.messages, exchanges.c.params)


def asked(engine: sa.Engine, task: str, *, teacher: str) -> list[Question]:
    """The questions, none before the first round."""
    query = (
        sa.select(*_REQUEST, questions.c.answer)
        .join(questions, questions.c.exchange_id == exchanges.c.id)
        .where(questions.c.task == task, questions.c.teacher == teacher)
        .order_by(exchanges.c.id)
    )
    with engine.connect() as connection:
        return [Question(*row) for row in connection.execute(query)]


def newest_answered(engine: sa.Engine, task: str, *, by: str, limit: int) -> list[Question]:
    """Eligible requests that the teacher of that name has answered, newest first, each prompt once."""
    query = (
        sa.select(*_REQUEST, teacher_replies.c.text)
        .join(teacher_replies, teacher_replies.c.exchange_id == exchanges.c.id)
        .where(exchanges.c.task == task, exchanges.c.origin.in_(TRAFFIC), exchanges.c.eligible)
        .where(teacher_replies.c.teacher == by, teacher_replies.c.text.is_not(None))
        .order_by(exchanges.c.at.desc(), exchanges.c.id)
        .limit(4 * limit)
    )
    with engine.connect() as connection:
        found = [Question(*row) for row in connection.execute(query)]
    return list({str(question.messages): question for question in reversed(found)}.values())[-limit:][::-1]


def begin(engine: sa.Engine, task: str, *, teacher: str, answers: Mapping[str, str], first: Round) -> None:
    """Keep the first answers at temperature 0, by exchange id, and the first round, which asked as clients did."""
    rows = [{"task": task, "teacher": teacher, "exchange_id": each, "answer": answers[each]} for each in answers]
    with writing(engine) as connection:
        _forget(connection, task)
        connection.execute(questions.insert(), rows)
        _add(connection, task, teacher=teacher, found=first)


def add(engine: sa.Engine, task: str, *, teacher: str, found: Round) -> None:
    """Keep a further round."""
    with writing(engine) as connection:
        _add(connection, task, teacher=teacher, found=found)


def forget(engine: sa.Engine, task: str) -> None:
    """Begin anew with the next round: the teacher is another one."""
    with writing(engine) as connection:
        _forget(connection, task)


def history(engine: sa.Engine, task: str, *, teacher: str) -> list[Round]:
    """Every round, oldest first."""
    query = sa.select(rounds.c.at, rounds.c.asked, rounds.c.agreed).where(
        rounds.c.task == task, rounds.c.teacher == teacher
    )
    with engine.connect() as connection:
        return [Round(at, Repeats(n, agreed)) for at, n, agreed in connection.execute(query.order_by(rounds.c.at))]


def _add(connection: sa.Connection, task: str, *, teacher: str, found: Round) -> None:
    counts = {"asked": found.repeats.asked, "agreed": found.repeats.agreed}
    connection.execute(rounds.insert().values(task=task, teacher=teacher, at=found.at, **counts))


def _forget(connection: sa.Connection, task: str) -> None:
    for table in (questions, rounds):
        connection.execute(table.delete().where(table.c.task == task))
