"""A teacher's capacity, kept to before it is asked: requests and tokens a minute, the least priority refused first.

Where more comes across two minutes than a window shows, the provider's own 429 holds. Knows nothing of HTTP, nor of
what becomes of a request without room.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from router.ports import Priority, Shortage
from router.windows import Demand, Windows

RESERVED_PERCENT: Mapping[Priority, int] = {"high": 0, "normal": 10, "low": 30}  # of a window, for those above


@dataclass(frozen=True)
class Allowance:
    """What a teacher may be asked a minute; None: not limited here."""

    rpm: int | None = None
    tpm: int | None = None


class SlidingCapacity:
    """`router.ports.Capacity`. A store that does not answer admits everything: the provider's own limit still holds."""

    def __init__(self, windows: Windows, *, allowances: Mapping[str, Allowance]) -> None:
        self._windows = windows
        self._allowances = dict(allowances)

    async def take(self, teacher: str, *, tokens: int, priority: Priority) -> Shortage | None:
        """Count a request in, or say what is short and for how long."""
        return await self._windows.take(self._demands(teacher, tokens=tokens, priority=priority))

    def _demands(self, teacher: str, *, tokens: int, priority: Priority) -> list[Demand]:
        """All of a limit where the estimate is above that, since the provider judges the size."""
        allowance = self._allowances.get(teacher, Allowance())
        limits = (("capacity_rpm", allowance.rpm, 1), ("capacity_tpm", allowance.tpm, tokens))
        percent = RESERVED_PERCENT[priority]
        return [
            Demand(f"teachers.{teacher}.{name}", capacity, min(cost, capacity), math.ceil(percent * capacity / 100))
            for name, capacity, cost in limits
            if capacity is not None
        ]
