"""How the gateway listens: uvicorn's options, and the bounds that it does not have of itself.

A request whose head is too large, or that does not arrive, is refused in OpenAI's shape; a connection over which
nothing is asked is closed. So what strangers can make us hold is bounded before any of it is understood.
"""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from router.errors import BadRequest, GatewayError, HeadTooLarge, RequestTooSlow
from router.gateway import new_exchange_id
from router.server_settings import Server

LARGEST_HEAD = 64 << 10  # bytes of the request line and all headers
BEGINS_HEAD = b"HTTP/1."
KEEP_ALIVE_S = 75  # longer than clients keep idle connections (httpx: 5 s, aiohttp: 15 s): none asks on a closed one


def options(server: Server) -> dict[str, Any]:
    """Keyword arguments of `uvicorn.run` and `uvicorn.Config`. The access log would repeat what the ledger knows, at a
    cost per request."""
    return {
        "host": server.host,
        "port": server.port,
        "http": partial(BoundedHttp, arrival_s=server.request_timeout_s),
        "ws": "none",
        "timeout_keep_alive": KEEP_ALIVE_S,
        "server_header": False,
        "proxy_headers": False,  # nothing here asks where a request came from
        "access_log": False,
        "log_level": "warning",
        "log_config": None,  # as everything else here logs
    }


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol with an end to a request's head, in bytes and seconds, and to its body, in seconds."""

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], *, arrival_s: float, **more: Any
    ) -> None:
        super().__init__(config, server_state, app_state, **more)
        self._arrival_s = arrival_s
        self._in_head = True  # between two requests too
        self._head_bytes = 0
        self._too_large = False
        self._awaited: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new connection has so long for its first head."""
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", _HeadWithBody(transport, self.loop))
        self._await_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._await_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, while the head is within its bounds."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing() or (self._in_head and not self._head_bytes):  # between two requests
            return
        if self._head_bytes > LARGEST_HEAD:
            self._refuse(_too_large())
        elif self._awaited is None:
            self._await_more()

    def on_headers_complete(self) -> None:
        """A head is whole; its size counts also where it came at once."""
        self._in_head, self._head_bytes = False, 0
        self._await_no_more()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LARGEST_HEAD:
            self._too_large = True
            raise ValueError("the head of the request is too large")  # what the parser makes of it is answered below
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is whole: what comes next is the head of another."""
        self._in_head = True
        self._await_no_more()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser cannot read, in OpenAI's shape."""
        self._refuse(_too_large() if self._too_large else BadRequest(msg))

    def _await_more(self) -> None:
        self._awaited = self.loop.call_later(self._arrival_s, self._is_late)

    def _await_no_more(self) -> None:
        if self._awaited is not None:
            self._awaited.cancel()
            self._awaited = None

    def _is_late(self) -> None:
        nothing_asked, answered = self._in_head and not self._head_bytes, self.cycle and self.cycle.response_started
        if nothing_asked or (answered and not self._in_head):
            self.transport.close()
        else:
            what = "head" if self._in_head else "body"
            self._refuse(RequestTooSlow(f"The {what} of the request did not arrive within {self._arrival_s:g} seconds"))

    def _refuse(self, error: GatewayError) -> None:
        body = orjson.dumps(error.body())
        lines = (
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            f"x-request-id: {new_exchange_id()}",
            "connection: close",
        )
        self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        self.transport.close()


class _HeadWithBody:
    """A transport on which the head of a reply waits for what is written next: uvicorn writes each by itself, and
    whoever reads them wakes twice. A head that nothing follows goes out in the next turn of the loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self.is_closing = transport.is_closing  # asked for every piece that comes

    def write(self, data: bytes) -> None:
        """Of asyncio."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(BEGINS_HEAD):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Of asyncio."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head and not self.is_closing():
            head, self._head = self._head, b""
            self._transport.write(head)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(f"The head of the request is larger than {LARGEST_HEAD} bytes")
