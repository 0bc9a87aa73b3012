"""The bounds of a request's head, on a protocol without a socket. Over the wire: tests/wire/test_errors.py."""

import asyncio

import orjson
import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from router.server_settings import Server
from router.serving import LARGEST_HEAD, BoundedHttp, options

HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n"


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.written, self.closed, self.pieces = b"", False, []

    def get_extra_info(self, name, default=None):
        return default

    def write(self, data):
        self.written += data
        self.pieces.append(data)

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


async def answers(_, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


async def says_two_pieces(_, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (b"one", b"two"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0.02)
    await send({"type": "http.response.body"})


async def hesitates(_, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await asyncio.sleep(0.03)
    await send({"type": "http.response.body", "body": b"hi"})


async def reads(_, receive, send):
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.request":
        await answers(_, receive, send)


@pytest.fixture
def app(request):
    return getattr(request, "param", answers)


@pytest.fixture
async def connection(app):
    config = Config(app, **options(Server(request_timeout_s=0.1)))
    config.load()
    protocol, transport = config.http_protocol_class(config, ServerState(), {}), Transport()
    protocol.connection_made(transport)
    yield protocol, transport
    protocol.connection_lost(None)


def told(transport):
    head, _, body = transport.written.partition(b"\r\n\r\n")
    assert b"x-request-id: " in head and b"connection: close" in head and transport.closed
    return int(head.split()[1]), orjson.loads(body)["error"]["code"]


async def test_one_request_after_another_is_answered(connection):
    protocol, transport = connection
    assert isinstance(protocol, BoundedHttp)
    for _ in range(3):
        protocol.data_received(HEAD + b"\r\n")
        await asyncio.sleep(0.01)
    assert transport.written.count(b"200 OK") == 3 and not transport.closed


@pytest.mark.parametrize("app", [says_two_pieces], indirect=True)
async def test_the_head_of_a_reply_and_what_follows_it_are_one_piece(connection):
    protocol, transport = connection
    protocol.data_received(HEAD + b"\r\n")
    await asyncio.sleep(0.08)
    first, second, end = transport.pieces
    assert first.startswith(b"HTTP/1.1 200 OK") and first.endswith(b"3\r\none\r\n")
    assert (second, end) == (b"3\r\ntwo\r\n", b"0\r\n\r\n")


@pytest.mark.parametrize("app", [hesitates], indirect=True)
async def test_a_head_that_nothing_follows_does_not_wait(connection):
    protocol, transport = connection
    protocol.data_received(HEAD + b"\r\n")
    await asyncio.sleep(0.015)
    assert transport.written.endswith(b"\r\n\r\n")
    await asyncio.sleep(0.05)
    assert len(transport.pieces) == 2 and transport.written.endswith(b"hi")


async def test_nothing_is_written_on_a_connection_that_is_closed(connection):
    protocol, transport = connection
    protocol.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
    transport.closed = True
    await asyncio.sleep(0.01)
    assert transport.pieces == []


@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_large_head_is_refused_however_it_comes(connection, pieces):
    protocol, transport = connection
    flood = HEAD + b"x: " + b"y" * LARGEST_HEAD + b"\r\n\r\n"
    size = len(flood) // pieces + 1
    for start in range(0, len(flood), size):
        if not transport.closed:
            protocol.data_received(flood[start : start + size])
    assert told(transport) == (431, "request_header_fields_too_large")


async def test_a_head_that_does_not_end_is_refused_and_a_connection_without_one_closed(connection):
    protocol, transport = connection
    protocol.data_received(HEAD)
    await asyncio.sleep(0.15)
    assert told(transport) == (408, "request_timeout")


@pytest.mark.parametrize("app", [reads, answers], indirect=True)
async def test_a_body_that_does_not_arrive_is_refused_unless_its_request_is_answered_already(connection, app):
    protocol, transport = connection
    protocol.data_received(b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n123")
    await asyncio.sleep(0.01)
    assert not transport.closed
    await asyncio.sleep(0.15)
    if app is reads:
        assert told(transport) == (408, "request_timeout")
    else:
        assert transport.closed and transport.written.count(b"HTTP/1.1") == 1


async def test_a_body_has_its_own_time_and_the_next_request_too(connection):
    protocol, transport = connection
    for _ in range(3):
        protocol.data_received(b"POST / HTTP/1.1\r\ncontent-length: 6\r\n\r\n123")
        await asyncio.sleep(0.06)
        protocol.data_received(b"456")
        await asyncio.sleep(0.06)
    assert transport.written.count(b"200 OK") == 3 and not transport.closed


async def test_a_connection_over_which_nothing_is_asked_is_closed(connection):
    _, transport = connection
    await asyncio.sleep(0.15)
    assert (transport.written, transport.closed) == (b"", True)


async def test_a_second_head_has_its_time_too(connection):
    protocol, transport = connection
    protocol.data_received(HEAD + b"\r\n")
    await asyncio.sleep(0.15)  # between requests a connection is kept for longer
    assert not transport.closed
    transport.written = b""
    protocol.data_received(HEAD)
    await asyncio.sleep(0.15)
    assert told(transport) == (408, "request_timeout")


async def test_what_is_no_http_is_told_so_in_openais_shape(connection):
    protocol, transport = connection
    protocol.data_received(b"NONSENSE\r\n\r\n")
    assert told(transport) == (400, None)
