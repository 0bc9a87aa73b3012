"""From a release to the rows that it was made of, and why others were left out; which rows there are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger.database import parts
from ledger.queries import UseKind
from ledger.releases import history
from ledger.schema import exchanges, row_uses


@dataclass(frozen=True)
class UsedRow:
    """`reason`: why curation has rejected it; "paired" where it taught with a wrong answer beside the right one,
    "reasoned" with what its teacher thought, "told of" with what it said of tokens; where it was suspected,
    "put right" by what the teacher said when it was asked again, or "repeated" by it."""

    exchange_id: str
    use: UseKind
    reason: str | None


def counts(engine: sa.Engine, release: str) -> dict[tuple[UseKind, str | None], int]:
    """(use, reason) -> rows."""
    query = sa.select(row_uses.c.use, row_uses.c.reason, sa.func.count()).where(row_uses.c.release == release)
    with engine.connect() as connection:
        found = connection.execute(query.group_by(row_uses.c.use, row_uses.c.reason))
        return {(use, reason): count for use, reason, count in found}


def rows(engine: sa.Engine, release: str) -> Iterator[UsedRow]:
    """By use, then in the order of their ids, which is that of their arrival."""
    query = sa.select(row_uses.c.exchange_id, row_uses.c.use, row_uses.c.reason).where(row_uses.c.release == release)
    with engine.connect() as connection:
        for row in connection.execute(query.order_by(row_uses.c.use, row_uses.c.exchange_id)):
            yield UsedRow(*row)


def unknown(engine: sa.Engine, exchange_ids: Sequence[str]) -> list[str]:
    """Those that no exchange has."""
    known: set[str] = set()
    with engine.connect() as connection:
        for part in parts(exchange_ids):
            known |= set(connection.execute(sa.select(exchanges.c.id).where(exchanges.c.id.in_(part))).scalars())
    return [each for each in exchange_ids if each not in known]


def looks(engine: sa.Engine, task: str, *, adapter_digest: str, question: Mapping[str, Any]) -> int:
    """How often labels were looked at to certify this adapter with the same `question`, whatever came of it: a run that
    was killed at the last moment, without a report, has looked too."""
    adapters = [release for release in history(engine, task) if release.adapter_digest == adapter_digest]
    same = [each.name for each in adapters if question.items() <= {**question, **(each.report or {})}.items()]
    looked = sa.select(row_uses.c.release).where(row_uses.c.release.in_(same), row_uses.c.use == "certify").distinct()
    with engine.connect() as connection:
        return len(connection.execute(looked).all())
