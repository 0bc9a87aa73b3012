"""Adapters whose release has ended leave the engines; where it is not sure that nobody needs one it stays.

Only those go that the ledger knows, of tasks of which no run is under way: nobody else knows which adapters it uses.
"""

import logging
import math
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from distill.adapters import ASK_S, AdapterError
from distill.fleet import AdapterFleet
from ledger.ended import ended
from ledger.leases import all_held, run_lease

MARGIN_S = 60.0  # beyond a draft's time, from the end of a release: gateways read it within a second, clocks differ
QUIET_S = 60.0  # a run renews its lease six times meanwhile
LOOK_S = 10.0  # from one question to the engines to the next
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shelf:
    """Where adapters are: `url` of the engines, `folder` on disk, of these tasks. A release that ended `ended_s` ago is
    asked by no gateway any more, and the last draft that it was asked for is over."""

    url: str
    folder: Path
    tasks: Sequence[str]
    ended_s: float


class Quiet:
    """Of which tasks no run has been under way for a while, as was seen at looks in between.

    By looks and not by the lease's end: after a machine slept every lease has ended, and runs go on.
    """

    def __init__(self, engine: sa.Engine, tasks: Sequence[str]) -> None:
        self._engine, self._tasks = engine, tasks
        self._since: dict[str, float] = {}

    def look(self, *, now: float, steady: float) -> list[str]:
        """`steady`: seconds that no clock set back makes fewer."""
        held = all_held(self._engine, now=now)
        for task in self._tasks:
            if run_lease(task) in held:
                self._since.pop(task, None)
            else:
                self._since.setdefault(task, steady)
        return [task for task, since in self._since.items() if steady - since >= QUIET_S]


class Retiring:
    """Call `look` every second or so, from where the champions are loaded: whatever comes back into force meanwhile is
    then loaded after it was taken out."""

    def __init__(self, engine: sa.Engine, shelf: Shelf) -> None:
        self._engine, self._shelf = engine, shelf
        self._quiet = Quiet(engine, shelf.tasks)
        self._fleet = AdapterFleet(shelf.url, timeout_s=ASK_S)
        self._asks_at = -math.inf

    def look(self, *, now: float, steady: float) -> set[str]:
        """Take out what nobody needs; the names of what was taken out of any engine. One that is away has it taken out
        later."""
        tasks = self._quiet.look(now=now, steady=steady)
        if not tasks or steady < self._asks_at:
            return set()
        self._asks_at = steady + LOOK_S
        before = now - self._shelf.ended_s
        return unload(self._fleet, lambda: ended(self._engine, tasks, before=before), folder=self._shelf.folder)


def unload(fleet: AdapterFleet, unneeded: Callable[[], Collection[str]], *, folder: Path) -> set[str]:
    """Take out of each engine what is `unneeded`, asked for each anew, and lies in the folder; the names of it."""
    found: set[str] = set()
    with suppress(AdapterError):
        for engine in fleet.engines():
            try:
                held = engine.folders()
                for name in sorted(held.keys() & set(unneeded())):
                    if held[name] == str((folder / name).absolute()):
                        engine.unload(name)
                        found.add(name)
            except AdapterError as error:
                log.info("some adapters stay for now: %s", error)
    return found
