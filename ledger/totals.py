"""Sums of what was asked, counted and paid, by hour, task, release and key: as exact as the rows, and quick to read
however many of these there are.

Whoever stores a record adds it here in the same transaction, so that it is counted once whatever is killed; what was
stored before there were sums the migration has added. `ALL` in the place of an hour is all time.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ledger.database import parts
from ledger.records import Exchange, Label, TeacherReply
from ledger.schema import exchanges, teacher_replies, totals

HOUR_S = 3600
ALL = -1  # in the place of an hour
KEY = ("hour", "task", "release", "key", "origin")


@dataclass(frozen=True)
class Sums:
    """US dollars, requests and tokens of exchanges. `paid_usd`: to teachers, in the request or on our own account;
    `label_usd`: to teachers for references in the background; `answer_tokens`: of the drafts that were answers, prompts
    included.

    `pairs`: references that the student has answered and the teacher has labelled; x: tokens of the draft, prompt
    included, y: US dollars of the label, and sums of their products. `near_x`, `near_y`: the same sums of escalated
    requests, which are no sample of the answered ones.
    """

    requests: int = 0
    student_answers: int = 0
    paid_usd: float = 0.0
    label_usd: float = 0.0
    draft_usd: float = 0.0
    draft_prompt_tokens: int = 0
    draft_completion_tokens: int = 0
    teacher_prompt_tokens: int = 0
    teacher_cached_tokens: int = 0
    teacher_completion_tokens: int = 0
    answer_tokens: int = 0
    pairs: int = 0
    pair_x: float = 0.0
    pair_y: float = 0.0
    pair_xx: float = 0.0
    pair_xy: float = 0.0
    pair_yy: float = 0.0
    near_x: float = 0.0
    near_y: float = 0.0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, each) + getattr(other, each) for each in SUMS))


SUMS = tuple(each.name for each in fields(Sums))


class Of(NamedTuple):
    """What sums are of; an empty text where there is none."""

    task: str
    release: str
    key: str
    origin: str


def known(connection: sa.Connection, records: Sequence[Exchange | Label]) -> set[tuple[type, str]]:
    """Of these records those that are in the ledger already: asked before they are stored."""
    found: set[tuple[type, str]] = set()
    for kind, column in ((Exchange, exchanges.c.id), (Label, teacher_replies.c.exchange_id)):
        ids = [_id(record) for record in records if isinstance(record, kind)]
        for part in parts(ids):
            found |= {(kind, id) for id in connection.execute(sa.select(column).where(column.in_(part))).scalars()}
    return found


def add(connection: sa.Connection, records: Sequence[Exchange | Label], *, before: set[tuple[type, str]]) -> None:
    """Add records that have just been stored; not those that were there `before`, or come twice."""
    new = {(type(record), _id(record)): record for record in records}
    fresh = [record for key, record in new.items() if key not in before]
    sums: dict[tuple[int, Of], Sums] = defaultdict(Sums)
    for hour, of, found in (*_exchanges(fresh), *_labels(connection, fresh)):
        for when in (hour, ALL):
            sums[when, of] += found
    _upsert(connection, sums)


def charge(connection: sa.Connection, task: str, *, origin: str, usd: float, at: float, release: str = "") -> None:
    """Add what is paid for no exchange: for training, or for a machine."""
    of = Of(task, release, "", origin)
    _upsert(connection, {(when, of): Sums(paid_usd=usd) for when in (_hour(at), ALL)})


def read(
    connection: sa.Connection, *, since: float | None = None, until: float | None = None, task: str | None = None
) -> list[tuple[int, Of, Sums]]:
    """(hour or `ALL`, what of, sums); all time where neither end is named, else the hours that begin in [since,
    until)."""
    query = sa.select(totals)
    if since is None and until is None:
        query = query.where(totals.c.hour == ALL)
    else:
        query = query.where(totals.c.hour >= max(0, _hour(since or 0.0)))
        query = query.where(totals.c.hour < until) if until is not None else query
    if task is not None:
        query = query.where(totals.c.task == task)
    return [
        (row["hour"], Of(*(row[name] for name in KEY[1:])), Sums(*(row[name] for name in SUMS)))
        for row in connection.execute(query.order_by(totals.c.hour)).mappings()
    ]


def _id(record: Exchange | Label) -> str:
    return record.id if isinstance(record, Exchange) else record.exchange_id


def _hour(at: float) -> int:
    return int(at // HOUR_S) * HOUR_S


def _exchanges(records: Iterable[Exchange | Label]) -> Iterable[tuple[int, Of, Sums]]:
    for record in records:
        if isinstance(record, Exchange) and record.origin != "import":  # what others have paid for
            yield _hour(record.at), _of(record), _asked(record) + _answered(record.teacher_reply, record)


def _of(record: Exchange) -> Of:
    return Of(record.task or "", record.release or "", record.key or "", record.origin)


def _asked(record: Exchange) -> Sums:
    draft = record.draft
    if draft is None:
        return Sums(requests=1)
    answers = int(record.route == "student")
    return Sums(
        requests=1,
        student_answers=answers,
        draft_usd=draft.cost_usd,
        draft_prompt_tokens=draft.usage.prompt_tokens,
        draft_completion_tokens=draft.usage.completion_tokens,
        answer_tokens=answers * (draft.usage.prompt_tokens + draft.usage.completion_tokens),
    )


def _answered(reply: TeacherReply | None, record: Exchange) -> Sums:
    if reply is None:
        return Sums()
    x = 0.0 if record.draft is None else record.draft.usage.prompt_tokens + record.draft.usage.completion_tokens
    return Sums(
        paid_usd=reply.cost_usd,
        teacher_prompt_tokens=reply.usage.prompt_tokens,
        teacher_cached_tokens=reply.usage.cached_tokens,
        teacher_completion_tokens=reply.usage.completion_tokens,
        near_x=x if reply.text is not None else 0.0,
        near_y=reply.cost_usd if reply.text is not None and record.draft else 0.0,
    )


def _labels(connection: sa.Connection, records: Iterable[Exchange | Label]) -> Iterable[tuple[int, Of, Sums]]:
    """Labels count in the hour of their request."""
    late = {record.exchange_id: record.reply for record in records if isinstance(record, Label)}
    names = ("id", "at", "task", "release", "key", "origin", "route", "draft_prompt_tokens", "draft_completion_tokens")
    query = sa.select(*(exchanges.c[name] for name in names))
    for part in parts(list(late)):
        for row in connection.execute(query.where(exchanges.c.id.in_(part))).mappings():
            of = Of(row["task"] or "", row["release"] or "", row["key"] or "", row["origin"])
            yield _hour(row["at"]), of, _labelled(late[row["id"]], dict(row))


def _labelled(reply: TeacherReply, row: Mapping[str, Any]) -> Sums:
    paid = Sums(
        label_usd=reply.cost_usd,
        teacher_prompt_tokens=reply.usage.prompt_tokens,
        teacher_cached_tokens=reply.usage.cached_tokens,
        teacher_completion_tokens=reply.usage.completion_tokens,
    )
    if row["route"] != "student" or reply.text is None:
        return paid
    x, y = float(row["draft_prompt_tokens"] + row["draft_completion_tokens"]), reply.cost_usd
    return paid + Sums(pairs=1, pair_x=x, pair_y=y, pair_xx=x * x, pair_xy=x * y, pair_yy=y * y)


def _upsert(connection: sa.Connection, sums: Mapping[tuple[int, Of], Sums]) -> None:
    if not sums:
        return
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(totals)
    grown = {name: totals.c[name] + insert.excluded[name] for name in SUMS}
    rows = [
        {"hour": hour, **of._asdict(), **{name: getattr(found, name) for name in SUMS}}
        for (hour, of), found in sums.items()
    ]
    connection.execute(insert.on_conflict_do_update(index_elements=list(KEY), set_=grown), rows)
