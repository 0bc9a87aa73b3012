"""What was said to belong to a task: names that clients give as a model, and system messages that were edited."""

import secrets
from dataclasses import asdict, dataclass
from typing import Literal

import sqlalchemy as sa

from ledger.database import LedgerError, writing
from ledger.schema import aliases as table

Kind = Literal["model", "prompt"]


class AliasRefused(LedgerError):
    """An alias cannot be made or ended as was asked; the message says why, and what to do."""


@dataclass(frozen=True)
class Alias:
    """`value`: the name, or the whole text of the system message. Times are seconds since the epoch."""

    id: str
    kind: Kind
    value: str
    task: str
    since: float
    ended_at: float | None = None


def add(engine: sa.Engine, *, kind: Kind, value: str, task: str, now: float) -> Alias:
    """Requests with this name or system message belong to the task from now on. Raises AliasRefused where they belong
    to one already."""
    made = Alias(f"alias-{secrets.token_hex(4)}", kind, value, task, now)
    with writing(engine) as connection:
        for known in _in_force(connection):
            if (known.kind, known.value) == (kind, value):
                raise AliasRefused(f"{known.id} makes it {known.task}'s already: `tutelage alias remove {known.id}`")
        connection.execute(table.insert().values(asdict(made)))
    return made


def end(engine: sa.Engine, alias_id: str, *, now: float) -> Alias:
    """From now on such requests belong where they would without it. Raises AliasRefused where none of that id holds."""
    with writing(engine) as connection:
        found = next((known for known in _in_force(connection) if known.id == alias_id), None)
        if found is None:
            raise AliasRefused(f"no alias {alias_id!r} is in force: `tutelage alias list` shows the ids")
        connection.execute(table.update().where(table.c.id == alias_id).values(ended_at=now))
    return found


def in_force(engine: sa.Engine) -> list[Alias]:
    """Those that hold now, oldest first."""
    with engine.connect() as connection:
        return _in_force(connection)


def version(engine: sa.Engine) -> tuple[int, int]:
    """Another one whenever an alias was made or ended: none is ever deleted, and none comes back."""
    with engine.connect() as connection:
        made, ended = connection.execute(sa.select(sa.func.count(), sa.func.count(table.c.ended_at))).one()
        return made, ended


def _in_force(connection: sa.Connection) -> list[Alias]:
    query = sa.select(table).where(table.c.ended_at.is_(None)).order_by(table.c.since, table.c.id)
    return [Alias(**row) for row in connection.execute(query).mappings()]
