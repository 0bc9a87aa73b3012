"""What teachers' answers took: tokens, dollars and seconds, of the exchanges that one asks about."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ledger.database import parts
from ledger.records import Usage
from ledger.schema import teacher_replies

TOKENS = Usage.__struct_fields__


@dataclass(frozen=True)
class Reply:
    """An answer, as it was recorded: US dollars at the price of then, 0 where nobody has said it; seconds, 0 where
    they were not measured, as in an imported log."""

    usage: Usage
    cost_usd: float
    latency_s: float


def replies(engine: sa.Engine, exchange_ids: Sequence[str]) -> dict[str, Reply]:
    """Exchange id -> its teacher's reply, of those that hold an answer."""
    names = ("exchange_id", "cost_usd", "latency_s", *TOKENS)
    query = sa.select(*(teacher_replies.c[name] for name in names)).where(teacher_replies.c.text.is_not(None))
    found: dict[str, Reply] = {}
    with engine.connect() as connection:
        for part in parts(exchange_ids):
            for exchange_id, usd, took_s, *tokens in connection.execute(
                query.where(teacher_replies.c.exchange_id.in_(part))
            ):
                found[exchange_id] = Reply(Usage(**dict(zip(TOKENS, tokens, strict=True))), usd, took_s)
    return found
