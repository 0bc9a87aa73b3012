"""What taught a release, as `calibration.familiar` keeps it. It never changes, and goes with the adapter."""

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from calibration.familiar import Familiar
from ledger.database import writing
from ledger.schema import familiar
from ledger.texts import variable_text

if TYPE_CHECKING:
    from ledger.releases import Release

BOUND = "familiar"  # its digest, in what a release is bound to


def keep(engine: sa.Engine, name: str, found: Familiar) -> str:
    """Of a release that is being made; the digest of what is kept."""
    kept = found.to_bytes()
    with writing(engine) as connection:
        connection.execute(familiar.insert().values(release=name, lessons=kept))
    return sha256(kept).hexdigest()


def of(engine: sa.Engine, release: "Release") -> Familiar | None:
    """None where it was certified for all requests alike.

    Raises ValueError where what is kept is not what it was certified with.
    """
    kept = _kept(engine, release)
    return Familiar.from_bytes(kept) if kept is not None else None


def is_there(engine: sa.Engine, release: "Release") -> bool:
    """Whether what taught it is known as it was certified."""
    try:
        _kept(engine, release)
    except ValueError:
        return False
    return True


def knows(known: Familiar | None, messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a request is like anything that taught a release: the gateway asks this of what it is asked, and a run of
    what it fits and certifies on."""
    return known is None or known.has(variable_text(messages))


def drop(connection: sa.Connection, names: Collection[str]) -> None:
    """Of releases that nothing puts in force any more."""
    connection.execute(familiar.delete().where(familiar.c.release.in_(names)))


def _kept(engine: sa.Engine, release: "Release") -> bytes | None:
    digest = ((release.report or {}).get("bound_to") or {}).get(BOUND)
    if digest is None:
        return None
    with engine.connect() as connection:
        query = sa.select(familiar.c.lessons).where(familiar.c.release == release.name)
        kept: bytes | None = connection.execute(query).scalar()
    if kept is None or sha256(kept).hexdigest() != digest:
        raise ValueError("what taught it is not there as it was certified: which requests it knows is not known")
    return kept
