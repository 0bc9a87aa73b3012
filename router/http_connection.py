"""One connection to an upstream and the answer that comes over it, on uvicorn's parser."""

import asyncio
import math
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, cast

import httptools

LARGEST_HEAD, LARGEST_BODY = 1 << 16, 1 << 26  # bytes
LARGEST_LINE = 1 << 22  # bytes of one chunk, which may hold all of a long answer
GATHER_S = 0.005  # a reader sees no difference between two hundred pieces a second and more
HELD = 1 << 16  # bytes that wait for a reader before the upstream is asked to pause


class HttpError(Exception):
    """A call that failed below HTTP; the message holds no URL, no header and no body."""


class Unreachable(HttpError):
    """No connection, or one that ended before its answer had begun."""


class TooSlow(Unreachable, TimeoutError):
    """A connection that is not made in time, or over which nothing more comes."""


class BrokenOff(HttpError):
    """An answer that ended half-way, or is none."""


class Response:
    """An answer as it arrives, for one reader. Closed before its end, its connection is too."""

    def __init__(self, connection: "Connection", *, ends_at: float, pause_s: float | None) -> None:
        self.status = 0
        self._connection = connection
        self._fields: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._rest = b""  # of a line that has not ended
        self._looked_at = -math.inf
        self._held = 0
        self._ended = False
        self._error: Exception | None = None
        self._news: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._ends_at, self._pause_s, self._heard_at = ends_at, pause_s, self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._look_at_the_time()

    def header(self, name: str) -> str | None:
        """The first header of that name, in small letters."""
        wanted = name.encode("latin-1")
        return next((value.decode("latin-1") for key, value in self._fields if key.lower() == wanted), None)

    async def read(self) -> bytes:
        """All of it. Raises BrokenOff, TimeoutError."""
        parts, size = [], 0
        while part := await self._more():
            parts.append(part)
            size += len(part)
            if size > LARGEST_BODY:
                raise BrokenOff(f"an answer of more than {LARGEST_BODY} bytes")
        return b"".join(parts)

    async def events(self, *, gather_s: float = 0.0) -> list[bytes]:
        """The data of the server-sent events that have come since the last call, at least one; none at the end.

        What comes within `gather_s` seconds of the last look is left to the kernel, and read together. Whoever waits
        may be cancelled, and another one goes on from there. Raises BrokenOff, TimeoutError.
        """
        found: list[bytes] = []
        while not found:
            if gather_s:
                await self._let_gather(self._looked_at + gather_s - self._loop.time())
            if len(self._rest) > LARGEST_LINE:
                raise BrokenOff("a line without an end")
            part = await self._more()
            if not part:
                part, self._rest = self._rest, b""
                return _data_of([part])
            self._looked_at = self._loop.time()
            *lines, self._rest = (self._rest + part).split(b"\n")
            found = _data_of(lines)
        return found

    async def _let_gather(self, seconds: float) -> None:
        if seconds > 0 and not self._ended:
            self._connection.pause()
            try:
                await asyncio.sleep(seconds)
            finally:
                self._connection.resume()

    async def begun(self) -> None:
        """Wait for the head. Raises Unreachable, BrokenOff, TimeoutError."""
        while not self.status:
            await self._told()

    async def _more(self) -> bytes:
        """What has arrived; nothing at the end."""
        while not self._parts:
            if self._ended and self._error is None:
                return b""
            await self._told()
        data = b"".join(self._parts)
        self._parts.clear()
        if self._held > HELD:
            self._heard_at = self._loop.time()
            self._connection.resume()
        self._held = 0
        return data

    async def _told(self) -> None:
        if self._error is not None:
            raise self._error
        self._news = self._loop.create_future()
        try:
            await self._news
        finally:
            self._news = None

    def close(self) -> None:
        """Read no further."""
        self.fail(BrokenOff("closed"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """The head is here."""
        self.status, self._fields = status, fields
        self._tell()

    def take(self, data: bytes) -> None:
        """A piece of the body is here."""
        self._parts.append(data)
        self._held += len(data)
        if self._held > HELD:
            self._connection.pause()
        if self._news is not None:
            self._tell()

    def hear(self) -> None:
        """Something has arrived."""
        if self._pause_s is not None:
            self._heard_at = self._loop.time()

    def end(self) -> None:
        """All of it is here."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell()

    def fail(self, error: Exception) -> None:
        """It will not be whole."""
        if not self._ended:
            self._error = error
            self.end()
            self._connection.abort()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _look_at_the_time(self) -> None:
        """One timer for both limits, that is not set anew with each piece but looks, when it is due, what has come."""
        now, ends_at, goes_on_by = self._loop.time(), self._ends_at, math.inf
        if self._pause_s is not None:
            waits_for_us = self._held > HELD
            goes_on_by = (now if waits_for_us else self._heard_at) + self._pause_s
        if now >= ends_at:
            self.fail(TimeoutError("not answered in time"))
        elif now >= goes_on_by:
            self.fail(TooSlow("nothing more in time"))
        elif (due := min(ends_at, goes_on_by)) < math.inf:
            self._timer = self._loop.call_at(due, self._look_at_the_time)


def _data_of(lines: Sequence[bytes]) -> list[bytes]:
    return [data for line in lines if line.startswith(b"data:") and (data := line[5:].strip())]


class Connection(asyncio.Protocol):
    """One connection, one call at a time. `at_rest` gets it when it can be asked again, `at_end` when it has ended."""

    def __init__(self, *, at_rest: Callable[["Connection"], None], at_end: Callable[["Connection"], None]) -> None:
        self.idle_since = 0.0
        self._at_rest, self._at_end = at_rest, at_end
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._keeps = self._complete = False

    @property
    def closing(self) -> bool:
        """Whether nothing can be asked over it."""
        return self._transport is None or self._transport.is_closing()

    async def ask(self, message: bytes, *, ends_at: float, pause_s: float | None) -> Response:
        """Send a message and wait for the head of its answer. Times are seconds of the loop's clock."""
        assert self._transport is not None, "a connection that is made has a transport"
        self._begin_anew()
        self._response = response = Response(self, ends_at=ends_at, pause_s=pause_s)
        self._transport.write(message)
        try:
            await response.begun()
        except BaseException:
            response.close()
            raise
        return response

    def abort(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Let the upstream wait."""
        if self._transport is not None and not self.closing:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Let it go on."""
        if self._transport is not None and not self.closing:
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        """Of asyncio. Where the head told no length, this is the end of the body."""
        self._at_end(self)
        response, self._response = self._response, None
        if response is None:
            return
        if not response.status:
            response.fail(Unreachable("the connection ended without an answer"))
        elif exc is None and response.header("content-length") is response.header("transfer-encoding") is None:
            response.end()
        else:
            response.fail(BrokenOff("the connection ended half-way"))

    def data_received(self, data: bytes) -> None:
        """Of asyncio."""
        response = self._response
        if response is None:  # an answer to nothing
            self.abort()
            return
        response.hear()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            response.fail(BrokenOff("no HTTP"))
        if self._complete:
            self._response = None
            response.end()
            if self._keeps and not self.closing:
                self.idle_since = asyncio.get_running_loop().time()
                self._at_rest(self)
            else:
                self.abort()

    def on_message_begin(self) -> None:
        """Of the parser: the answer, or one after an interim head."""
        if self._complete:
            raise ValueError("an answer behind the last one")
        self._fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the parser."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > LARGEST_HEAD:
            raise ValueError("the head of the answer is too large")
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Of the parser."""
        status = self._parser.get_status_code()
        if status >= 200 and self._response is not None:
            self._keeps = self._parser.should_keep_alive()
            self._response.begin(status, self._fields)

    def on_body(self, body: bytes) -> None:
        """Of the parser."""
        if self._response is not None:
            self._response.take(body)

    def on_message_complete(self) -> None:
        """Of the parser."""
        self._complete = self._response is not None and self._response.status != 0
