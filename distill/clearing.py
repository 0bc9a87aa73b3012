"""Folders of adapters that nobody needs any more are deleted, so that the disk does not fill up and end the loop.

The ledger is told first, in the transaction that finds a release not in force: what has no adapter is put in force by
nobody. Nothing is deleted that an engine serves, or may serve because it does not answer.
"""

import logging
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from distill.adapters import ASK_S, AdapterError
from distill.anchor import best
from distill.fleet import AdapterFleet
from distill.retiring import Quiet, Shelf
from ledger.ended import IN_USE, set_deleted
from ledger.leases import LeaseTaken, held, run_lease
from ledger.releases import Release, abandon, history

EVERY_S = 600.0
PARTIAL = re.compile(r"\.(?P<name>.+)\.partial")  # what training writes until it is whole
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alike:
    """What a task's releases are certified for now."""

    binding: Mapping[str, str]
    alpha: float


@dataclass(frozen=True)
class Clear:
    """Of each task the newest `keep` folders stay beside those that are needed."""

    shelf: Shelf
    tasks: Mapping[str, Alike]
    keep: int


@dataclass(frozen=True)
class Found:
    """Of one task: names of releases whose folder may go, what unfinished trainings left, and whether a run that is
    over left a candidate."""

    whole: frozenset[str] = frozenset()
    partial: tuple[Path, ...] = ()
    abandoned: bool = False

    def __bool__(self) -> bool:
        return bool(self.whole or self.partial or self.abandoned)


class Clearing:
    """Call `look` with every look of the worker that leads."""

    def __init__(self, engine: sa.Engine, clear: Clear, *, holder: str) -> None:
        """`holder`: who takes the lease of a task's run, so that none begins meanwhile."""
        self._engine, self._clear, self._holder = engine, clear, holder
        self._quiet = Quiet(engine, list(clear.tasks))
        self._looks_at = -math.inf

    def look(self, *, now: float, steady: float, but: str | None) -> None:
        """Every ten minutes; `but`: a task that a run has just begun for, perhaps without its lease yet."""
        tasks = [task for task in self._quiet.look(now=now, steady=steady) if task != but]
        if not tasks or steady < self._looks_at:
            return
        self._looks_at = steady + EVERY_S
        for task in tasks:
            if not find(self._engine, self._clear, task, now=now):
                continue
            try:
                with held(self._engine, run_lease(task), holder=self._holder):
                    self._remove(task, now=now)
            except LeaseTaken:
                log.info("%s: a run is under way, its folders stay for now", task)

    def _remove(self, task: str, *, now: float) -> None:
        """Under the lease: what was found before may be in use by now."""
        for name in abandon(self._engine, task, now=now):
            log.warning("%s was left half done and is refused", name)
        found = find(self._engine, self._clear, task, now=now)
        for path in found.partial:
            _delete(path)
        shelf = self._clear.shelf
        try:
            free = found.whole - _served(AdapterFleet(shelf.url, timeout_s=ASK_S))
        except AdapterError as error:
            log.info("%s: %d folders stay until every engine answers: %s", task, len(found.whole), error)
            return
        for name in sorted(set_deleted(self._engine, free, before=now - shelf.ended_s)):
            _delete(shelf.folder / name)


def find(engine: sa.Engine, clear: Clear, task: str, *, now: float) -> Found:
    """What of a task may go; looks, and changes nothing."""
    whole, partial = _on_disk(clear.shelf.folder)
    known = history(engine, task)
    over = {each.name for each in known if each.status not in IN_USE and each.changed_at < now - clear.shelf.ended_s}
    there = [each for each in known if each.name in whole]
    stays = kept(there, alike=clear.tasks[task], keep=clear.keep, voided_at=_voided_at(known), now=now)
    return Found(
        frozenset(over & whole - stays),
        tuple(path for name, path in partial.items() if name in over),
        any(each.status == "candidate" for each in known),
    )


def kept(there: Sequence[Release], *, alike: Alike, keep: int, voided_at: float, now: float) -> set[str]:
    """Of one task's releases with a folder, oldest first, those whose folder stays: what is in use, what a rollback may
    go back to, the best so far, the last that was certified (`tutelage recertify` begins there), and of the others the
    newest `keep`. One that the ledger knows without an adapter never does."""
    known = [each for each in there if not each.gone]
    certified = [each.name for each in known if each.certificate and each.status != "ready"]
    needed = {each.name for each in known if each.status in IN_USE or _returns(each, voided_at=voided_at, now=now)}
    needed |= {*certified[-1:], *_bests(known, alike)}
    others = [each.name for each in known if each.name not in needed]
    return needed | set(others[max(0, len(others) - keep) :])


def _returns(release: Release, *, voided_at: float, now: float) -> bool:
    """Whether a rollback may put it in force, under these settings or those of before."""
    expires_at = (release.certificate or {}).get("expires_at", -math.inf)
    return release.status == "retired" and release.changed_at > voided_at and bool(expires_at > now)


def _bests(known: Sequence[Release], alike: Alike) -> set[str]:
    """With each engine and base model that there were: an engine may be set back. The champion is in use anyway, and
    once it is not the best of the others may be wanted."""
    retired = [each for each in known if each.status == "retired"]
    bound = [(each.report or {}).get("bound_to") or {} for each in retired]
    served = {(each.get("engine"), each.get("base_digest")) for each in bound}
    found = set[str]()
    for engine, base in served:
        by = {name: value for name, value in (("engine", engine), ("base_digest", base)) if value is not None}
        if release := best(retired, binding={**alike.binding, **by}, alpha=alike.alpha):
            found.add(release.name)
    return found


def _voided_at(known: Sequence[Release]) -> float:
    return max((each.changed_at for each in known if each.status == "voided"), default=-math.inf)


def _on_disk(folder: Path) -> tuple[set[str], dict[str, Path]]:
    """Names of whole folders, and paths of unfinished ones by the name that they were to have."""
    paths = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    partial = {found["name"]: path for path in paths if (found := PARTIAL.fullmatch(path.name))}
    return {path.name for path in paths} - {path.name for path in partial.values()}, partial


def _served(fleet: AdapterFleet) -> set[str]:
    """Names that any engine serves, and those of the folders that it has them from. Raises AdapterError unless all of
    them answer."""
    found = set[str]()
    for engine in fleet.engines():
        for name, path in engine.folders().items():
            found |= {name, Path(path).name}
    return found


def _delete(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except OSError as error:
        log.error("%s cannot be deleted, and is tried again: %s", path, error.strerror)
    else:
        log.info("%s is deleted: nothing needs it", path)
