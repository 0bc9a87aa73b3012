"""A request on its way in: its kind, its size, how long it takes to arrive, and whether the client is still there.

What is wrong is said before anything is asked of anybody. Knows nothing of what the body means.
"""

import asyncio
import re
from itertools import accumulate
from types import TracebackType
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from router.errors import BadRequest, BodyTooLarge, ClientLeft, RequestTooSlow, WrongContentType

WATCHED_AFTER_S = 0.1
DEEPEST = 100  # levels of a JSON body: encoders give up at 254, and no client comes near this
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
STEP = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}


def header(http: Request, name: str, default: str = "") -> str:
    """The first header of that name, which is in small letters: `http.headers` takes five times as long to find it."""
    wanted = name.encode("latin-1")
    for key, value in http.scope["headers"]:
        if key == wanted:
            return str(value, "latin-1")
    return default


async def read_body(http: Request, *, limit: int, timeout_s: float) -> bytes:
    """The whole body, of at most `limit` bytes.

    Raises WrongContentType, BodyTooLarge as soon as it is known, RequestTooSlow, and ClientLeft half-way.
    """
    _check_type(header(http, "content-type", "application/json"))
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(http, limit)
    except TimeoutError as error:
        words = f"The body of the request did not arrive within {timeout_s:g} seconds"
        raise RequestTooSlow(words, headers={"connection": "close"}) from error
    except ClientDisconnect as error:
        raise ClientLeft("The client left before its request had arrived") from error


def _check_type(sent: str) -> None:
    kind = sent.partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise WrongContentType(f"Bodies are read as application/json here, and this one is said to be {kind[:64]!r}")


async def _read(http: Request, limit: int) -> bytes:
    too_large = BodyTooLarge(f"The request body is larger than {limit} bytes")
    declared = header(http, "content-length")
    if declared.isdigit() and int(declared) > limit:
        raise too_large
    parts, size = [], 0
    async for part in http.stream():
        size += len(part)
        if size > limit:
            raise too_large
        parts.append(part)
    return b"".join(parts)


def refuse_deep(body: bytes) -> None:
    """Raises BadRequest for JSON that is nested deeper than it could be passed on."""
    if body.count(b"{") + body.count(b"[") <= DEEPEST:  # as good as always, and cheap to see
        return
    steps = (STEP[byte] for byte in STRINGS.sub(b"", body) if byte in STEP)
    if max(accumulate(steps), default=0) > DEEPEST:
        raise BadRequest(f"The JSON body is nested more than {DEEPEST} levels deep")


class Attended:
    """What is within goes on while the client waits for it (or `anyway`), and is cancelled when it has left: it ends in
    ClientLeft.

    For the time before a reply begins: afterwards the server ends what is sent to nobody. Nobody looks in the first
    moment: what is answered by then costs no watcher, and nothing is lost by going on for so long.
    """

    def __init__(self, receive: Receive, *, anyway: bool = False) -> None:
        self._receive, self._anyway = receive, anyway
        self._left = False
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        if not self._anyway:
            self._timer = asyncio.get_running_loop().call_later(WATCHED_AFTER_S, self._begin, asyncio.current_task())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._anyway:
            return
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._left and isinstance(error, asyncio.CancelledError):
            waiting = asyncio.current_task()
            if waiting is not None and waiting.uncancel() == 0:
                raise ClientLeft("The client left before it was answered") from None

    def _begin(self, waiting: asyncio.Task[Any] | None) -> None:
        assert waiting is not None, "a request is handled in a task"
        self._watcher = asyncio.create_task(self._watch(waiting))

    async def _watch(self, waiting: asyncio.Task[Any]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left = True
        waiting.cancel()
