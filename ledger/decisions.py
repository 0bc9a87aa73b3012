"""What the worker decided about a task, and why. A reason that only repeats the last one is not written again."""

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from ledger.database import writing
from ledger.schema import decisions

Action = Literal["train", "wait", "void"]


@dataclass(frozen=True)
class Decision:
    """One decision; `release`: what came of it, or what it was about."""

    at: float
    task: str
    action: Action
    trigger: str
    reason: str
    release: str | None = None


def record(engine: sa.Engine, decision: Decision) -> bool:
    """Write a decision; waiting for the same reason as before is written once. Returns whether it was written."""
    with writing(engine) as connection:
        last = connection.execute(_of(decision.task).limit(1)).one_or_none()
        repeated = last is not None and decision.action == last.action == "wait" and decision.trigger == last.trigger
        if not repeated:
            connection.execute(decisions.insert().values(**vars(decision)))
    return not repeated


def latest(engine: sa.Engine, task: str, *, limit: int = 20) -> list[Decision]:
    """A task's newest decisions, newest first."""
    with engine.connect() as connection:
        return [Decision(**row) for row in connection.execute(_of(task).limit(limit)).mappings()]


def _of(task: str) -> sa.Select[tuple[object, ...]]:
    columns = [decisions.c[name] for name in Decision.__dataclass_fields__]
    return sa.select(*columns).where(decisions.c.task == task).order_by(decisions.c.id.desc())
