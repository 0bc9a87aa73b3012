"""What a release has made of the requests that it was asked, in the order of their recording."""

from dataclasses import dataclass

import sqlalchemy as sa

from ledger.schema import exchanges

UNFAMILIAR = "unfamiliar"  # the reason of what was not drafted, being unlike everything that taught the release


@dataclass(frozen=True)
class Looked:
    """At a request: the calibrated probability that its draft agrees with the teacher, and the tokens of its prompt;
    None of either where it was unfamiliar."""

    seq: int
    at: float
    score: float | None
    prompt_tokens: int | None


def since(engine: sa.Engine, release: str, *, after: int, limit: int) -> list[Looked]:
    """The first `limit` behind a number that were scored, or unfamiliar."""
    counts = sa.or_(exchanges.c.score.is_not(None), exchanges.c.reason == UNFAMILIAR)
    query = (
        sa.select(exchanges.c.seq, exchanges.c.at, exchanges.c.score, exchanges.c.draft_prompt_tokens)
        .where(exchanges.c.release == release, counts, exchanges.c.seq > after)
        .order_by(exchanges.c.seq)
        .limit(limit)
    )
    with engine.connect() as connection:
        return [Looked(*row) for row in connection.execute(query)]
