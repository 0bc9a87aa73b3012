"""What may happen a minute, in sliding windows of `limits`, and what may happen at once, in slots beside them.

A window costs two counters, however many requests. What it admits in a minute of the clock never exceeds its limit;
sixty seconds across two minutes may hold more where traffic comes in bursts. A slot is a counter of its own that is
cleared by whoever has it, or ends by itself where its process was killed. Gateway processes share both where the store
is a Redis; in memory each has its own. Knows neither teachers nor keys, and nothing of HTTP.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from limits.aio.storage import SlidingWindowCounterSupport, Storage
from limits.errors import StorageError
from limits.storage import storage_from_string

from router.metrics import Metrics
from router.ports import Shortage

WINDOW_S = 60
STORE_TIMEOUT_S = 0.5
STORE_REST_S = 5.0  # a store that has failed costs no more waiting for so long
WARN_EVERY_S = 60.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Window:
    """Admitted in the minute of the clock before (`previous`) and in this one (`current`), of which `left_s` remain."""

    previous: int
    current: int
    left_s: float

    @property
    def used(self) -> int:
        """The minute before counts by the share of it that sixty seconds still reach back to."""
        return math.floor(self.previous * self.left_s / WINDOW_S + self.current)

    def retry_after_s(self, allowed: int) -> int:
        """Whole seconds until at most `allowed` are used, if nothing is admitted meanwhile; 0 where that is so now."""
        if self.used <= allowed:
            return 0
        many = allowed + 1  # `used` is rounded down: there is room as soon as it is below this
        if self.current < many:
            wait_s = self.left_s - WINDOW_S * (many - self.current) / self.previous
        else:
            wait_s = self.left_s + WINDOW_S * (1.0 - many / self.current)
        return math.ceil(wait_s + 0.001)  # strictly below, whatever the clock rounds


@dataclass(frozen=True)
class Demand:
    """A request's part of one limit: all of it at most, since nobody here judges its size. `name` is the limit's own;
    `reserved` of it are kept for others."""

    name: str
    limit: int
    cost: int
    reserved: int = 0

    @property
    def allowed(self) -> int:
        """How much may be used already for this to be admitted."""
        return self.limit - max(self.cost, self.reserved)


class Windows:
    """A store that does not answer admits everything, is warned about, and left alone for some seconds."""

    def __init__(self, limits_url: str, *, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        storage = storage_from_string(limits_url, wrap_exceptions=True, implementation="redispy")
        self._windows, self._slots = cast(SlidingWindowCounterSupport, storage), cast(Storage, storage)
        self._metrics = metrics
        self._clock = clock
        self._rests_until = self._silent_until = -math.inf

    async def take(self, demands: Sequence[Demand]) -> Shortage | None:
        """Count a request in everywhere, or say which limit keeps it waiting longest."""
        if not demands or self._clock() < self._rests_until:
            return None
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                return await self._shortage(demands) or await self._count(demands)
        except (StorageError, TimeoutError) as error:
            self._note_failure(getattr(error, "storage_error", error))
            return None

    async def hold(self, name: str, *, most: int, lease_s: int) -> str | None:
        """One of `most` slots, to be given to `free`; None where all are taken."""
        slots = [f"{name}/{number}" for number in range(most)]
        if self._clock() < self._rests_until:
            return slots[0]
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                for slot in slots:
                    if await self._slots.incr(slot, lease_s) == 1:
                        return slot
        except (StorageError, TimeoutError) as error:
            self._note_failure(getattr(error, "storage_error", error))
            return slots[0]
        return None

    async def free(self, slot: str) -> None:
        """Give a slot back; one that a store does not take back ends with its lease."""
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                await self._slots.clear(slot)
        except (StorageError, TimeoutError) as error:
            self._note_failure(getattr(error, "storage_error", error))

    async def _shortage(self, demands: Sequence[Demand]) -> Shortage | None:
        """The limit that keeps the request waiting longest. All are looked at before any is counted."""
        waits = {demand.name: (await self._window(demand)).retry_after_s(demand.allowed) for demand in demands}
        name, longest_s = max(waits.items(), key=lambda item: item[1])
        return Shortage(name, longest_s) if longest_s else None

    async def _count(self, demands: Sequence[Demand]) -> Shortage | None:
        """The store compares and counts in one step: what another process has just taken is not given twice."""
        for demand in demands:
            if not await self._windows.acquire_sliding_window_entry(demand.name, demand.limit, WINDOW_S, demand.cost):
                return Shortage(demand.name, 1)
        return None

    async def _window(self, demand: Demand) -> Window:
        previous, _, current, expires_s = await self._windows.get_sliding_window(demand.name, WINDOW_S)
        return Window(previous, current, max(0.0, expires_s - WINDOW_S))  # a counter lives for two minutes

    def _note_failure(self, error: Exception) -> None:
        now = self._clock()
        self._rests_until = now + STORE_REST_S
        self._metrics.capacity_errors.inc()
        if now >= self._silent_until:
            self._silent_until = now + WARN_EVERY_S
            log.warning("teachers and keys are not limited, server.limits_url: %s %s", type(error).__name__, error)
