"""Leases: one holder of a name at a time, also over several processes and machines.

A lease ends by itself, so a holder that was killed blocks nobody for longer than its last term. Who holds one renews it
well before it ends. Who has lost one stops: the worker at once, a run at its next step, since whoever took the lease
has ended the candidate that the step goes on from.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from ledger.database import LedgerError, writing
from ledger.schema import leases

WORKER = "distill"  # the lease of the worker that leads
log = logging.getLogger(__name__)


class LeaseTaken(LedgerError):
    """Another holder has the lease; the message names it."""


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


def run_lease(task: str) -> str:
    """The lease that a task's run holds while it is under way."""
    return f"distill run {task}"


@contextmanager
def held(engine: sa.Engine, name: str, *, holder: str, term_s: float = 30.0) -> Iterator[None]:
    """Hold a lease while the block runs, renewed three times a term. Raises LeaseTaken at its start."""
    if not take(engine, name, holder=holder, now=time.time(), term_s=term_s):
        raise LeaseTaken(f"{name} is under way already, by {who(engine, name, now=time.time())}")
    done = threading.Event()
    renewing = threading.Thread(target=_renew, args=(engine, name, holder, term_s, done), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()
        give_back(engine, name, holder=holder)


def _renew(engine: sa.Engine, name: str, holder: str, term_s: float, done: threading.Event) -> None:  # noqa: PLR0917
    while not done.wait(term_s / 3):
        try:
            if not take(engine, name, holder=holder, now=time.time(), term_s=term_s):
                log.error("the lease of %s was lost", name)
        except sa.exc.SQLAlchemyError as error:
            log.warning("the lease of %s cannot be renewed: %s", name, type(error).__name__)


def give_back(engine: sa.Engine, name: str, *, holder: str) -> None:
    """End one's own lease; nothing happens where another has it."""
    with writing(engine) as connection:
        connection.execute(leases.delete().where(leases.c.name == name, leases.c.holder == holder))


def all_held(engine: sa.Engine, *, now: float) -> set[str]:
    """The names of the leases that somebody has now."""
    with engine.connect() as connection:
        return set(connection.execute(sa.select(leases.c.name).where(leases.c.until > now)).scalars())


def who(engine: sa.Engine, name: str, *, now: float) -> str | None:
    """Who has the lease now."""
    query = sa.select(leases.c.holder).where(leases.c.name == name, leases.c.until > now)
    with engine.connect() as connection:
        return connection.execute(query).scalar()
