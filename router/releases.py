"""What is in force, read from the ledger four times a second: the champion of each task, the price of each teacher.

A reader gets whole, frozen objects: a switch is one assignment, so no request sees adapter and threshold of two
releases. A ledger that does not answer leaves the last known state in force; certificates expire by themselves.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from calibration.calibrator import Calibrator
from ledger import releases
from ledger.decisions import noticed
from ledger.prices import Price, current_prices
from ledger.progress import Progress, published
from router.ports import ServedRelease

POLL_S = 0.25
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InForce:
    """One consistent reading of the ledger."""

    champions: dict[str, ServedRelease] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)
    noticed: dict[str, dict[str, int]] = field(default_factory=dict)


class LedgerWatch:
    """`router.ports.Releases` and `router.teacher.Prices`, refreshed by `run`."""

    def __init__(self, engine: sa.Engine, *, bindings: Mapping[str, Mapping[str, str]]) -> None:
        """`bindings`: by task, what its release must have been certified with; one that was not is not in force."""
        self._engine = engine
        self._bindings = bindings
        self._unusable: dict[str, str] = {}
        self._state = InForce()
        self._next_reading = asyncio.Event()

    def champion(self, task: str) -> ServedRelease | None:
        """The release that serves a task now."""
        return self._state.champions.get(task)

    def champions(self) -> dict[str, ServedRelease]:
        """Every task's champion."""
        return self._state.champions

    def price(self, teacher: str) -> Price | None:
        """The price of a teacher in force."""
        return self._state.prices.get(teacher)

    async def price_soon(self, teacher: str) -> Price | None:
        """The price in force; where there is none, what the next reading finds (while `run` runs)."""
        if self.price(teacher) is None:
            await self._next_reading.wait()
        return self.price(teacher)

    def progress(self) -> dict[str, Progress]:
        """How far each task is from its next release, where a worker watches it."""
        return self._state.progress

    def noticed(self) -> dict[str, dict[str, int]]:
        """The shifts that the worker has noticed under each task's champion, by signal."""
        return self._state.noticed

    def refresh(self) -> None:
        """Read the ledger once (blocking)."""
        champions = self._champions()
        before = {task: release.name for task, release in self._state.champions.items()}
        self._state = InForce(champions, current_prices(self._engine), published(self._engine), noticed(self._engine))
        after = {task: release.name for task, release in champions.items()}
        if after != before:
            log.info("releases in force: %s", after or "none")

    def _champions(self) -> dict[str, ServedRelease]:
        """As the cascade applies them. One that holds no usable certificate is left out: the teacher answers."""
        found, unusable = dict[str, ServedRelease](), dict[str, str]()
        for task, row in releases.champions(self._engine).items():
            try:
                found[task] = _served(row, self._bindings.get(task, {}))
            except (ValueError, KeyError, TypeError) as error:
                unusable[row.name] = str(error)
        for name, why in unusable.items() - self._unusable.items():
            log.error("release %s is not usable, its task goes to the teacher: %s", name, why)
        self._unusable = unusable
        return found

    async def run(self) -> None:
        """Refresh for ever; the ledger's failures are logged and outlived."""
        while True:
            # Whoever begins to wait from here on waits for the reading after this one, which may miss what is new.
            reading, self._next_reading = self._next_reading, asyncio.Event()
            try:
                await asyncio.to_thread(self.refresh)
            except sa.exc.SQLAlchemyError as error:
                log.warning("ledger not readable, keeping the releases in force: %s", type(error).__name__)
            reading.set()
            await asyncio.sleep(POLL_S)


def _served(row: releases.Release, binding: Mapping[str, str]) -> ServedRelease:
    """Raises ValueError, KeyError or TypeError where it holds no usable certificate."""
    if row.calibrator is None or row.certificate is None or row.alpha is None:
        raise ValueError("no calibrator, or no certificate of a contract")
    if words := row.mismatch(binding):
        raise ValueError(words)
    return ServedRelease(
        name=row.name,
        calibrator=Calibrator.from_dict(row.calibrator),
        threshold=float(row.certificate["threshold"]),
        expires_at=float(row.certificate["expires_at"]),
    )
