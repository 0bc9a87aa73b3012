"""References on which somebody has seen how well an adapter does: they certify that adapter no more."""

import math
from collections.abc import Sequence

import sqlalchemy as sa

from ledger.database import writing
from ledger.releases import of_adapter
from ledger.schema import exchanges, row_uses


def record_study(engine: sa.Engine, *, release: str, rows: Sequence[str]) -> None:
    """Remember that somebody has seen how well a release did on these exchanges: its adapter is certified on none of
    them. Whoever may choose when to certify by what they have seen would sooner or later see a worse one pass."""
    known = sa.select(row_uses.c.exchange_id).where(row_uses.c.release == release)
    with writing(engine) as connection:
        new = sorted(set(rows) - set(connection.execute(known).scalars()))
        if new:
            values = [{"exchange_id": row, "release": release, "use": "study"} for row in new]
            connection.execute(row_uses.insert(), values)


def studied_until(connection: sa.Connection, adapter_digest: str) -> float:
    """When the newest request arrived on which an adapter was studied, in seconds since the epoch; -inf for none."""
    studied = sa.and_(row_uses.c.use == "study", row_uses.c.release.in_(of_adapter(adapter_digest)))
    query = sa.select(sa.func.max(exchanges.c.at)).join(row_uses, row_uses.c.exchange_id == exchanges.c.id)
    found = connection.execute(query.where(studied)).scalar()
    return -math.inf if found is None else float(found)
