"""Leases: one holder of a name at a time, also over several processes and machines.

A lease ends by itself, so a holder that was killed blocks nobody for longer than its last term. Who holds one renews it
well before it ends, and stops acting when a renewal fails.
"""

import sqlalchemy as sa

from ledger.database import writing
from ledger.schema import leases


def take(engine: sa.Engine, name: str, *, holder: str, now: float, term_s: float) -> bool:
    """Take or renew a lease until `now + term_s`; False where another holder has it.

    A lease that ends more than two terms ahead was written before a clock was set back, and counts as ended.
    """
    with writing(engine) as connection:
        held = connection.execute(sa.select(leases).where(leases.c.name == name)).one_or_none()
        if held is None:
            connection.execute(leases.insert().values(name=name, holder=holder, until=now + term_s))
            return True
        if held.holder != holder and now < held.until <= now + 2 * term_s:
            return False
        connection.execute(leases.update().where(leases.c.name == name).values(holder=holder, until=now + term_s))
        return True


def give_back(engine: sa.Engine, name: str, *, holder: str) -> None:
    """End one's own lease; nothing happens where another has it."""
    with writing(engine) as connection:
        connection.execute(leases.delete().where(leases.c.name == name, leases.c.holder == holder))


def holder(engine: sa.Engine, name: str, *, now: float) -> str | None:
    """Who has the lease now."""
    query = sa.select(leases.c.holder).where(leases.c.name == name, leases.c.until > now)
    with engine.connect() as connection:
        return connection.execute(query).scalar()
