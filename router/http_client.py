"""HTTP/1.1 to upstreams over kept connections: the part of it that a gateway needs.

A call costs a fifth of aiohttp's CPU, and two thirds of a Rust client's, which has to cross two event loops
(docs/decisions/0017). No redirects, no cookies, no compression, no proxies, no HTTP/2.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from router.http_connection import Connection, Response, TooSlow, Unreachable

IDLE_S = 15.0  # so long a connection is kept for the next call


@dataclass(frozen=True)
class Patience:
    """Seconds for a call as a whole (TimeoutError past it; inf: no limit), for its connection, and for each pause in
    which nothing arrives (TooSlow; None: no limit)."""

    total_s: float
    connect_s: float
    pause_s: float | None = None


class _Place(NamedTuple):
    """Where a connection leads."""

    host: str
    port: int
    tls: bool


@lru_cache(maxsize=256)
def _read_url(url: str) -> tuple[_Place, bytes]:
    """Where it leads, and the beginning of a message to it. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a URL to ask begins with http:// or https:// and a host")
    tls = parts.scheme == "https"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    named = host if parts.port is None else f"{host}:{parts.port}"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    begin = f"POST {path} HTTP/1.1\r\nhost: {named}\r\naccept-encoding: identity\r\n"
    return _Place(parts.hostname, parts.port or (443 if tls else 80), tls), begin.encode("ascii")


class HttpClient:
    """Connections by host; the last used is used first. Leave it with the gateway."""

    def __init__(self) -> None:
        self._kept: dict[_Place, list[Connection]] = {}
        self._open: set[Connection] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in list(self._open):
            connection.abort()

    async def post(self, url: str, body: bytes, *, patience: Patience, headers: Mapping[str, str]) -> Response:
        """An answer whose head is here, of whatever status; to be closed.

        Raises Unreachable, also where URL or headers are none, BrokenOff, and TimeoutError.
        """
        now = asyncio.get_running_loop().time()
        try:
            (place, begin), lines = _read_url(url), _lines_of(tuple(headers.items()))
        except ValueError as error:
            raise Unreachable("its URL or a header cannot be sent") from error
        message = b"%b%bcontent-length: %d\r\n\r\n%b" % (begin, lines, len(body), body)
        connection = self._take(place, now=now) or await self._connect(place, patience)
        return await connection.ask(message, ends_at=now + patience.total_s, pause_s=patience.pause_s)

    def _take(self, place: _Place, *, now: float) -> Connection | None:
        kept = self._kept.get(place)
        while kept:
            connection = kept.pop()
            if now - connection.idle_since < IDLE_S and not connection.closing:
                return connection
            connection.abort()
        return None

    async def _connect(self, place: _Place, patience: Patience) -> Connection:
        def made() -> Connection:
            return Connection(at_rest=self._kept.setdefault(place, []).append, at_end=partial(self._forget, place))

        host, port, tls = place
        loop, within_s = asyncio.get_running_loop(), min(patience.connect_s, patience.total_s)
        try:
            async with asyncio.timeout(within_s):
                _, connection = await loop.create_connection(made, host, port, ssl=self._tls if tls else None)
        except TimeoutError as error:
            raise TooSlow("no connection in time") from error
        except OSError as error:  # certificates that do not hold among them
            raise Unreachable(type(error).__name__) from error
        self._open.add(connection)
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _forget(self, place: _Place, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in (kept := self._kept.get(place, [])):
            kept.remove(connection)


@lru_cache(maxsize=256)
def _lines_of(headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a header would begin another line")
    return lines.encode("latin-1")
