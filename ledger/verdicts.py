"""What judges said: of a release's references, and of pairs of answers that people have labelled.

`judge` is a judge's fingerprint: what another model, rubric or question said is not mixed in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from calibration.certificate import fingerprint
from calibration.judged import Labelled
from calibration.question import Pair
from ledger.database import parts, writing
from ledger.schema import exchanges, judge_labels, teacher_replies, verdicts


@dataclass(frozen=True)
class JudgedLabel:
    """A pair with both answers, whether people call them the `same`, and whether the judge `flagged` them."""

    pair: Pair
    same: bool
    flagged: bool


def add(engine: sa.Engine, judge: str, flagged: Mapping[str, bool], *, now: float) -> None:
    """Keep verdicts by exchange id; the first one of an exchange stays."""
    with writing(engine) as connection:
        known = _known(connection, judge, list(flagged))
        rows = [
            {"exchange_id": each, "judge": judge, "flagged": flagged[each], "at": now}
            for each in flagged
            if each not in known
        ]
        if rows:
            connection.execute(verdicts.insert(), rows)


def known(engine: sa.Engine, judge: str, exchange_ids: Sequence[str]) -> dict[str, bool]:
    """Exchange id -> whether the judge flagged it, of those that it has said something about."""
    with engine.connect() as connection:
        return _known(connection, judge, exchange_ids)


def _known(connection: sa.Connection, judge: str, exchange_ids: Sequence[str]) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for part in parts(exchange_ids):
        of_part = verdicts.c.exchange_id.in_(part)
        query = sa.select(verdicts.c.exchange_id, verdicts.c.flagged).where(verdicts.c.judge == judge, of_part)
        found |= {exchange_id: flagged for exchange_id, flagged in connection.execute(query)}
    return found


def messages_of(engine: sa.Engine, exchange_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Exchange id -> what was asked; at most some hundred of them."""
    query = sa.select(exchanges.c.id, exchanges.c.messages).where(exchanges.c.id.in_(exchange_ids))
    with engine.connect() as connection:
        return {exchange_id: messages for exchange_id, messages in connection.execute(query)}


def label(engine: sa.Engine, task: str, *, judge: str, labels: Sequence[JudgedLabel], now: float) -> None:
    """Keep labelled pairs, all or none; a pair that was labelled before is what it is labelled as now."""
    rows = {row["pair"]: row for row in _rows(task, judge, labels, now=now)}
    mine = sa.and_(judge_labels.c.task == task, judge_labels.c.judge == judge)
    with writing(engine) as connection:
        for pair in rows:
            connection.execute(judge_labels.delete().where(mine, judge_labels.c.pair == pair))
        if rows:
            connection.execute(judge_labels.insert(), list(rows.values()))


def _rows(task: str, judge: str, labels: Sequence[JudgedLabel], *, now: float) -> Iterator[dict[str, Any]]:
    for each in labels:
        texts = {"prompt": each.pair.prompt, "student": each.pair.student, "teacher": each.pair.teacher}
        said = {"same": each.same, "flagged": each.flagged, "at": now}
        yield {"task": task, "judge": judge, "pair": fingerprint(texts), **texts, **said}


def labelled(engine: sa.Engine, task: str, *, judge: str) -> Labelled:
    """The counts of all labelled pairs of a task."""
    same, flagged = judge_labels.c.same, judge_labels.c.flagged
    query = sa.select(
        sa.func.count().filter(sa.not_(same)),
        sa.func.count().filter(sa.not_(same), flagged),
        sa.func.count().filter(same),
        sa.func.count().filter(same, sa.not_(flagged)),
    ).where(judge_labels.c.task == task, judge_labels.c.judge == judge)
    with engine.connect() as connection:
        return Labelled(*connection.execute(query).one())


def accepted(engine: sa.Engine, release: str) -> list[tuple[list[dict[str, Any]], str, str]]:
    """(messages, draft, the teacher's text) of the references that a release has answered, in order of arrival."""
    query = (
        sa.select(exchanges.c.messages, exchanges.c.draft_text, teacher_replies.c.text)
        .join(teacher_replies, teacher_replies.c.exchange_id == exchanges.c.id)
        .where(exchanges.c.release == release, exchanges.c.reference, exchanges.c.route == "student")
        .where(teacher_replies.c.text.is_not(None), exchanges.c.draft_text.is_not(None))
        .order_by(exchanges.c.at, exchanges.c.id)
    )
    with engine.connect() as connection:
        return [(row[0], row[1], row[2]) for row in connection.execute(query)]
