"""To forget what was recorded, on all that keeps it: adapters on vLLM and on disk, then the ledger.

In this order: whatever ends it half-way, the adapters are gone or the next call still finds them.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import sqlalchemy as sa

from distill.adapters import AdapterError
from distill.fleet import AdapterFleet
from ledger.forgetting import Found, Meant, find, forget
from ledger.spool import segments
from router.settings import ConfigError, Settings
from tutelage.distilling import exclusive, label_due_s

REJECTED = "*.rejected"


def in_words(found: Found) -> list[str]:
    """What is meant, and what becomes of it."""
    counts = [f"{len(ids)} exchanges of {task or 'no task'}" for task, ids in found.ids.items()]
    learned = [
        f"{each.name} ({each.status}) has learned from some: its adapter is deleted"
        + (", and the teacher answers until there is another release" if each.status == "champion" else "")
        for each in found.releases
    ]
    waits = f"{found.waiting} more wait for the teacher's label: say it again in some minutes"
    return [*counts, *learned, *([waits] if found.waiting else [])]


def look(engine: sa.Engine, settings: Settings, meant: Meant) -> Found:
    """What is meant now. Raises NothingToForget."""
    slowest_s = max((label_due_s(settings, task) for task in settings.tasks), default=0.0)
    return find(engine, meant, due=time.time() - slowest_s)


def forget_all(engine: sa.Engine, settings: Settings, meant: Meant, *, say: Callable[[str], None]) -> Found:
    """Forget what is found now. Raises NothingToForget, LeaseTaken while a release of these tasks is made, ConfigError
    where an adapter cannot be deleted; nothing is forgotten then."""
    with ExitStack() as stack:
        for task in look(engine, settings, meant).ids:
            if task is not None:
                stack.enter_context(exclusive(engine, task))
        found = look(engine, settings, meant)
        for release in found.releases:
            _delete_adapter(settings, release.name)
        forget(engine, found, meant=meant, now=time.time())
    if kept := sorted(settings.ledger.spool_dir.glob(REJECTED)):
        say(f"WARNING: {len(kept)} files of records that no database took were not searched: {kept[0]}")
    if segments(settings.ledger.spool_dir):
        say("a gateway's spool holds such texts for ten minutes more; what comes from now on is not forgotten by this")
    return found


def _delete_adapter(settings: Settings, name: str) -> None:
    with suppress(AdapterError):  # not loaded, or no engine: nothing is served from it
        AdapterFleet(settings.student.engines_url, timeout_s=5.0).unload(name)
    try:
        shutil.rmtree(settings.student.adapters_dir / name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"the adapter {error.filename} cannot be deleted: {error.strerror}") from error
