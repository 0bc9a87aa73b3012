"""What the worker decided about a task, or noticed, and why. What only repeats is not written again."""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from ledger.database import writing
from ledger.schema import decisions, releases

Action = Literal["train", "wait", "void", "take up", "promote", "roll back", "notice", "forget"]
FAILED = "failed"  # by what a task waits whose last run came to no verdict


@dataclass(frozen=True)
class Decision:
    """One decision; `release`: what came of it, or what it was about. A notice decides nothing and draws attention."""

    at: float
    task: str
    action: Action
    trigger: str
    reason: str
    release: str | None = None


Decided = tuple[str, str]  # action and trigger
_KIND = (decisions.c.task, decisions.c.action, decisions.c.trigger)
_COLUMNS = [decisions.c[name] for name in Decision.__dataclass_fields__]


def record(engine: sa.Engine, decision: Decision) -> bool:
    """Write a decision, and say whether it was new.

    A notice, which the next leader finds again, is written once. So is waiting by the same rule as before: `at` is when
    it began, and the reason follows its numbers.
    """
    with writing(engine) as connection:
        if decision.action == "notice":
            repeated = _found_before(connection, decision)
        else:
            repeated = _goes_on(connection, decision)
        if not repeated:
            connection.execute(decisions.insert().values(**vars(decision)))
    return not repeated


def tell_failed(engine: sa.Engine, task: str, why: str) -> None:
    """That the worker's last run came to no verdict, in the run's own words; the ledger may be what failed it."""
    with suppress(sa.exc.SQLAlchemyError):
        record(engine, Decision(time.time(), task, "wait", FAILED, f"a run has failed: {why}"))


def latest(engine: sa.Engine, task: str, *, limit: int = 20) -> list[Decision]:
    """A task's newest decisions and notices, newest first."""
    with engine.connect() as connection:
        return [Decision(**row) for row in connection.execute(_of(task).limit(limit)).mappings()]


def began(engine: sa.Engine, task: str) -> str | None:
    """Why the task's last run was begun, in words; None where nobody has said it."""
    with engine.connect() as connection:
        found = connection.execute(_of(task).where(decisions.c.action == "train").limit(1)).first()
    return found.reason if found else None


def after(engine: sa.Engine, last: int) -> list[tuple[int, Decision]]:
    """(id, decision) of what was written behind an id, oldest first."""
    query = sa.select(decisions.c.id, *_COLUMNS).where(decisions.c.id > last).order_by(decisions.c.id)
    with engine.connect() as connection:
        return [(number, Decision(*values)) for number, *values in connection.execute(query)]


def last_id(engine: sa.Engine) -> int:
    """The id of the newest, 0 where there is none."""
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.max(decisions.c.id))).scalar() or 0)


def notices(engine: sa.Engine, release: str) -> list[Decision]:
    """What was noticed about a release, newest first."""
    query = sa.select(*_COLUMNS).where(decisions.c.release == release, decisions.c.action == "notice")
    with engine.connect() as connection:
        return [Decision(**row) for row in connection.execute(query.order_by(decisions.c.at.desc())).mappings()]


def noticed(engine: sa.Engine) -> dict[str, dict[str, int]]:
    """Task -> trigger -> notices about the champion in force."""
    query = (
        sa.select(decisions.c.task, decisions.c.trigger, sa.func.count())
        .join(releases, releases.c.name == decisions.c.release)
        .where(releases.c.status == "champion", decisions.c.action == "notice")
        .group_by(decisions.c.task, decisions.c.trigger)
    )
    found: dict[str, dict[str, int]] = {}
    with engine.connect() as connection:
        for task, trigger, count in connection.execute(query):
            found.setdefault(task, {})[trigger] = count
    return found


def counted(engine: sa.Engine) -> dict[str, dict[Decided, int]]:
    """Task -> (action, trigger) -> how often, waits that went on counted once."""
    query = sa.select(decisions.c.task, decisions.c.action, decisions.c.trigger, sa.func.count())
    found: dict[str, dict[Decided, int]] = {}
    with engine.connect() as connection:
        for task, action, trigger, count in connection.execute(query.group_by(*_KIND)):
            found.setdefault(task, {})[action, trigger] = count
    return found


def standing_now(engine: sa.Engine) -> dict[str, Decided]:
    """Task -> its last decision, notices aside."""
    last = sa.select(sa.func.max(decisions.c.id)).where(decisions.c.action != "notice").group_by(decisions.c.task)
    query = sa.select(*_KIND).where(decisions.c.id.in_(last))
    with engine.connect() as connection:
        return {task: (action, trigger) for task, action, trigger in connection.execute(query)}


def _found_before(connection: sa.Connection, notice: Decision) -> bool:
    same = (decisions.c[name] == getattr(notice, name) for name in ("at", "action", "trigger", "release"))
    return connection.execute(_of(notice.task).where(*same).limit(1)).first() is not None


def _goes_on(connection: sa.Connection, decision: Decision) -> bool:
    """Whether it is the wait that was decided last; then its reason is brought up to date."""
    not_notice = _of(decision.task).where(decisions.c.action != "notice").add_columns(decisions.c.id)
    last = connection.execute(not_notice.limit(1)).one_or_none()
    if last is None or not (decision.action == last.action == "wait" and decision.trigger == last.trigger):
        return False
    if decision.reason != last.reason:
        connection.execute(decisions.update().where(decisions.c.id == last.id).values(reason=decision.reason))
    return True


def _of(task: str) -> sa.Select[tuple[object, ...]]:
    return sa.select(*_COLUMNS).where(decisions.c.task == task).order_by(decisions.c.id.desc())
