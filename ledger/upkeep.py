"""What a student costs whatever it answers, charged by the hour while a release of its task is in force."""

from hashlib import sha256

import sqlalchemy as sa

from ledger import totals
from ledger.database import writing
from ledger.releases import SERVED
from ledger.schema import releases, settings

HOURS_A_MONTH = 30 * 24


def charge(engine: sa.Engine, task: str, *, usd_per_month: float, now: float) -> float:
    """Charge the hours that have passed whole since the last one, also those in which nobody asked; returns what that
    is in US dollars. The first call with a release in force begins an hour, one without ends it."""
    with engine.connect() as connection:  # it is asked every few seconds, and the ingester writes meanwhile
        if not _due(connection, task, now=now):
            return 0.0
    key, hours = _key(task), 0
    with writing(engine) as connection:
        begun = _begun(connection, task)
        if not _in_force(connection, task):
            connection.execute(settings.delete().where(settings.c.key == key))
        elif begun is None:
            connection.execute(settings.insert().values(key=key, value=repr(now)))
        else:
            hours = max(0, int((now - begun) // totals.HOUR_S))
            for hour in range(hours):
                at = begun + hour * totals.HOUR_S
                totals.charge(connection, task, origin="upkeep", usd=usd_per_month / HOURS_A_MONTH, at=at)
            until = repr(begun + hours * totals.HOUR_S)
            connection.execute(settings.update().where(settings.c.key == key).values(value=until))
    return hours * usd_per_month / HOURS_A_MONTH


def _due(connection: sa.Connection, task: str, *, now: float) -> bool:
    """Whether an hour begins, is over, or ends with the release."""
    begun, in_force = _begun(connection, task), _in_force(connection, task)
    return in_force is (begun is None) or (begun is not None and now - begun >= totals.HOUR_S)


def _begun(connection: sa.Connection, task: str) -> float | None:
    found = connection.execute(sa.select(settings.c.value).where(settings.c.key == _key(task))).scalar()
    return None if found is None else float(found)


def _in_force(connection: sa.Connection, task: str) -> bool:
    served = sa.select(releases.c.name).where(releases.c.task == task, releases.c.status.in_(SERVED))
    return connection.execute(served).first() is not None


def _key(task: str) -> str:
    """Of the settings' 64 letters a task's name may take 63."""
    return f"upkeep:{sha256(task.encode()).hexdigest()[:32]}"
