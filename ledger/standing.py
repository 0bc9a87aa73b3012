"""How a task stands: what the worker's triggers and `tutelage status` ask, counted by the database."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import sqlalchemy as sa

from ledger import teachers
from ledger.queries import HARDLY_ANY, fresh_since, last_cut
from ledger.records import TRAFFIC
from ledger.releases import SERVED
from ledger.schema import exchanges, releases, row_uses, teacher_replies

RECENT = 500  # requests that an escalation rate is told from
TELLING = 100  # fewer tell none
LABELLED_WITHIN_S = 3600.0  # a label comes within minutes of its request
ENOUGH = 100_000  # rows: more of them are not counted


@dataclass(frozen=True)
class Standing:
    """Counts of a task's eligible requests.

    `rows` could teach, before the cut that a run would make now, `ENOUGH` at most; `references` after it are unused;
    `new_rows` came after the last attempt began and after the last alarm; a run that was killed or failed on the way is
    no attempt. So many `refusals` came last, in the test or on trial.
    `forgotten`: the release that is to be trained again, since what it has learned from is forgotten; None where none
    is, or where that was tried, or where a newer one serves.
    `escalation_rate`: of the champion's recent requests, None where there are few. `references_needed`: what the last
    refusal asked for, None where it did not. `first_at`: where clients' traffic since the last certification or alarm
    begins, of which `live_share` is the share among all since then, an imported log included.
    """

    rows: int
    references: int
    new_rows: int
    attempts: int
    refusals: int
    champion: str | None
    champion_since: float | None
    voided: bool
    forgotten: str | None
    escalation_rate: float | None
    references_needed: int | None
    first_at: float | None
    live_share: float


def standing(engine: sa.Engine, task: str, *, teacher: str, window_share: float) -> Standing:
    """One reading; times are seconds since the epoch. Rows that another teacher has answered count for nothing."""
    # Of fresh traffic the name says it all: that has begun behind the last change of the model.
    mine = sa.and_(_eligible(task), ~_answered_by_another(teacher))
    with engine.connect() as connection:
        said = teachers.answers(connection, task, teacher=teacher)
        fresh = fresh_since(connection, task)
        first_at, live, all_fresh = _pace(connection, sa.and_(mine, exchanges.c.at > fresh))
        cut_at = _cut(connection, task, mine, since=fresh, window_share=window_share)
        history = [row for row in connection.execute(_history(task)).all() if _came_to_a_verdict(row)]
        champion = next((row for row in history if row.status == "champion"), None)
        return Standing(
            rows=_count_some(connection, sa.and_(_teaching(task, said), exchanges.c.at < cut_at)),
            references=_references(connection, mine, since=cut_at),
            new_rows=_count(
                connection,
                sa.and_(mine, exchanges.c.at > max(fresh, history[0].created_at if history else -math.inf)),
            ),
            attempts=len(history),
            refusals=_refusals(history),
            champion=champion.name if champion else None,
            champion_since=champion.changed_at if champion else None,
            voided=champion is None and _was_voided(history),
            forgotten=_to_train_again(history),
            escalation_rate=_escalation_rate(connection, task, champion.name) if champion else None,
            references_needed=_references_needed(history[0]) if history else None,
            first_at=first_at,
            live_share=live / all_fresh if all_fresh else 0.0,
        )


def _pace(connection: sa.Connection, fresh: sa.ColumnElement[bool]) -> tuple[float | None, int, int]:
    """When clients began to ask, how many requests are theirs, and how many there are with those of logs."""
    live = exchanges.c.origin == "client"
    query = sa.select(sa.func.min(exchanges.c.at).filter(live), sa.func.count().filter(live), sa.func.count())
    first_at, asked, known = connection.execute(query.where(fresh)).one()
    return first_at, int(asked), int(known)


@dataclass(frozen=True)
class Load:
    """A task's client requests, how many of them its teacher answered (labels in the background too), and the tokens
    of all, as whoever answered counted them; when the first of them arrived."""

    requests: int
    answered: int
    tokens: int
    first_at: float | None


def load(engine: sa.Engine, task: str, *, since: float) -> Load:
    """What clients have asked of a task since then, in seconds since the epoch."""
    teacher_tokens = teacher_replies.c.prompt_tokens + teacher_replies.c.completion_tokens
    draft_tokens = exchanges.c.draft_prompt_tokens + exchanges.c.draft_completion_tokens
    answered = teacher_replies.c.text.is_not(None)
    query = (
        sa.select(
            sa.func.count(),
            sa.func.count().filter(answered),
            sa.func.coalesce(sa.func.sum(sa.case((answered, teacher_tokens), else_=draft_tokens)), 0),
            sa.func.min(exchanges.c.at),
        )
        .join_from(exchanges, teacher_replies, teacher_replies.c.exchange_id == exchanges.c.id, isouter=True)
        .where(exchanges.c.task == task, exchanges.c.origin == "client", exchanges.c.at >= since)
    )
    with engine.connect() as connection:
        return Load(*connection.execute(query).one())


@dataclass(frozen=True)
class Traffic:
    """A task's client requests that were answered, and how many of them a student could be asked; of those that the
    teacher `answered` (labels too) the mean cost in US dollars and the mean tokens; when the first of all arrived."""

    requests: int
    eligible: int
    answered: int
    teacher_usd: float
    prompt_tokens: float
    answer_tokens: float
    first_at: float


def traffic(engine: sa.Engine, task: str, *, teacher: str, since: float) -> Traffic | None:
    """What clients have asked of a task since then; None where its teacher has answered nothing of it."""
    answered = sa.and_(teacher_replies.c.teacher == teacher, teacher_replies.c.text.is_not(None))
    means = (teacher_replies.c.cost_usd, teacher_replies.c.prompt_tokens, teacher_replies.c.completion_tokens)
    query = (
        sa.select(
            sa.func.count(),
            sa.func.count().filter(exchanges.c.eligible),
            sa.func.count().filter(answered),
            *(sa.func.avg(mean).filter(answered) for mean in means),
            sa.func.min(exchanges.c.at),
        )
        .join_from(exchanges, teacher_replies, teacher_replies.c.exchange_id == exchanges.c.id, isouter=True)
        .where(exchanges.c.task == task, exchanges.c.origin == "client", exchanges.c.at >= since)
        .where(exchanges.c.status == 200)
    )
    with engine.connect() as connection:
        found = connection.execute(query).one()
    return Traffic(*found[:3], *map(float, found[3:])) if found[2] else None


def _eligible(task: str) -> sa.ColumnElement[bool]:
    return sa.and_(exchanges.c.task == task, exchanges.c.origin.in_(TRAFFIC), exchanges.c.eligible)


def _teaching(task: str, said: teachers.Answers) -> sa.ColumnElement[bool]:
    """What may teach, that which a teacher has written among it."""
    written = sa.and_(exchanges.c.task == task, exchanges.c.origin == "synthetic")
    # A log's times say nothing of when it was imported. What else came long before, no answer has to be looked up of.
    late = sa.or_(exchanges.c.origin == "import", exchanges.c.at > said.begin - LABELLED_WITHIN_S)
    labelled = sa.exists().where(
        teacher_replies.c.exchange_id == exchanges.c.id,
        teacher_replies.c.text.is_not(None),
        said.condition(teacher_replies.c.at, teacher_replies.c.teacher),
    )
    some = sa.true() if said.begin == -math.inf else late
    return sa.and_(sa.or_(_eligible(task), written), exchanges.c.teaches, some, labelled)


def _answered_by_another(teacher: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(teacher_replies.c.exchange_id == exchanges.c.id, teacher_replies.c.teacher != teacher)


def _used() -> sa.ColumnElement[bool]:
    return sa.exists().where(row_uses.c.exchange_id == exchanges.c.id, row_uses.c.use != "study")


def _history(task: str) -> sa.Select[tuple[object, ...]]:
    names = ("name", "number", "status", "created_at", "changed_at", "refusal", "report")
    return (
        sa.select(*(releases.c[name] for name in names))
        .where(releases.c.task == task)
        .order_by(releases.c.number.desc())
    )


def _came_to_a_verdict(release: sa.Row[Any]) -> bool:
    return release.status != "candidate" and bool((release.refusal or {}).get("verdict", True))


def _was_voided(history: Sequence[sa.Row[Any]]) -> bool:
    """Whether it was that which ended the last champion."""
    ended = [row for row in history if row.status in ("voided", "rolled_back", "forgotten")]
    return bool(ended) and max(ended, key=lambda row: (row.changed_at, row.name)).status == "voided"


def _to_train_again(history: Sequence[sa.Row[Any]]) -> str | None:
    """The newest that had to be forgotten and none was made since; one that serves and is newer has taken its place."""
    serving = next((row.number for row in history if row.status in SERVED), 0)
    ended = [row for row in history if row.status == "forgotten" and row.number > serving]
    newest = max(ended, key=lambda row: (row.changed_at, row.number), default=None)
    return newest.name if newest and newest.changed_at >= history[0].created_at else None


def _refusals(history: Sequence[sa.Row[Any]]) -> int:
    """The last attempts that came to nothing, of those begun behind the last alarm: what was before it is past."""
    voided_at = max((row.changed_at for row in history if row.status == "voided"), default=-math.inf)
    return sum(1 for _ in takewhile(lambda row: _in_vain(row) and row.created_at > voided_at, history))


def _in_vain(release: sa.Row[Any]) -> bool:
    """Refused, or rolled back for what it did: a person who rolls back gives no reason, nor needs another student."""
    return release.status == "refused" or (release.status == "rolled_back" and bool(release.refusal))


def _references_needed(last: sa.Row[Any]) -> int | None:
    """A refusal for want of them asks for them; one for its errors asks for another student (docs/decisions/0050)."""
    refusal = last.refusal or {}
    return int(refusal["rows_needed"]) if refusal.get("rows_needed") and not refusal.get("labels_seen") else None


def _cut(
    connection: sa.Connection, task: str, mine: sa.ColumnElement[bool], *, since: float, window_share: float
) -> float:
    """Where the newest `window_share` of the fresh traffic begins; at its beginning where there is none yet; later,
    where all began to be references, if there are more of them behind that."""
    fresh = sa.and_(mine, exchanges.c.at > since)
    position = int(_count(connection, fresh) * (1.0 - window_share))
    query = sa.select(exchanges.c.at).where(fresh).order_by(exchanges.c.at, exchanges.c.id)
    found = connection.execute(query.limit(1).offset(position)).scalar()
    cut_at = max(last_cut(connection, task), math.nextafter(since, math.inf) if found is None else float(found))
    begins = _all_drawn_since(connection, fresh)
    if begins <= cut_at:
        return cut_at
    usual, late = (_references(connection, mine, since=each) for each in (cut_at, begins))
    return begins if late > usual else cut_at


def _all_drawn_since(connection: sa.Connection, fresh: sa.ColumnElement[bool]) -> float:
    """As a run has it: when the first came behind the last that was drawn at a lower rate than 1; -inf for none."""
    lower = sa.select(sa.func.max(exchanges.c.at)).where(fresh, exchanges.c.rho < 1.0).scalar_subquery()
    query = sa.select(sa.func.min(exchanges.c.at)).where(fresh, exchanges.c.rho.is_not(None), exchanges.c.at > lower)
    found = connection.execute(query).scalar()
    return -math.inf if found is None else float(found)


def _count(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(exchanges).where(condition)).scalar_one())


def _count_some(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> int:
    """At most `ENOUGH`: a task's history has no end, and is asked for every few seconds."""
    some = sa.select(exchanges.c.at).where(condition).limit(ENOUGH).subquery()
    return int(connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())


def _references(connection: sa.Connection, mine: sa.ColumnElement[bool], *, since: float) -> int:
    """Unused references, counted as a run takes them: at the lowest rate, or all where hardly any has a lower one."""
    window = sa.and_(mine, exchanges.c.at >= since)
    rows = _count(connection, window)
    if _count(connection, sa.and_(window, exchanges.c.rho < 1.0)) <= HARDLY_ANY * rows:
        return _count(connection, sa.and_(window, ~_used()))
    lowest = sa.select(sa.func.min(exchanges.c.rho)).where(window).scalar_subquery()
    query = sa.select(sa.func.sum(lowest / exchanges.c.rho)).where(window, exchanges.c.reference, ~_used())
    return int(connection.execute(query).scalar() or 0.0)


def _escalation_rate(connection: sa.Connection, task: str, champion: str) -> float | None:
    """Of the requests that the champion was asked: while the engine is away nothing is learned about it, nor from
    clients that did not wait."""
    asked = exchanges.c.reason.not_in(("student_unavailable", "certificate_expired", "client_left"))
    of_champion = sa.and_(_eligible(task), exchanges.c.release == champion, asked)
    query = sa.select(exchanges.c.reason).where(of_champion).order_by(exchanges.c.seq.desc()).limit(RECENT)
    reasons = connection.execute(query).scalars().all()
    return sum(reason != "accepted" for reason in reasons) / len(reasons) if len(reasons) >= TELLING else None
