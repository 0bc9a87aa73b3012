"""Requests of clients that were recorded without a task: what each kind of them comes to, and making them a task's."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from ledger.database import LedgerError, writing
from ledger.prompts import UNMATCHED
from ledger.schema import exchanges, releases, teacher_replies

_LABEL = exchanges.c.id == teacher_replies.c.exchange_id


class ClaimRefused(LedgerError):
    """Recorded requests cannot become the task's; the message says why."""


@dataclass(frozen=True)
class Volume:
    """Requests with one model name and one fingerprint that were answered: sums in US dollars and tokens, as the
    teacher counted them; when the first and the newest of them came, in seconds since the epoch."""

    model: str
    fingerprint: str
    requests: int
    usd: float
    prompt_tokens: int
    answer_tokens: int
    first_at: float
    last_at: float


@dataclass(frozen=True)
class Unclaimed:
    """One of them; `text` is None where the teacher has not answered."""

    exchange_id: str
    status: int
    messages: list[dict[str, Any]]
    params: dict[str, Any]
    text: str | None
    answer_tokens: int | None


@dataclass(frozen=True)
class Claim:
    """What an exchange is recorded as once it is a task's."""

    exchange_id: str
    as_reason: str
    as_eligible: bool
    as_reference: bool
    as_rho: float | None


def volumes(engine: sa.Engine, *, since: float) -> list[Volume]:
    """What there is since a time, dearest first."""
    usd = sa.func.sum(teacher_replies.c.cost_usd).label("usd")
    tokens = (teacher_replies.c.prompt_tokens, teacher_replies.c.completion_tokens)
    query = (
        sa.select(
            exchanges.c.model,
            exchanges.c.prompt_fingerprint,
            sa.func.count(),
            usd,
            *(sa.func.sum(counted) for counted in tokens),
            sa.func.min(exchanges.c.at),
            sa.func.max(exchanges.c.at),
        )
        .join_from(exchanges, teacher_replies, _LABEL)
        .where(_unclaimed(), exchanges.c.at >= since, exchanges.c.status == 200, teacher_replies.c.text.is_not(None))
        .group_by(exchanges.c.model, exchanges.c.prompt_fingerprint)
        .order_by(usd.desc(), exchanges.c.prompt_fingerprint)
    )
    with engine.connect() as connection:
        return [Volume(*row) for row in connection.execute(query)]


def prompts(
    engine: sa.Engine, model: str, *, fingerprints: Sequence[str] | None = None
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(fingerprint, messages of its newest request) of these, or of all that have ever asked for this model."""
    chosen = _unclaimed() if fingerprints is None else exchanges.c.prompt_fingerprint.in_(fingerprints)
    newest = (
        sa.select(sa.func.max(exchanges.c.seq))
        .where(_unclaimed(), exchanges.c.model == model, chosen)
        .group_by(exchanges.c.prompt_fingerprint)
    )
    query = sa.select(exchanges.c.prompt_fingerprint, exchanges.c.messages).where(exchanges.c.seq.in_(newest))
    with engine.connect() as connection:
        for row in connection.execute(query):
            yield row[0], row[1]


def rows(
    engine: sa.Engine, model: str, fingerprints: Sequence[str], *, since: float = 0.0, limit: int | None = None
) -> list[Unclaimed]:
    """The newest `limit` of them that came since a time, newest first."""
    query = (
        sa.select(
            exchanges.c.id.label("exchange_id"),
            *(exchanges.c[name] for name in ("status", "messages", "params")),
            teacher_replies.c.text,
            teacher_replies.c.completion_tokens.label("answer_tokens"),
        )
        .join_from(exchanges, teacher_replies, _LABEL, isouter=True)
        .where(_unclaimed(), exchanges.c.model == model, exchanges.c.prompt_fingerprint.in_(fingerprints))
        .where(exchanges.c.at >= since)
        .order_by(exchanges.c.at.desc())
        .limit(limit)
    )
    with engine.connect() as connection:
        return [Unclaimed(**row) for row in connection.execute(query).mappings()]


def claim(engine: sa.Engine, task: str, claims: Sequence[Claim]) -> int:
    """Make them the task's, all or none; returns how many had no task until now.

    Raises ClaimRefused where the task has a release: what it was made and certified on is settled, and while one was in
    force not every request was a reference.
    """
    with writing(engine) as connection:
        if connection.execute(sa.select(releases.c.name).where(releases.c.task == task).limit(1)).first():
            raise ClaimRefused(f"{task} has releases already: what was recorded before counts for a new task only")
        return connection.execute(_AS_CLAIMED.values(task=task), list(map(asdict, claims))).rowcount if claims else 0


def _unclaimed() -> sa.ColumnElement[bool]:
    return sa.and_(exchanges.c.task.is_(None), exchanges.c.reason == UNMATCHED, exchanges.c.origin == "client")


_AS_CLAIMED = (
    exchanges.update()
    .where(exchanges.c.id == sa.bindparam("exchange_id"), _unclaimed())
    .values({name: sa.bindparam(f"as_{name}") for name in ("reason", "eligible", "reference", "rho")})
)
