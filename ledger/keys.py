"""The keys with which clients, workers and admins ask a gateway. The ledger holds their digests, never the keys.

A key is 32 random bytes, so one SHA-256 is enough: a slow hash protects what people can think up and others can guess,
and at 2^256 there is nothing to guess. It would cost every request milliseconds.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

import sqlalchemy as sa

from ledger.budgets import Budget
from ledger.database import LedgerError, writing
from ledger.schema import keys as table

Role = Literal["client", "worker", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)  # each may do what the ones before it may
PREFIX = "tut-"


class KeyRefused(LedgerError):
    """A key cannot be made or changed as was asked; the message says why, and what to do."""


@dataclass(frozen=True)
class Grant:
    """What a key allows. `tasks` None: all, and teachers without a task; `rpm` and `tpm`: requests and tokens a minute;
    `streams`: at once; `budget`: of what its requests cost at teachers. None: not limited. A worker and an admin ask on
    our account, and are not. `teaches`: whether a student may learn from what it asks."""

    name: str
    role: Role = "client"
    tasks: tuple[str, ...] | None = None
    rpm: int | None = None
    tpm: int | None = None
    streams: int | None = None
    budget: Budget | None = None
    teaches: bool = True

    @property
    def limited(self) -> bool:
        """Whether its requests are counted."""
        return (self.rpm, self.tpm, self.streams) != (None, None, None)


@dataclass(frozen=True)
class Key:
    """A key as the ledger knows it: `id` is public. Times are seconds since the epoch.

    `account` is the id of the first key of a line of rotations: limits and budget are the line's, or a rotation would
    double them. `replaces`: the key before it in that line.
    """

    id: str
    digest: str
    account: str
    grant: Grant
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    replaces: str | None = None

    def valid(self, now: float) -> bool:
        """Whether it may be used."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def digest(secret: str) -> str:
    """What is stored of a key, and looked up."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create(engine: sa.Engine, grant: Grant, *, now: float, expires_at: float | None = None) -> tuple[Key, str]:
    """A new key and its secret, which nobody can read again. Raises KeyRefused where it would have expired already."""
    with writing(engine) as connection:
        return _add(connection, grant, now=now, expires_at=expires_at)


def rotate(
    engine: sa.Engine, key_id: str, *, now: float, grace_s: float, expires_at: float | None = None
) -> tuple[Key, str]:
    """A successor with the same grant, and its secret; the old key is valid for `grace_s` more, or until it expires.

    Without `expires_at` the successor of a key that expires lives as long as that was made for. Raises KeyRefused where
    the key is unknown, revoked, expired or rotated already.
    """
    with writing(engine) as connection:
        old = _get(connection, key_id)
        if not old.valid(now):
            raise KeyRefused(f"{old.id} is {state(old, now)}: create a new key")
        if successor := connection.execute(sa.select(table.c.id).where(table.c.replaces == old.id)).scalar():
            raise KeyRefused(f"{old.id} was rotated already: rotate its successor {successor}")
        if expires_at is None and old.expires_at is not None:
            expires_at = now + old.expires_at - old.created_at
        made, secret = _add(connection, old.grant, now=now, expires_at=expires_at, after=old)
        ends = now + grace_s if old.expires_at is None else min(now + grace_s, old.expires_at)
        connection.execute(table.update().where(table.c.id == old.id).values(expires_at=ends))
        return made, secret


def revoke(engine: sa.Engine, key_id: str, *, now: float) -> Key:
    """End a key at once, but not its successors; what is revoked stays so. Raises KeyRefused where it is unknown."""
    with writing(engine) as connection:
        found = _get(connection, key_id)
        if found.revoked_at is not None:
            return found
        connection.execute(table.update().where(table.c.id == key_id).values(revoked_at=now))
        return replace(found, revoked_at=now)


def all_keys(engine: sa.Engine) -> list[Key]:
    """Every key that was ever made, oldest first."""
    query = sa.select(table).order_by(table.c.created_at, table.c.id)
    with engine.connect() as connection:
        return [_key(row) for row in connection.execute(query)]


def version(engine: sa.Engine) -> tuple[int, int]:
    """Another one whenever a key was made, rotated or revoked: no key is ever deleted, and none comes back."""
    with engine.connect() as connection:
        made, revoked = connection.execute(sa.select(sa.func.count(), sa.func.count(table.c.revoked_at))).one()
        return made, revoked


def state(key: Key, now: float) -> str:
    """In a word."""
    if key.revoked_at is not None:
        return "revoked"
    return "valid" if key.valid(now) else "expired"


def _add(
    connection: sa.Connection, grant: Grant, *, now: float, expires_at: float | None, after: Key | None = None
) -> tuple[Key, str]:
    if grant.role != "client" and (grant.limited or grant.budget):
        raise KeyRefused(f"limits and budgets are for keys of the role client, not {grant.role}")
    if expires_at is not None and expires_at <= now:
        raise KeyRefused("the key would have expired already: name a time in the future, or none")
    secret, key_id = PREFIX + secrets.token_urlsafe(32), f"key-{secrets.token_hex(6)}"
    account, replaces = (after.account, after.id) if after else (key_id, None)
    made = Key(key_id, digest(secret), account, grant, now, expires_at=expires_at, replaces=replaces)
    connection.execute(table.insert().values(_row(made)))
    return made, secret


def _get(connection: sa.Connection, key_id: str) -> Key:
    row = connection.execute(sa.select(table).where(table.c.id == key_id)).one_or_none()
    if row is None:
        raise KeyRefused(f"no key {key_id!r}: `tutelage keys list` shows the ids")
    return _key(row)


_OF_KEY = [field.name for field in fields(Key) if field.name != "grant"]
_OF_GRANT = [field.name for field in fields(Grant) if field.name not in ("tasks", "budget")]


def _row(key: Key) -> dict[str, object]:
    grant, budget = key.grant, key.grant.budget
    return {
        **{name: getattr(key, name) for name in _OF_KEY},
        **{name: getattr(grant, name) for name in _OF_GRANT},
        "tasks": None if grant.tasks is None else list(grant.tasks),
        "budget_usd": budget.usd if budget else None,
        "budget_per": budget.per if budget else None,
    }


def _key(row: "sa.Row[tuple[object, ...]]") -> Key:
    found = row._mapping
    tasks: Sequence[str] | None = found["tasks"]
    budget = None if found["budget_usd"] is None else Budget(found["budget_usd"], found["budget_per"])
    grant = Grant(**{name: found[name] for name in _OF_GRANT}, tasks=None if tasks is None else tuple(tasks))
    return Key(**{name: found[name] for name in _OF_KEY}, grant=replace(grant, budget=budget))
