"""What one key may ask: requests and tokens a minute, and streams at once. A line of rotated keys counts as one."""

from collections.abc import Awaitable, Callable
from functools import partial

from router.errors import RateLimited
from router.metrics import Metrics
from router.ports import Caller
from router.windows import Demand, Windows

STREAM_S = 900  # for which a stream of a process that was killed is counted
RETRY_STREAM_S = 1
Free = Callable[[], Awaitable[None]]


class KeyLimits:
    """Counts callers in. What is refused costs nothing of a minute; a store that does not answer admits everything."""

    def __init__(self, windows: Windows, *, metrics: Metrics) -> None:
        self._windows = windows
        self._metrics = metrics

    async def admit(self, caller: Caller, *, tokens: int, stream: bool) -> Free | None:
        """Raises RateLimited. What is returned is called at the end of a stream that was counted."""
        grant = caller.grant
        if grant.rpm is None and grant.tpm is None and (grant.streams is None or not stream):
            return None
        free = await self._begin(caller, most=grant.streams) if stream and grant.streams is not None else None
        limits = (("rpm", grant.rpm, 1), ("tpm", grant.tpm, tokens))
        demands = [
            Demand(f"keys.{caller.account}.{name}", limit, min(cost, limit))
            for name, limit, cost in limits
            if limit is not None
        ]
        if (shortage := await self._windows.take(demands)) is None:
            return free
        if free is not None:
            await free()
        raise self._refusal(shortage.setting.rpartition(".")[2], shortage.retry_after_s)

    async def _begin(self, caller: Caller, *, most: int) -> Free:
        slot = await self._windows.hold(f"keys.{caller.account}.streams", most=most, lease_s=STREAM_S)
        if slot is None:
            raise self._refusal("streams", RETRY_STREAM_S)
        return partial(self._windows.free, slot)

    def _refusal(self, limit: str, retry_after_s: int) -> RateLimited:
        self._metrics.count_limited(limit)
        return RateLimited(
            f"Rate limit reached for this API key: {limit}. Please try again in {retry_after_s} s.",
            headers={"retry-after": str(retry_after_s)},
        )
