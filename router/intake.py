"""A request on its way in: its kind, its size, how long it takes to arrive, and whether the client is still there.

What is wrong is said before anything is asked of anybody. Knows nothing of what the body means.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import accumulate

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from router.errors import BadRequest, BodyTooLarge, ClientLeft, RequestTooSlow, WrongContentType

WATCHED_AFTER_S = 0.1
DEEPEST = 100  # levels of a JSON body: encoders give up at 254, and no client comes near this
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
STEP = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}


async def read_body(http: Request, *, limit: int, timeout_s: float) -> bytes:
    """The whole body, of at most `limit` bytes.

    Raises WrongContentType, BodyTooLarge as soon as it is known, RequestTooSlow, and ClientLeft half-way.
    """
    _check_type(http.headers.get("content-type", "application/json"))
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
    declared = http.headers.get("content-length", "")
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


@asynccontextmanager
async def attended(receive: Receive, *, anyway: bool = False) -> AsyncIterator[None]:
    """What is within goes on while the client waits for it (or `anyway`), and is cancelled when it has left. Raises
    ClientLeft.

    For the time before a reply begins: afterwards the server ends what is sent to nobody. Nobody looks in the first
    moment: what is answered by then costs no watcher, and nothing is lost by going on for so long.
    """
    if anyway:
        yield
        return
    waiting = asyncio.current_task()
    assert waiting is not None, "a request is handled in a task"
    left = False
    watcher: asyncio.Task[None] | None = None

    async def watch() -> None:
        nonlocal left
        while (await receive())["type"] != "http.disconnect":
            pass
        left = True
        waiting.cancel()

    def begin() -> None:
        nonlocal watcher
        watcher = asyncio.create_task(watch())

    timer = asyncio.get_running_loop().call_later(WATCHED_AFTER_S, begin)
    try:
        yield
    except asyncio.CancelledError:
        if left and waiting.uncancel() == 0:
            raise ClientLeft("The client left before it was answered") from None
        raise
    finally:
        timer.cancel()
        if watcher is not None:
            watcher.cancel()
