"""The constant parts of the prompts that clients send: how many requests have each, and an example of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger.schema import exchanges

UNMATCHED = "no_task"  # the reason that requests without a task are recorded with


@dataclass(frozen=True)
class Prompt:
    """Requests with one model name and one fingerprint; `messages`: of the newest, which came at `last_at` (seconds
    since the epoch)."""

    model: str
    fingerprint: str
    requests: int
    last_at: float
    messages: list[dict[str, Any]]


def counts(engine: sa.Engine, tasks: Iterable[str], *, since: float) -> tuple[int, int]:
    """(requests without a task, and those with the tasks' own) of clients since a time."""
    unmatched = sa.func.count().filter(exchanges.c.reason == UNMATCHED)
    named = sa.or_(exchanges.c.task.in_(tasks), exchanges.c.task.is_(None))  # as the index has them
    query = sa.select(unmatched, sa.func.count()).where(named, exchanges.c.at >= since, exchanges.c.origin == "client")
    with engine.connect() as connection:
        found, every = connection.execute(query).one()
        return found, every


def prompts_of(engine: sa.Engine, task: str | None, *, since: float, limit: int) -> list[Prompt]:
    """The most frequent prompts of a task, or of requests without one, since a time; most frequent first."""
    of_it = [exchanges.c.task == task] if task else [exchanges.c.task.is_(None), exchanges.c.reason == UNMATCHED]
    groups = (
        sa.select(
            exchanges.c.model,
            exchanges.c.prompt_fingerprint,
            sa.func.count().label("requests"),
            sa.func.max(exchanges.c.seq).label("newest"),
        )
        .where(*of_it, exchanges.c.at >= since, exchanges.c.origin == "client")
        .group_by(exchanges.c.model, exchanges.c.prompt_fingerprint)
        .order_by(sa.desc("requests"), sa.desc("newest"))
        .limit(limit)
        .subquery()
    )
    query = (
        sa.select(groups.c.model, groups.c.prompt_fingerprint, groups.c.requests, exchanges.c.at, exchanges.c.messages)
        .join(exchanges, exchanges.c.seq == groups.c.newest)
        .order_by(groups.c.requests.desc(), groups.c.newest.desc())
    )
    with engine.connect() as connection:
        return [Prompt(*row) for row in connection.execute(query)]
