"""To forget exchanges: their texts go, and with them every release that has learned from them.

What stays is what money and guarantees are counted from: when, which route, tokens, costs, scores. It stands for no
traffic any more: it teaches, certifies and is heard nowhere. Of the traffic beside it nothing is said by that: what
has not learned from it holds as before (docs/decisions/0041).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from ledger import familiar, schema
from ledger.clients import USER_FIELDS
from ledger.copies import copies, said
from ledger.database import LedgerError, parts, writing
from ledger.decisions import Decision
from ledger.ended import FORGOTTEN
from ledger.releases import SERVED, TAUGHT, Release, in_line
from ledger.schema import exchanges, feedback, judge_labels, keys, probe_questions, releases, row_uses, teacher_replies

Bindings = Mapping[str, Mapping[str, str]]  # by task, what a release must have been certified with


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
    many more are `waiting` for a label that is on its way, and would come back with it. `instead`: by task, which
    release takes the place of a champion among them; `on_trial`: which canary is none of them."""

    ids: dict[str | None, list[str]]
    releases: list[Release]
    waiting: int
    instead: Mapping[str, Release] = field(default_factory=dict)
    on_trial: Mapping[str, str] = field(default_factory=dict)

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
        for task, several in ids.items():
            several.update(dict.fromkeys(copies(connection, list(several), task=task) if task else ()))
        found = Found({task: list(several) for task, several in ids.items()}, [], len(waiting))
        taught = [release for part in parts(found.all_ids) for release in _learned_from(connection, part)]
    if not found.ids and not found.waiting:
        raise NothingToForget(f"nothing is recorded, or left, of {meant}")
    return replace(found, releases=list({release.name: release for release in taught}.values()))


def _learned_from(connection: sa.Connection, exchange_ids: Sequence[str]) -> list[Release]:
    """The releases whose adapter has learned from any of these exchanges or was stopped by one, under whichever name;
    some hundred ids at most."""
    taught = sa.and_(row_uses.c.exchange_id.in_(exchange_ids), row_uses.c.use.in_(TAUGHT))
    digests = sa.select(releases.c.adapter_digest).join(row_uses, row_uses.c.release == releases.c.name).where(taught)
    has_one = sa.and_(releases.c.adapter_digest != "", releases.c.adapter_path != FORGOTTEN)
    return _releases(connection, sa.and_(has_one, releases.c.adapter_digest.in_(digests)))


def _releases(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[Release]:
    columns = [releases.c[name] for name in Release.__dataclass_fields__]
    query = sa.select(*columns).where(condition).order_by(releases.c.task, releases.c.number)
    return [Release(*row) for row in connection.execute(query)]


def instead(engine: sa.Engine, ending: Sequence[Release], *, bindings: Bindings, now: float) -> dict[str, Release]:
    """By task, which release takes the place of the champion among those that are `ending`, where one does: as by a
    rollback. No task that is not among the `bindings` gets one."""
    names = {release.name for release in ending}
    with engine.connect() as connection:
        found = {
            release.task: in_line(connection, release.task, binding=bindings[release.task], now=now, but=names)
            for release in ending
            if release.status == "champion" and release.task in bindings
        }
    return {task: release for task, release in found.items() if release}


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


def forget(
    engine: sa.Engine, found: Found, *, meant: Meant, now: float, bindings: Bindings | None = None
) -> dict[str, Release]:
    """Take the texts of these exchanges out of the ledger, and end the releases: all of it or nothing.

    Returns by task what has taken the place of a champion; `bindings` as for `instead`. Nobody may be making a release
    of their tasks meanwhile. What SQLite frees is overwritten; PostgreSQL's own files keep it until they are vacuumed.
    """
    with writing(engine) as connection:
        _forget_pairs(connection, found)
        for part in parts(found.all_ids):
            _wipe(connection, part)
        reason = f"it has learned from what is forgotten: {meant.recorded}"
        ended = _end(connection, found, reason, now=now)
        in_force = _step_in(connection, ended, bindings=bindings or {}, now=now)
        for task, ids in found.ids.items():
            if task is not None:
                retired = [release.name for release in ended if release.task == task]
                asked = f"{len(ids)} exchanges, a person has asked for it: {meant.recorded}"
                became = f"; retired: {', '.join(retired)}, in force: {_named(in_force.get(task))}" if retired else ""
                decision = Decision(now, task, "forget", "hand", asked + became, retired[-1] if retired else None)
                connection.execute(schema.decisions.insert().values(**vars(decision)))
    _overwrite(engine)
    return in_force


def _end(connection: sa.Connection, found: Found, reason: str, *, now: float) -> list[Release]:
    """End the releases that have learned from it; returns those that were in force, as they were. Read anew: one that
    the alarm has voided since it was found stays voided, and the traffic before that with it."""
    known = _releases(connection, releases.c.name.in_([release.name for release in found.releases]))
    familiar.drop(connection, [release.name for release in known])
    for release in known:
        values: dict[str, Any] = {"adapter_path": FORGOTTEN}
        if release.status in (*SERVED, "ready"):
            status = "forgotten" if release.status in SERVED else "retired"
            values |= {"status": status, "changed_at": now, "refusal": {"reason": reason}}
        connection.execute(releases.update().where(releases.c.name == release.name).values(values))
    return [release for release in known if release.status in SERVED]


def _step_in(
    connection: sa.Connection, ended: Sequence[Release], *, bindings: Bindings, now: float
) -> dict[str, Release]:
    """Fill the place of every champion that has ended, where a release holds that can."""
    in_force = {}
    for release in ended:
        if release.status != "champion":
            continue
        # What is on trial has not learned from it, and goes on; what it is compared with is another one now.
        canary = sa.and_(releases.c.task == release.task, releases.c.status == "canary")
        connection.execute(releases.update().where(canary).values(changed_at=now))
        if release.task not in bindings:
            continue
        if follows := in_line(connection, release.task, binding=bindings[release.task], now=now):
            crowned = {"status": "champion", "changed_at": now}
            connection.execute(releases.update().where(releases.c.name == follows.name).values(crowned))
            in_force[release.task] = follows
    return in_force


def _named(release: Release | None) -> str:
    return release.name if release else "none, the teacher answers"


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
            texts |= {(said(message), student, teacher) for message in messages}
    pairs = sa.select(judge_labels).where(judge_labels.c.task.in_([task for task in found.ids if task]))
    for pair in connection.execute(pairs).all():
        if (pair.prompt, pair.student, pair.teacher) in texts:
            same = (judge_labels.c[name] == getattr(pair, name) for name in ("task", "judge", "pair"))
            connection.execute(judge_labels.delete().where(*same))


def _overwrite(engine: sa.Engine) -> None:
    """SQLite's log of changes still holds what was there; it is emptied once nobody reads from it."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
