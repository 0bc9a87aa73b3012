"""From a release to the rows that it was made of, and why others were left out; which rows there are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger.database import parts
from ledger.queries import UseKind
from ledger.releases import TAUGHT, history, of_adapter
from ledger.schema import exchanges, releases, row_uses

MADE = (*TAUGHT, "reject")  # uses of a row in the making of an adapter


@dataclass(frozen=True)
class UsedRow:
    """`reason`: why curation has rejected it; "corrected" where it taught what people have said in the place of its
    answer, and so with whatever else; "paired" where it taught with a wrong answer beside the right one,
    "reasoned" with what its teacher thought, "told of" with what it said of tokens; where it was suspected,
    "put right" by what the teacher said when it was asked again, or "repeated" by it."""

    exchange_id: str
    use: UseKind
    reason: str | None


def counts(engine: sa.Engine, release: str) -> dict[tuple[UseKind, str | None], int]:
    """(use, reason) -> rows, of those that `rows` has."""
    used = _uses(release).subquery().c
    query = sa.select(used.use, used.reason, sa.func.count()).group_by(used.use, used.reason)
    with engine.connect() as connection:
        return {(use, reason): count for use, reason, count in connection.execute(query)}


def rows(engine: sa.Engine, release: str) -> Iterator[UsedRow]:
    """Its own, and those that its adapter was made of under another name: by use, then in the order of their ids, which
    is that of their arrival."""
    with engine.connect() as connection:
        for row in connection.execute(_uses(release).order_by(row_uses.c.use, row_uses.c.exchange_id)):
            yield UsedRow(*row)


def _uses(release: str) -> sa.Select[Any]:
    """Each once: the same rows make the same adapter when it is trained again."""
    known = sa.select(releases.c.adapter_digest).where(releases.c.name == release, releases.c.adapter_digest != "")
    made = sa.and_(row_uses.c.use.in_(MADE), row_uses.c.release.in_(of_adapter(known.scalar_subquery())))
    query = sa.select(row_uses.c.exchange_id, row_uses.c.use, sa.func.min(row_uses.c.reason).label("reason"))
    return query.where(sa.or_(row_uses.c.release == release, made)).group_by(row_uses.c.use, row_uses.c.exchange_id)


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
