"""A request on its way in: its kind, its size, and whether the client is still there.

What is wrong is said before anything is asked of anybody. Knows nothing of what the body means.
"""

import asyncio
import re
from itertools import accumulate
from types import TracebackType
from typing import Any

from starlette.requests import Request
from starlette.types import Receive

from router.errors import BadRequest, BodyTooLarge, ClientLeft, WrongContentType

JSON = "application/json"
WATCHED_AFTER_S = 0.1
DEEPEST = 100  # levels of a JSON body: encoders give up at 254, and no client comes near this
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
STEP = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}


def header(http: Request, name: bytes, default: str = "") -> str:
    """The first header of that name, which is in small letters: `http.headers` takes five times as long to find it."""
    for key, value in http.scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return default


async def read_body(http: Request, *, limit: int) -> bytes:
    """The whole body, of at most `limit` bytes; how long it may take to arrive is `router.serving`'s matter.

    Raises WrongContentType, BodyTooLarge as soon as it is known, and ClientLeft half-way.
    """
    _check_type(header(http, b"content-type", JSON))
    declared = header(http, b"content-length")
    too_large = declared.isdigit() and int(declared) > limit
    body = bytearray()
    while not too_large:
        message = await http.receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft("The client left before its request had arrived")
        body += message.get("body", b"")
        too_large = len(body) > limit
        if not message.get("more_body", False) and not too_large:
            return bytes(body)
    raise BodyTooLarge(f"The request body is larger than {limit} bytes")


def _check_type(sent: str) -> None:
    kind = sent if sent == JSON else sent.partition(";")[0].strip().lower()
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        raise WrongContentType(f"Bodies are read as application/json here, and this one is said to be {kind[:64]!r}")


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
