"""What is left of releases that have ended: their rows for ever, their adapters for a while."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from ledger import familiar
from ledger.database import writing
from ledger.schema import releases

IN_USE = ("candidate", "ready", "canary", "champion")
FORGOTTEN = "forgotten"  # in the place of what is: texts, and the path of an adapter that learned from them
DELETED = "deleted"  # in the place of the path of an adapter
GONE = {
    FORGOTTEN: "its adapter had to be deleted: what it had learned from is forgotten",
    DELETED: "its adapter was deleted, since nothing needed it (distill.keep_adapters): promote another release, or "
    "have the next one made",
}


def ended(engine: sa.Engine, tasks: Sequence[str], *, before: float) -> set[str]:
    """The releases of these tasks that had ended, whichever way, before a time in seconds since the epoch."""
    over = sa.and_(releases.c.status.not_in(IN_USE), releases.c.changed_at < before)
    with engine.connect() as connection:
        return set(connection.execute(sa.select(releases.c.name).where(releases.c.task.in_(tasks), over)).scalars())


def set_deleted(engine: sa.Engine, names: Collection[str], *, before: float) -> set[str]:
    """Say of releases that they have no adapter any more; of which of them it is said from now on, or was before.

    Not of one that is in use, or has not ended before that time: who puts it in force first has it, and afterwards
    nobody can.
    """
    meant = sa.and_(releases.c.name.in_(names), releases.c.status.not_in(IN_USE), releases.c.changed_at < before)
    with writing(engine) as connection:
        fresh = sa.and_(meant, releases.c.adapter_path.not_in(GONE))
        connection.execute(releases.update().where(fresh).values(adapter_path=DELETED))
        gone = set(connection.execute(sa.select(releases.c.name).where(meant)).scalars())
        familiar.drop(connection, gone)
        return gone
