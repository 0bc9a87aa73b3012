"""A circuit breaker: one upstream that fails again and again is left alone for a while, so that nobody waits for it."""

import time
from collections.abc import Callable


class Breaker:
    """Opens after consecutive failures, lets one request try again after a pause."""

    def __init__(
        self,
        *,
        failures: int = 3,
        pause_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        told: Callable[[bool], None] | None = None,
    ) -> None:
        """`told` hears when it opens (True) and when it closes."""
        self._limit = failures
        self._pause_s = pause_s
        self._clock = clock
        self._told = told
        self._failures = 0
        self._retry_at = 0.0

    @property
    def open(self) -> bool:
        """True: do not ask. Asking while half open moves the next try on, so that one request probes at a time."""
        if self._failures < self._limit:
            return False
        now = self._clock()
        if now < self._retry_at:
            return True
        self._retry_at = now + self._pause_s
        return False

    def note(self, *, ok: bool) -> None:
        """Record how a call went."""
        before = self._failures
        self._failures = 0 if ok else before + 1
        if self._failures == self._limit:
            self._retry_at = self._clock() + self._pause_s
        if self._told and (before >= self._limit) != (self._failures >= self._limit):
            self._told(not ok)

    @property
    def retry_after_s(self) -> float:
        """Seconds until the next try, 0 where one may be made now."""
        return max(0.0, self._retry_at - self._clock()) if self._failures >= self._limit else 0.0
