"""What is in force, read from the ledger four times a second: champion and canary of each task, the price of each
teacher, and what others read with it (keys, what is left of budgets).

A reader gets whole, frozen objects: a switch is one assignment, so no request sees adapter and threshold of two
releases. A ledger that does not answer leaves the last known state in force; certificates expire by themselves.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import sqlalchemy as sa

from calibration.calibrator import Calibrator
from calibration.familiar import Familiar
from ledger import familiar, releases
from ledger.backlog import Backlog, backlog
from ledger.prices import Price, current_prices
from ledger.seen import Seen, read
from router.ports import Canary, ServedRelease

POLL_S = 0.25
Reader = Callable[[sa.Engine], None]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InForce:
    """One consistent reading of the ledger."""

    champions: dict[str, ServedRelease] = field(default_factory=dict)
    canaries: dict[str, Canary] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)


class LedgerWatch:
    """`router.ports.Releases` and `router.teacher.Prices`, refreshed by `run`."""

    def __init__(
        self,
        engine: sa.Engine,
        *,
        bindings: Mapping[str, Mapping[str, str]],
        canary_share: float = 1.0,
        canary_key: bytes = b"",
        spool_dir: Path | None = None,
    ) -> None:
        """`bindings`: by task, what its release must have been certified with; one that was not is not in force. A
        canary gets `canary_share` of the conversations, drawn with the key. `spool_dir`: the folder whose backlog is
        shown."""
        self._engine, self._spool_dir = engine, spool_dir
        self._canary_share, self._canary_key = canary_share, canary_key
        self._bindings = bindings
        self._readers: list[Reader] = []
        self._unusable: dict[str, str] = {}
        self._familiar: dict[str, Familiar | None] = {}  # by release: of each it is read once, and never changes
        self._state, self._seen = InForce(), Seen()
        self._next_reading = asyncio.Event()
        self._seeing: asyncio.Task[Seen] | None = None

    def tell(self, *readers: Reader) -> None:
        """Have others read the ledger at the same times."""
        self._readers += readers

    def champion(self, task: str) -> ServedRelease | None:
        """The release that serves a task now."""
        return self._state.champions.get(task)

    def canary(self, task: str) -> Canary | None:
        """The release on trial, if there is one."""
        return self._state.canaries.get(task)

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

    async def seen(self, *, within_s: float) -> Seen:
        """What the worker has published by now; what was seen before, where the ledger cannot be read or takes longer.

        One that hangs is asked once, however many scrapes wait for it, and takes one thread.
        """
        if self._seeing is None or self._seeing.done():
            self._seeing = asyncio.create_task(self._see())
        seeing = self._seeing
        await asyncio.wait({seeing}, timeout=within_s)
        return seeing.result() if seeing.done() else replace(self._seen, fresh=False)

    async def _see(self) -> Seen:
        try:
            self._seen = await asyncio.to_thread(read, self._engine, now=time.time())
        except sa.exc.SQLAlchemyError as error:
            log.warning("ledger not readable, showing what was seen before: %s", type(error).__name__)
            self._seen = replace(self._seen, fresh=False)
        return self._seen

    async def backlog(self) -> Backlog | None:
        """What waits in the spool, by what was last seen of the ledger; None where its folder cannot be read."""
        if self._spool_dir is None:
            return None
        try:
            return await asyncio.to_thread(backlog, self._spool_dir, self._seen.offsets)
        except OSError as error:
            log.warning("spool folder not readable: %s", error)
            return None

    def refresh(self) -> None:
        """Read the ledger once (blocking)."""
        champions, on_trial = self._served()
        canaries = {task: Canary(each, self._canary_share, self._canary_key) for task, each in on_trial.items()}
        before = self._names()
        self._state = InForce(champions, canaries, current_prices(self._engine))
        for read_too in self._readers:
            read_too(self._engine)
        if (after := self._names()) != before:
            log.info("releases in force: %s", after or "none")

    def _names(self) -> dict[str, str]:
        named = {task: release.name for task, release in self._state.champions.items()}
        return named | {f"{task} (canary)": each.release.name for task, each in self._state.canaries.items()}

    def _served(self) -> tuple[dict[str, ServedRelease], dict[str, ServedRelease]]:
        """Champions and canaries, as the cascade applies them. One that holds no usable certificate is left out: the
        teacher answers, or the champion."""
        champions, canaries, unusable = dict[str, ServedRelease](), dict[str, ServedRelease](), dict[str, str]()
        known = dict[str, Familiar | None]()
        for row in releases.served(self._engine):
            found = champions if row.status == "champion" else canaries
            try:
                had = row.name in self._familiar
                known[row.name] = self._familiar[row.name] if had else familiar.of(self._engine, row)
                found[row.task] = _served(row, self._bindings.get(row.task, {}), known=known[row.name])
            except ValueError as error:
                unusable[row.name] = str(error)
        self._familiar = known
        for name, why in unusable.items() - self._unusable.items():
            log.error("release %s is not usable, its task goes to the teacher: %s", name, why)
        self._unusable = unusable
        return champions, canaries

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


def _served(row: releases.Release, binding: Mapping[str, str], *, known: Familiar | None) -> ServedRelease:
    """Raises ValueError where it holds no usable certificate."""
    certificate = row.valid(binding)
    return ServedRelease(
        name=row.name,
        calibrator=Calibrator.from_dict(row.calibrator or {}),
        threshold=certificate.threshold,
        expires_at=certificate.expires_at,
        issued_at=certificate.issued_at,
        modes=row.modes,
        cut_at=row.cut_at,
        familiar=known,
    )
