"""To forget exchanges: their texts go, and with them every release that has learned from them.

What stays is what money and guarantees are counted from: when, which route, tokens, costs, scores. It stands for no
traffic any more: it teaches, certifies and is heard nowhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from ledger import schema
from ledger.database import LedgerError, parts, writing
from ledger.decisions import Decision
from ledger.releases import FORGOTTEN, SERVED, Release, learned_from
from ledger.schema import exchanges, feedback, judge_labels, keys, probe_questions, releases, row_uses, teacher_replies

USER_FIELDS = ("user", "safety_identifier")  # of a request: who is behind it


class NothingToForget(LedgerError):
    """No recorded exchange is meant; the message says what was looked for."""


@dataclass(frozen=True)
class Meant:
    """What is to be forgotten: single exchanges, all that a line of keys has asked, all of a client's user."""

    exchanges: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    users: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In words."""
        return self._words([f"user {each}" for each in self.users])

    @property
    def recorded(self) -> str:
        """The same without names of users, which are to be forgotten too."""
        return self._words([f"{len(self.users)} users"] if self.users else [])

    def _words(self, users: list[str]) -> str:
        named = [f"exchange {each}" for each in self.exchanges] + [f"key {each}" for each in self.keys]
        return ", ".join(named + users)


@dataclass(frozen=True)
class Found:
    """The exchanges that are meant, by task (None: of no task), and the releases whose adapter has learned from any. So
    many more are `waiting` for a label that is on its way, and would come back with it."""

    ids: dict[str | None, list[str]]
    releases: list[Release]
    waiting: int

    @property
    def all_ids(self) -> list[str]:
        """Of all tasks."""
        return [each for several in self.ids.values() for each in several]


def find(engine: sa.Engine, meant: Meant, *, due: float) -> Found:
    """Look, and change nothing. A label that is missing of a request before `due` is lost.

    Raises NothingToForget, also where one of several exchanges or keys is unknown.
    """
    with engine.connect() as connection:
        _check_known(connection, meant)
        ids: dict[str | None, dict[str, None]] = {}
        waiting = set[str]()
        for condition in _conditions(meant):
            for row in connection.execute(_known(condition)):
                if row.reference and not row.replied and row.at >= due:
                    waiting.add(row.id)
                else:
                    ids.setdefault(row.task, {})[row.id] = None
        found = Found({task: list(several) for task, several in ids.items()}, [], len(waiting))
        taught = [release for part in parts(found.all_ids) for release in learned_from(connection, part)]
    if not found.ids and not found.waiting:
        raise NothingToForget(f"nothing is recorded, or left, of {meant}")
    return replace(found, releases=list({release.name: release for release in taught}.values()))


def _known(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    left = sa.and_(condition, exchanges.c.prompt_fingerprint != FORGOTTEN)
    replied = sa.exists().where(teacher_replies.c.exchange_id == exchanges.c.id).label("replied")
    columns = [exchanges.c[name] for name in ("task", "id", "at", "reference")]
    return sa.select(*columns, replied).where(left).order_by(exchanges.c.seq)


def _check_known(connection: sa.Connection, meant: Meant) -> None:
    for kind, column, named in (("exchange", exchanges.c.id, meant.exchanges), ("key", keys.c.id, meant.keys)):
        for each in named:
            if connection.execute(sa.select(column).where(column == each)).first() is None:
                raise NothingToForget(f"no {kind} {each!r} is recorded; one of the last seconds may be on its way")


def _conditions(meant: Meant) -> Iterator[sa.ColumnElement[bool]]:
    for part in parts(meant.exchanges):
        yield exchanges.c.id.in_(part)
    for part in parts(meant.keys):  # with all keys that came before and after them
        accounts = sa.select(keys.c.account).where(keys.c.id.in_(part))
        yield exchanges.c.key.in_(sa.select(keys.c.id).where(keys.c.account.in_(accounts)))
    for part in parts(meant.users):
        yield sa.or_(*(exchanges.c.params[field].as_string().in_(part) for field in USER_FIELDS))


def forget(engine: sa.Engine, found: Found, *, meant: Meant, now: float) -> None:
    """Take the texts of these exchanges out of the ledger, and end the releases: all of it or nothing.

    Nobody may be making a release of their tasks meanwhile. What SQLite frees is overwritten; PostgreSQL's own files
    keep it until they are vacuumed.
    """
    with writing(engine) as connection:
        _forget_pairs(connection, found)
        for part in parts(found.all_ids):
            _wipe(connection, part)
        reason = f"it has learned from what is forgotten: {meant.recorded}"
        for release in found.releases:
            values = {"adapter_path": FORGOTTEN, **_end(release, reason, now)}
            connection.execute(releases.update().where(releases.c.name == release.name).values(values))
        for task, ids in found.ids.items():
            if task is not None:
                asked = f"{len(ids)} exchanges, a person has asked for it: {meant.recorded}"
                decision = Decision(now, task, "forget", "hand", asked)
                connection.execute(schema.decisions.insert().values(**vars(decision)))
    _overwrite(engine)


def expire(engine: sa.Engine, *, before: float, most: int = 1000) -> int:
    """Take the texts of the oldest exchanges from before that time out of the ledger, so many at once; how many.

    What has learned from them stays: nobody has asked for its end (docs/decisions/0025).
    """
    old = sa.and_(exchanges.c.at < before, exchanges.c.prompt_fingerprint != FORGOTTEN)
    query = sa.select(exchanges.c.task, exchanges.c.id).where(old).order_by(exchanges.c.seq).limit(most)
    ids: dict[str | None, list[str]] = {}
    with writing(engine) as connection:
        for task, exchange_id in connection.execute(query):
            ids.setdefault(task, []).append(exchange_id)
        found = Found(ids, [], 0)
        _forget_pairs(connection, found)
        for part in parts(found.all_ids):
            _wipe(connection, part)
    if found.all_ids:
        _overwrite(engine)
    return len(found.all_ids)


def _end(release: Release, reason: str, now: float) -> dict[str, Any]:
    """One in force is voided; one that waits is none to wait for."""
    if release.status in SERVED:
        return {"status": "voided", "changed_at": now, "refusal": {"reason": reason}}
    return {"status": "retired", "changed_at": now} if release.status == "ready" else {}


def _wipe(connection: sa.Connection, ids: Sequence[str]) -> None:
    texts: dict[str, Any] = {
        "messages": [],
        "params": {},
        "prompt_fingerprint": FORGOTTEN,
        "draft_text": None,
        "answer": None,
    }
    counts_no_more = {"eligible": False, "reference": False, "rho": None}
    connection.execute(exchanges.update().where(exchanges.c.id.in_(ids)).values(**texts, **counts_no_more))
    replies = teacher_replies.update().where(teacher_replies.c.exchange_id.in_(ids))
    connection.execute(replies.values(text=None, rationale=None, logprobs=None, error=FORGOTTEN))
    connection.execute(row_uses.update().where(row_uses.c.exchange_id.in_(ids)).values(draft_text=None))
    connection.execute(feedback.delete().where(feedback.c.exchange_id.in_(ids)))
    connection.execute(probe_questions.delete().where(probe_questions.c.exchange_id.in_(ids)))


def _forget_pairs(connection: sa.Connection, found: Found) -> None:
    """Pairs that people have labelled know no exchange: what is equal to one of these in all its texts is its."""
    texts: set[tuple[str, str | None, str | None]] = set()
    for part in parts(found.all_ids):
        query = (
            sa.select(exchanges.c.messages, exchanges.c.draft_text, teacher_replies.c.text)
            .join(teacher_replies, teacher_replies.c.exchange_id == exchanges.c.id)
            .where(exchanges.c.id.in_(part))
        )
        for messages, student, teacher in connection.execute(query):
            texts |= {(text, student, teacher) for message in messages for text in _texts(message)}
    pairs = sa.select(judge_labels).where(judge_labels.c.task.in_([task for task in found.ids if task]))
    for pair in connection.execute(pairs).all():
        if (pair.prompt, pair.student, pair.teacher) in texts:
            same = (judge_labels.c[name] == getattr(pair, name) for name in ("task", "judge", "pair"))
            connection.execute(judge_labels.delete().where(*same))


def _texts(message: Mapping[str, Any]) -> list[str]:
    """As a prompt may hold them: text parts are joined by a line break."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return [content]
    return ["\n".join(str(part["text"]) for part in content if part.get("type") == "text")]


def _overwrite(engine: sa.Engine) -> None:
    """SQLite's log of changes still holds what was there; it is emptied once nobody reads from it."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
