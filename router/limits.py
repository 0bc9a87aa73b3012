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

    async def admit(self, caller: Caller, *, tokens: int, stream: bool) -> Free:
        """Raises RateLimited. What is returned is called at the end of the request, for its stream."""
        free = await self._begin(caller) if stream else _nothing
        limits = (("rpm", caller.grant.rpm, 1), ("tpm", caller.grant.tpm, tokens))
        demands = [
            Demand(f"keys.{caller.account}.{name}", limit, min(cost, limit))
            for name, limit, cost in limits
            if limit is not None
        ]
        if (shortage := await self._windows.take(demands)) is None:
            return free
        await free()
        raise self._refusal(shortage.setting.rpartition(".")[2], shortage.retry_after_s)

    async def _begin(self, caller: Caller) -> Free:
        most = caller.grant.streams
        if most is None:
            return _nothing
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


async def _nothing() -> None:
    """Of a request that is no stream."""
