"""Since when a task has the teacher model that it has: what another model answered certifies nothing for this one.

The ledger keeps a teacher's name with each answer, and the settings may put another model behind a name. While a
release is in force that voids it, and traffic begins anew with that; without one nothing else tells the two apart.
"""

import json
import math

import sqlalchemy as sa

from ledger.database import writing
from ledger.schema import settings


def note(engine: sa.Engine, task: str, *, model: str, now: float) -> None:
    """Remember the model that the settings name for a task, and when it became another one."""
    with writing(engine) as connection:
        known = _known(connection, task)
        if known is None:
            connection.execute(settings.insert().values(key=_key(task), value=json.dumps([model, None])))
        elif known[0] != model:
            changed = settings.update().where(settings.c.key == _key(task))
            connection.execute(changed.values(value=json.dumps([model, now])))


def since(connection: sa.Connection, task: str) -> float:
    """When the task's model became another one, in seconds since the epoch; -inf where it never did."""
    known = _known(connection, task)
    return -math.inf if known is None or known[1] is None else known[1]


def _known(connection: sa.Connection, task: str) -> tuple[str, float | None] | None:
    value = connection.execute(sa.select(settings.c.value).where(settings.c.key == _key(task))).scalar()
    return None if value is None else tuple(json.loads(value))


def _key(task: str) -> str:
    return f"teacher of {task}"
