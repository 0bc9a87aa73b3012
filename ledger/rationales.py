"""What teachers thought before they answered, of the exchanges that one asks about: together they may be a ledger's
largest texts, and whoever counts or certifies reads none of them."""

from collections.abc import Sequence

import sqlalchemy as sa

from ledger.database import parts
from ledger.schema import teacher_replies


def rationales(engine: sa.Engine, exchange_ids: Sequence[str]) -> dict[str, str]:
    """Exchange id -> rationale, of those that have one."""
    columns = (teacher_replies.c.exchange_id, teacher_replies.c.rationale)
    query = sa.select(*columns).where(teacher_replies.c.rationale.is_not(None))
    found: dict[str, str] = {}
    with engine.connect() as connection:
        for part in parts(exchange_ids):
            rows = connection.execute(query.where(teacher_replies.c.exchange_id.in_(part)))
            found.update((exchange_id, rationale) for exchange_id, rationale in rows)
    return found
