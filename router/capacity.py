"""A teacher's capacity, kept to before it is asked: requests and tokens a minute, in sliding windows of `limits`.

A limit costs two counters, however many requests. What it admits in a minute of the clock never exceeds the capacity;
sixty seconds across two minutes may hold more where traffic comes in bursts, and then the provider's own 429 holds.
Knows nothing of HTTP, nor of what becomes of a request without room.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from limits.aio.storage import SlidingWindowCounterSupport
from limits.errors import StorageError
from limits.storage import storage_from_string

from router.metrics import Metrics
from router.ports import Priority, Shortage

WINDOW_S = 60
RESERVED_PERCENT: Mapping[Priority, int] = {"high": 0, "normal": 10, "low": 30}  # of a window, for those above
STORE_TIMEOUT_S = 0.5
STORE_REST_S = 5.0  # a store that has failed costs no more waiting for so long
WARN_EVERY_S = 60.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Allowance:
    """What a teacher may be asked a minute; None: not limited here."""

    rpm: int | None = None
    tpm: int | None = None


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
class _Demand:
    """A request's part of one limit: all of it where the estimate is above that, since the provider judges the size."""

    setting: str
    capacity: int
    cost: int
    reserved: int

    @property
    def allowed(self) -> int:
        """How much may be used already for this to be admitted."""
        return self.capacity - max(self.cost, self.reserved)


class SlidingCapacity:
    """`router.ports.Capacity`. Gateway processes share it where `limits_url` is a Redis; in memory each has its own.

    A store that does not answer admits everything: the provider's own limit still holds.
    """

    def __init__(
        self,
        limits_url: str,
        *,
        allowances: Mapping[str, Allowance],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        storage = storage_from_string(limits_url, wrap_exceptions=True, implementation="redispy")
        self._windows = cast(SlidingWindowCounterSupport, storage)
        self._allowances = dict(allowances)
        self._metrics = metrics
        self._clock = clock
        self._rests_until = self._silent_until = -math.inf

    async def take(self, teacher: str, *, tokens: int, priority: Priority) -> Shortage | None:
        """Count a request in, or say what is short and for how long."""
        demands = self._demands(teacher, tokens=tokens, priority=priority)
        if not demands or self._clock() < self._rests_until:
            return None
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                return await self._shortage(demands) or await self._count(demands)
        except (StorageError, TimeoutError) as error:
            self._note_failure(getattr(error, "storage_error", error))
            return None

    def _demands(self, teacher: str, *, tokens: int, priority: Priority) -> list[_Demand]:
        allowance = self._allowances.get(teacher, Allowance())
        limits = (("capacity_rpm", allowance.rpm, 1), ("capacity_tpm", allowance.tpm, tokens))
        percent = RESERVED_PERCENT[priority]
        return [
            _Demand(f"teachers.{teacher}.{name}", capacity, min(cost, capacity), math.ceil(percent * capacity / 100))
            for name, capacity, cost in limits
            if capacity is not None
        ]

    async def _shortage(self, demands: list[_Demand]) -> Shortage | None:
        """The limit that keeps the request waiting longest. All are looked at before any is counted."""
        waits = {demand.setting: (await self._window(demand)).retry_after_s(demand.allowed) for demand in demands}
        setting, longest_s = max(waits.items(), key=lambda item: item[1])
        return Shortage(setting, longest_s) if longest_s else None

    async def _count(self, demands: list[_Demand]) -> Shortage | None:
        """The store compares and counts in one step: what another process has just taken is not given twice."""
        for demand in demands:
            if not await self._windows.acquire_sliding_window_entry(
                demand.setting, demand.capacity, WINDOW_S, demand.cost
            ):
                return Shortage(demand.setting, 1)
        return None

    async def _window(self, demand: _Demand) -> Window:
        previous, _, current, expires_s = await self._windows.get_sliding_window(demand.setting, WINDOW_S)
        return Window(previous, current, max(0.0, expires_s - WINDOW_S))  # a counter lives for two minutes

    def _note_failure(self, error: Exception) -> None:
        now = self._clock()
        self._rests_until = now + STORE_REST_S
        self._metrics.capacity_errors.inc()
        if now >= self._silent_until:
            self._silent_until = now + WARN_EVERY_S
            log.warning("teachers are asked without a limit, server.limits_url: %s %s", type(error).__name__, error)
