"""The questions asked of the ledger. Rows come back as frozen facts, in order of time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

import sqlalchemy as sa

from ledger import teachers
from ledger.database import LedgerError, parts, writing
from ledger.ended import FORGOTTEN
from ledger.random_keys import random_key
from ledger.records import TRAFFIC, Draft, Origin, Usage
from ledger.releases import TAUGHT, last_voided, of_adapter
from ledger.schema import exchanges, feedback, releases, row_uses, teacher_replies

UseKind = Literal["train", "validate", "fit", "certify", "study", "reject"]
REFERENCE_KEY = "reference_key"
_LABEL = exchanges.c.id == teacher_replies.c.exchange_id
_GONE = exchanges.c.prompt_fingerprint == FORGOTTEN


class RowReused(LedgerError):
    """A row would certify twice, or certify a release that learned from it; nothing was written."""


@dataclass(frozen=True)
class Row:
    """An exchange of traffic with the teacher's answer to it; `teacher_text` is None where the label is lost, or, while
    the teacher has not `replied`, may still be on its way; `answered_at`: as in `ledger.teachers`. `good` and
    `correction`: what people say of the `answer`. Of one that is `forgotten` nothing is left but when it came."""

    exchange_id: str
    answered_at: float
    at: float
    messages: list[dict[str, Any]]
    params: dict[str, Any]
    eligible: bool
    reference: bool
    rho: float | None
    route: str
    release: str | None
    draft_text: str | None
    draft_finish_reason: str | None
    teacher: str | None
    teacher_text: str | None
    teacher_finish_reason: str | None
    teacher_background: bool
    replied: bool
    score: float | None
    teaches: bool
    answer: str | None
    good: bool | None
    correction: str | None
    forgotten: bool


@dataclass(frozen=True)
class Answer:
    """An answer of the student: its score, the rate at which it was drawn as a reference, and whether it was. The
    teacher's text is None where there is none, or where it is lost."""

    exchange_id: str
    seq: int
    at: float
    score: float
    rho: float
    reference: bool
    text: str | None
    teacher_text: str | None


@dataclass(frozen=True)
class Reference:
    """A reference that a release was asked, with its draft where there is one; the teacher's text is None where it is
    lost."""

    exchange_id: str
    messages: list[dict[str, Any]]
    draft: Draft | None
    teacher_text: str | None


@dataclass(frozen=True)
class Use:
    """What a row was used for in making a release; draft, score and disagreement for fitted and certifying rows,
    `reason` for rejected ones, and for those that taught otherwise than by the teacher's answer alone
    (`lineage.UsedRow`)."""

    exchange_id: str
    use: UseKind
    draft_text: str | None = None
    score: float | None = None
    disagreement: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Spend:
    """US dollars and counts of a task's client traffic. `teacher_usd`: client answers; `reference_usd`: labels."""

    requests: int
    student_answers: int
    teacher_usd: float
    reference_usd: float
    draft_usd: float

    @property
    def total_usd(self) -> float:
        """Everything spent on serving."""
        return self.teacher_usd + self.reference_usd + self.draft_usd


HARDLY_ANY = 0.01  # of a window's rows: so few that were drawn at a lower rate than 1 do not thin the others


def task_rows(
    engine: sa.Engine,
    task: str,
    *,
    since: float = 0.0,
    until: float = math.inf,
    origins: Sequence[Origin] = TRAFFIC,
) -> list[Row]:
    """A task's exchanges in [since, until), imported ones among them, in order of arrival."""
    query = _rows().where(_of(task, since, until, origins=origins)).order_by(exchanges.c.at, exchanges.c.id)
    with engine.connect() as connection:
        return [Row(**row) for row in connection.execute(query).mappings()]


def rows_of(engine: sa.Engine, exchange_ids: Sequence[str]) -> list[Row]:
    """These exchanges, in that order; what is unknown is left out."""
    found: dict[str, Row] = {}
    with engine.connect() as connection:
        for part in parts(exchange_ids):
            for row in connection.execute(_rows().where(exchanges.c.id.in_(part))).mappings():
                found[row["exchange_id"]] = Row(**row)
    return [found[each] for each in exchange_ids if each in found]


def _rows() -> sa.Select[Any]:
    return (
        sa.select(
            exchanges.c.id.label("exchange_id"),
            teachers.ANSWERED_AT.label("answered_at"),
            *(exchanges.c[name] for name in ("at", "messages", "params", "eligible", "reference", "rho", "route")),
            *(exchanges.c[name] for name in ("release", "draft_text", "draft_finish_reason")),
            *(exchanges.c[name] for name in ("score", "teaches", "answer")),
            teacher_replies.c.teacher,
            teacher_replies.c.text.label("teacher_text"),
            teacher_replies.c.finish_reason.label("teacher_finish_reason"),
            sa.func.coalesce(teacher_replies.c.background, sa.false()).label("teacher_background"),
            teacher_replies.c.exchange_id.is_not(None).label("replied"),
            feedback.c.good,
            feedback.c.correction,
            _GONE.label("forgotten"),
        )
        .join_from(exchanges, teacher_replies, _LABEL, isouter=True)
        .join(feedback, exchanges.c.id == feedback.c.exchange_id, isouter=True)
    )


def fresh_since(connection: sa.Connection, task: str) -> float:
    """Where the traffic begins that the next release is certified on, in seconds since the epoch; -inf for all of it.

    Behind the last row that has certified, whatever came of it, and behind the last alarm: traffic before an alarm
    says nothing of the traffic that a release made after it will meet. And behind a change of the teacher's model. And
    behind the newest that is forgotten, if that is more than hardly any of it: what is left is no random part.
    """
    query = sa.select(sa.func.max(exchanges.c.at)).where(exchanges.c.task == task, _used_to_certify())
    certified = connection.execute(query).scalar()
    anew = max(last_voided(connection, task), teachers.since(connection, task))
    since = max(anew, -math.inf if certified is None else float(certified))
    fresh = (exchanges.c.task == task, exchanges.c.origin.in_(TRAFFIC), exchanges.c.at > since)
    counts = sa.select(sa.func.count(), sa.func.count().filter(_GONE), sa.func.max(exchanges.c.at).filter(_GONE))
    known, forgotten, newest = connection.execute(counts.where(*fresh)).one()
    return float(newest) if forgotten > HARDLY_ANY * known else since


def last_cut(connection: sa.Connection, task: str) -> float:
    """The newest data cut of any attempt, -inf without one: curation has chosen among the rows before it."""
    query = sa.select(sa.func.max(releases.c.cut_at)).where(releases.c.task == task)
    found = connection.execute(query).scalar()
    return -math.inf if found is None else float(found)


def first_at(engine: sa.Engine, task: str) -> float:
    """When the task's recorded traffic begins, inf where there is none."""
    query = sa.select(sa.func.min(exchanges.c.at)).where(exchanges.c.task == task, exchanges.c.origin.in_(TRAFFIC))
    with engine.connect() as connection:
        found = connection.execute(query).scalar()
    return math.inf if found is None else float(found)


def newest_at(engine: sa.Engine, task: str) -> float:
    """When the task's newest recorded request arrived, -inf where there is none: behind it the ledger knows nothing."""
    with engine.connect() as connection:
        found = connection.execute(sa.select(sa.func.max(exchanges.c.at)).where(exchanges.c.task == task)).scalar()
    return -math.inf if found is None else float(found)


def _used_to_certify() -> sa.ColumnElement[bool]:
    return exchanges.c.id.in_(sa.select(row_uses.c.exchange_id).where(row_uses.c.use == "certify"))


def rows_used(engine: sa.Engine, task: str) -> dict[str, set[str]]:
    """Exchange id -> what it has been used for, over all releases of the task; what was studied or rejected is not
    used up."""
    prefix = f"{task}--v"  # compared as it is: in LIKE a task's underscore would stand for any letter
    of_task = sa.func.substr(row_uses.c.release, 1, len(prefix)) == prefix
    query = sa.select(row_uses.c.exchange_id, row_uses.c.use).where(of_task, row_uses.c.use.not_in(("study", "reject")))
    used: dict[str, set[str]] = {}
    with engine.connect() as connection:
        for exchange_id, use in connection.execute(query):
            used.setdefault(exchange_id, set()).add(use)
    return used


def record_uses(engine: sa.Engine, *, release: str, uses: Sequence[Use]) -> None:
    """Record uses, all or none.

    Raises RowReused where a row is to certify after any use before, or is to teach the release that it certifies.
    """
    if not uses:
        return
    certifying = [use.exchange_id for use in uses if use.use == "certify"]
    rows = [{"release": release, **{name: getattr(use, name) for name in Use.__dataclass_fields__}} for use in uses]
    try:
        with writing(engine) as connection:
            _refuse_reuse(connection, certifying, release=release)
            connection.execute(row_uses.insert(), rows)
    except sa.exc.IntegrityError as error:
        raise RowReused(f"{release}: a row has a use already: {error.orig}") from error


def _refuse_reuse(connection: sa.Connection, certifying: Sequence[str], *, release: str) -> None:
    """None that trained certifies: the row must be unknown to every earlier release, but that another adapter's may
    have been studied with it."""
    same = of_adapter(sa.select(releases.c.adapter_digest).where(releases.c.name == release).scalar_subquery())
    used = sa.or_(row_uses.c.use != "study", row_uses.c.release.in_(same))
    for part in parts(certifying):
        query = sa.select(row_uses.c.exchange_id, row_uses.c.use).where(row_uses.c.exchange_id.in_(part), used)
        if found := connection.execute(query.limit(1)).first():
            raise RowReused(f"row {found.exchange_id} cannot certify: it was used before ({found.use})")


def rows_that_taught(engine: sa.Engine, adapter_digest: str) -> set[str]:
    """Exchanges that an adapter has learned from or was stopped by, under whichever release's name."""
    query = (
        sa.select(row_uses.c.exchange_id)
        .join(releases, releases.c.name == row_uses.c.release)
        .where(releases.c.adapter_digest == adapter_digest, row_uses.c.use.in_(TAUGHT))
    )
    with engine.connect() as connection:
        return set(connection.execute(query).scalars())


def certified_rows(engine: sa.Engine, release: str) -> list[tuple[float, float]]:
    """(score, disagreement) of the rows that a release was certified on, in the order of their ids."""
    query = sa.select(row_uses.c.score, row_uses.c.disagreement).where(
        row_uses.c.release == release, row_uses.c.use == "certify"
    )
    with engine.connect() as connection:
        return [(row[0], row[1]) for row in connection.execute(query.order_by(row_uses.c.exchange_id))]


def reference_key(engine: sa.Engine) -> bytes:
    """The key of the reference draw."""
    return random_key(engine, REFERENCE_KEY)


def route_counts(engine: sa.Engine, task: str, *, since: float = 0.0) -> dict[tuple[str, str], int]:
    """(route, reason) -> client requests."""
    query = (
        sa.select(exchanges.c.route, exchanges.c.reason, sa.func.count())
        .where(_of(task, since, math.inf, origins=("client",)))
        .group_by(exchanges.c.route, exchanges.c.reason)
    )
    with engine.connect() as connection:
        return {(route, reason): count for route, reason, count in connection.execute(query)}


def spend(engine: sa.Engine, task: str, *, since: float = 0.0, until: float = math.inf) -> Spend:
    """What a task's client traffic in [since, until) has cost."""
    teacher_usd, background = sa.func.sum(teacher_replies.c.cost_usd), teacher_replies.c.background
    query = (
        sa.select(
            sa.func.count(),
            sa.func.count().filter(exchanges.c.route == "student"),
            sa.func.coalesce(teacher_usd.filter(sa.not_(background)), 0.0),
            sa.func.coalesce(teacher_usd.filter(background), 0.0),
            sa.func.coalesce(sa.func.sum(exchanges.c.draft_cost_usd), 0.0),
        )
        .join_from(exchanges, teacher_replies, _LABEL, isouter=True)
        .where(_of(task, since, until, origins=("client",)))
    )
    with engine.connect() as connection:
        return Spend(*connection.execute(query).one())


def answers_since(
    engine: sa.Engine, release: str, *, after: int = 0, due: float = math.inf, limit: int | None = None
) -> list[Answer]:
    """The first `limit` answers of a release's student behind a number, in the order of their recording. What it has
    begun to answer is among them: whether a client stays to the end is up to what it reads. Not among them is what came
    while a budget left no room for references: it has been part of no draw.

    A reference whose request came before `due` has lost its label if it has none. At the first one that may still get
    it the list ends: to take those behind it first would prefer what the teacher answers quickly.
    """
    query = (
        sa.select(
            *(exchanges.c[name] for name in ("id", "seq", "at", "score", "rho", "reference", "draft_text")),
            teacher_replies.c.text,
            teacher_replies.c.exchange_id.is_not(None).label("replied"),
        )
        .join_from(exchanges, teacher_replies, _LABEL, isouter=True)
        .where(exchanges.c.release == release, exchanges.c.reason == "accepted", exchanges.c.seq > after)
        .where(exchanges.c.rho.is_not(None))
        .order_by(exchanges.c.seq)
        .limit(limit)
    )
    with engine.connect() as connection:
        rows = connection.execute(query)
        known = takewhile(lambda row: row.replied or not row.reference or row.at < due, rows)
        return [Answer(*row[:-1]) for row in known]


def answered_after(engine: sa.Engine, release: str, *, since: float) -> int:
    """How many requests that came after a time, in seconds since the epoch, a release's student has answered."""
    answered = (exchanges.c.release == release, exchanges.c.route == "student", exchanges.c.at > since)
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).where(*answered)).scalar_one())


def references_of(engine: sa.Engine, release: str, *, due: float) -> list[Reference]:
    """The references that a release was asked, in order, answered by it or not.

    A label that is missing of a request before `due` is lost; one of a later request may still be on its way, and the
    request is left out.
    """
    asked = exchanges.c.reason != "certificate_expired"
    settled = sa.or_(teacher_replies.c.exchange_id.is_not(None), exchanges.c.at < due)
    names = ("draft_text", "draft_finish_reason", "evidence", "draft_prompt_tokens", "draft_completion_tokens")
    query = (
        sa.select(exchanges.c.id, exchanges.c.messages, teacher_replies.c.text, *(exchanges.c[name] for name in names))
        .join_from(exchanges, teacher_replies, _LABEL, isouter=True)
        .where(exchanges.c.release == release, exchanges.c.reference, asked, settled)
        .order_by(exchanges.c.at, exchanges.c.id)
    )
    with engine.connect() as connection:
        rows = connection.execute(query)
        return [Reference(id, messages, _draft(*drafted), text) for id, messages, text, *drafted in rows]


def _draft(
    text: str | None, finish_reason: str | None, evidence: dict[str, float] | None, *tokens: int
) -> Draft | None:
    return None if text is None else Draft(text, finish_reason, evidence or {}, Usage(*tokens))


def mean_costs(engine: sa.Engine, task: str, *, release: str) -> tuple[float, float]:
    """US dollars that the task's teacher asks for an answer, and that a draft of the release costs; 0 without any."""
    asked = (
        sa.select(sa.func.avg(teacher_replies.c.cost_usd))
        .join(exchanges, _LABEL)
        .where(exchanges.c.task == task, exchanges.c.origin != "judge", teacher_replies.c.text.is_not(None))
    )
    drafted = sa.select(sa.func.avg(exchanges.c.draft_cost_usd)).where(exchanges.c.release == release)
    with engine.connect() as connection:
        teacher_usd, draft_usd = (connection.execute(query).scalar() for query in (asked, drafted))
        return float(teacher_usd or 0.0), float(draft_usd or 0.0)


def cost_timeline(engine: sa.Engine, task: str) -> list[tuple[float, str, float]]:
    """(time, route, US dollars with draft and reference label) of a task's client exchanges, in order."""
    cost = sa.func.coalesce(exchanges.c.draft_cost_usd, 0.0) + sa.func.coalesce(teacher_replies.c.cost_usd, 0.0)
    query = (
        sa.select(exchanges.c.at, exchanges.c.route, cost)
        .join_from(exchanges, teacher_replies, _LABEL, isouter=True)
        .where(_of(task, 0.0, math.inf, origins=("client",)))
        .order_by(exchanges.c.at, exchanges.c.id)
    )
    with engine.connect() as connection:
        return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def _of(task: str, since: float, until: float, *, origins: Sequence[Origin]) -> sa.ColumnElement[bool]:
    conditions = [exchanges.c.task == task, exchanges.c.origin.in_(origins), exchanges.c.at >= since]
    if until < math.inf:
        conditions.append(exchanges.c.at < until)
    return sa.and_(*conditions)
