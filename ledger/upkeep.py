"""What a student costs whatever it answers, charged by the hour while a release of its task is in force."""

import sqlalchemy as sa

from ledger import totals
from ledger.database import writing
from ledger.schema import releases, settings

HOURS_A_MONTH = 30 * 24


def charge(engine: sa.Engine, task: str, *, usd_per_month: float, now: float) -> float:
    """Charge the hours that have passed whole since the last one, also those in which nobody asked; returns what that
    is in US dollars. The first call with a release in force begins an hour, one without ends it."""
    key = f"upkeep:{task}"[:64]
    row = settings.c.key == key
    champion = sa.select(releases.c.name).where(releases.c.task == task, releases.c.status == "champion")
    with writing(engine) as connection:
        begun = connection.execute(sa.select(settings.c.value).where(row)).scalar()
        if connection.execute(champion).first() is None:
            connection.execute(settings.delete().where(row))
            return 0.0
        if begun is None:
            connection.execute(settings.insert().values(key=key, value=repr(now)))
            return 0.0
        hours = max(0, int((now - float(begun)) // totals.HOUR_S))
        for hour in range(hours):
            at = float(begun) + hour * totals.HOUR_S
            totals.charge(connection, task, origin="upkeep", usd=usd_per_month / HOURS_A_MONTH, at=at)
        if hours:
            until = repr(float(begun) + hours * totals.HOUR_S)
            connection.execute(settings.update().where(row).values(value=until))
    return hours * usd_per_month / HOURS_A_MONTH
