"""Calls over kept connections: against servers that speak HTTP as it comes, and some that do not."""

import asyncio
import math
import socket
import ssl
import struct
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from router import http_connection
from router.http_client import HttpClient, Patience
from router.http_connection import BrokenOff, TooSlow, Unreachable

TLS = Path(__file__).parent / "tls"  # made by: openssl req -x509 -newkey ec ... -addext subjectAltName=DNS:localhost
PATIENT = Patience(total_s=5.0, connect_s=2.0)
JSON = {"content-type": "application/json"}
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


def sized(body, *, head=OK):
    return head + b"content-length: %d\r\n\r\n%b" % (len(body), body)


@asynccontextmanager
async def server(*pieces, then="wait", tls=None):
    """Sends these to each request, a moment apart; then it waits for the next one, closes, or resets the connection."""
    seen, ended = [], []

    async def serve(reader, writer):
        connection = len({number for number, _ in seen}) + len(ended)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                seen.append((connection, head + await reader.readexactly(length)))
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.01)
                if then == "close":
                    break
                if then == "reset":
                    at_once = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            ended.append(connection)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with HttpClient() as client:
        port = listening.sockets[0].getsockname()[1]

        async def post(body=b"{}", *, patience=PATIENT, headers=JSON, host="localhost" if tls else "127.0.0.1"):
            url = f"{'https' if tls else 'http'}://{host}:{port}/v1/x?y=1"
            return await client.post(url, body, patience=patience, headers=headers)

        post.client, post.seen, post.ended, post.port = client, seen, ended, port
        yield post
    listening.close()


async def read(response):
    async with response:
        return await response.read()


async def test_a_call_is_one_message_and_its_answer_comes_whole():
    async with server(sized(b'{"a": 1}', head=OK + b"Retry-After: 7\r\n")) as post:
        async with await post(b'{"q": 2}') as response:
            assert (response.status, response.header("retry-after"), response.header("x")) == (200, "7", None)
            assert await response.read() == b'{"a": 1}'
        ((_, message),) = post.seen
    assert message == (
        b"POST /v1/x?y=1 HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept-encoding: identity\r\n"
        b'content-type: application/json\r\ncontent-length: 8\r\n\r\n{"q": 2}' % post.port
    )


async def test_calls_in_turn_share_a_connection_and_calls_at_once_do_not():
    async with server(sized(b"ok")) as post:
        for _ in range(3):
            assert await read(await post()) == b"ok"
        assert len({connection for connection, _ in post.seen}) == 1
        both = await asyncio.gather(post(), post())
        assert [await read(each) for each in both] == [b"ok"] * 2
        assert len({connection for connection, _ in post.seen}) == 2


@pytest.mark.parametrize(
    "pieces",
    [
        (sized(b"hello"),),
        tuple(bytes([byte]) for byte in sized(b"hello")),
        (CHUNKED, b"2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"),
        (b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n", sized(b"hello")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + sized(b"hello"),),
    ],
)
async def test_an_answer_is_the_same_however_it_is_cut_and_leaves_its_connection_usable(pieces):
    async with server(*pieces) as post:
        for _ in range(2):
            response = await post()
            assert (response.status, response.header("x")) == (200, None)
            assert await read(response) == b"hello"
        assert len({connection for connection, _ in post.seen}) == 1


async def test_an_empty_answer_ends_at_once():
    async with server(b"HTTP/1.1 204 No Content\r\n\r\n") as post:
        assert [await read(await post()) for _ in range(2)] == [b"", b""]


async def test_an_answer_of_no_length_ends_with_its_connection():
    async with server(OK + b"\r\nhel", b"lo", then="close") as post:
        assert [await read(await post()) for _ in range(2)] == [b"hello"] * 2


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_connection_that_is_said_to_close_is_not_kept(then):
    async with server(sized(b"ok", head=OK + b"connection: close\r\n"), then=then) as post:
        assert [await read(await post()) for _ in range(3)] == [b"ok"] * 3


async def test_a_kept_connection_that_the_upstream_has_closed_is_not_used():
    async with server(sized(b"ok"), then="close") as post:
        assert await read(await post()) == b"ok"
        await asyncio.sleep(0.1)
        assert await read(await post()) == b"ok"


async def test_a_connection_is_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr("router.http_client.IDLE_S", 0.05)
    async with server(sized(b"ok")) as post:
        await read(await post())
        await asyncio.sleep(0.1)
        await read(await post())
        assert len({connection for connection, _ in post.seen}) == 2


@pytest.mark.parametrize(
    ("pieces", "then"),
    [
        ((OK + b"content-length: 9\r\n\r\nhel",), "close"),
        ((CHUNKED, b"5\r\nhel"), "close"),
        ((CHUNKED, b"3\r\nhel\r\n"), "close"),
        ((OK + b"content-length: 9\r\n\r\nhel",), "reset"),
        ((OK + b"\r\nhel",), "reset"),
        ((CHUNKED, b"zz\r\nhel"), "wait"),
    ],
)
async def test_an_answer_that_ends_half_way_is_told(pieces, then):
    async with server(*pieces, then=then) as post, await post() as response:
        with pytest.raises(BrokenOff):
            await response.read()


@pytest.mark.parametrize("junk", [b"<html>\r\n\r\n", b"\0" * 50, b"HTTP/1.1 banana\r\n\r\n"])
async def test_what_is_no_http_is_told(junk):
    async with server(junk) as post:
        with pytest.raises(BrokenOff, match="no HTTP"):
            await post()


async def test_an_answer_with_something_behind_it_is_none_and_its_connection_is_not_kept():
    async with server(sized(b"ok") + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil") as post:
        for _ in range(2):
            with pytest.raises(BrokenOff):
                await read(await post())
        assert len({connection for connection, _ in post.seen}) == 2


async def test_something_said_to_nobody_is_no_answer_to_the_next_call():
    async with server(sized(b"ok"), sized(b"evil")) as post:
        assert await read(await post()) == b"ok"
        await asyncio.sleep(0.1)
        assert await read(await post()) == b"ok"


async def test_heads_lines_and_bodies_are_bounded(monkeypatch):
    for name in ("LARGEST_HEAD", "LARGEST_LINE", "LARGEST_BODY"):
        monkeypatch.setattr(http_connection, name, 1000)
    async with server(OK + b"x: y\r\n" * 600 + b"\r\n") as post:
        with pytest.raises(BrokenOff):
            await post()
    async with server(CHUNKED, *[b"64\r\n%b\r\n" % (b"x" * 100)] * 30) as post:
        with pytest.raises(BrokenOff, match="more than 1000 bytes"):
            await read(await post())
        async with await post() as response:
            with pytest.raises(BrokenOff, match="a line without an end"):
                await response.events()


async def test_the_data_of_events_comes_as_it_is_sent():
    sent = b"data: a\n\n", b": nothing\n\nevent: x\ndata:b\r\n\r\nda", b"ta: c\ndata:\n", b"data: d\n\ndata: e"
    pieces = (CHUNKED, *(b"%x\r\n%b\r\n" % (len(each), each) for each in sent), b"0\r\n\r\n")
    found = []
    async with server(*pieces) as post, await post() as response:
        while events := await response.events():
            found += events
        assert found == [b"a", b"b", b"c", b"d", b"e"] and await response.events() == []


async def test_another_reader_goes_on_where_one_was_cancelled():
    letters = [b"2\r\n%b\r\n" % each for each in (b"da", b"ta", b": ", b"a\n", b"\nd", b"at", b"a:", b"b\n")]
    found = []
    async with server(CHUNKED, *letters, b"0\r\n\r\n") as post, await post() as response:
        while found[-1:] != [[]]:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.002):
                    found.append(await response.events())
    assert found == [[b"a"], [b"b"], []]


async def test_one_that_leaves_half_way_ends_the_connection():
    async with server(CHUNKED, *[b"8\r\ndata: x\n\r\n"] * 1000) as post:
        async with await post() as response:
            assert (await response.events())[0] == b"x"
        await asyncio.sleep(0.1)
        assert post.ended == [0]


async def test_a_call_that_is_cancelled_ends_its_connection():
    async with server() as post:
        calling = asyncio.create_task(post())
        await asyncio.sleep(0.05)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await asyncio.sleep(0.05)
        assert post.ended == [0]


async def test_each_limit_of_time_is_kept_to():
    async with server() as post:
        with pytest.raises(TimeoutError) as whole:
            await post(patience=Patience(total_s=0.1, connect_s=2.0))
        with pytest.raises(TooSlow):
            await post(patience=Patience(total_s=math.inf, connect_s=2.0, pause_s=0.1))
    assert not isinstance(whole.value, Unreachable)  # the upstream has it, and may be at work: it is not asked again
    async with server(CHUNKED, *[b"1\r\nx\r\n"] * 30) as post:
        async with await post(patience=Patience(total_s=0.15, connect_s=2.0)) as response:
            with pytest.raises(TimeoutError):
                await response.read()
        async with await post(patience=Patience(total_s=math.inf, connect_s=2.0, pause_s=0.15)) as response:
            with pytest.raises(TooSlow):  # 30 pieces came in twice that time
                await response.read()
            assert response._held == 0


async def test_a_reader_that_does_not_read_makes_the_upstream_wait(monkeypatch):
    monkeypatch.setattr(http_connection, "HELD", 1000)
    piece = b"%x\r\n%b\r\n" % (1 << 18, b"x" * (1 << 18))
    patience = Patience(total_s=math.inf, connect_s=2.0, pause_s=1.0)
    async with server(CHUNKED, *[piece] * 60, b"0\r\n\r\n") as post, await post(patience=patience) as response:
        await asyncio.sleep(1.5)  # longer than a pause may be: it is ours
        assert response._held < 1 << 20
        assert len(await response.read()) == 60 << 18


async def test_nobody_there_is_unreachable_and_so_is_one_that_hangs_up():
    async with HttpClient() as client:
        with pytest.raises(Unreachable, match="ConnectionRefusedError"):
            await client.post("http://127.0.0.1:1/", b"", patience=PATIENT, headers={})
    for then in ("close", "reset"):
        async with server(then=then) as post:
            with pytest.raises(Unreachable, match="without an answer"):
                await post()


@pytest.fixture
def tls(monkeypatch):
    """For `localhost` alone, by a certificate that this test trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "server.pem"))
    return context


async def test_over_tls_a_call_is_the_same_and_its_connection_is_kept(tls):
    large = b"x" * (1 << 20)
    async with server(sized(large), tls=tls) as post:
        assert [await read(await post(large)) for _ in range(3)] == [large] * 3
        assert len({connection for connection, _ in post.seen}) == 1
    async with server(CHUNKED, b"9\r\ndata: a\n\n\r\n", b"0\r\n\r\n", tls=tls) as post, await post() as response:
        assert await response.events() == [b"a"] and await response.events() == []


async def test_a_certificate_for_another_name_or_by_nobody_known_is_refused(tls, monkeypatch):
    async with server(sized(b"ok"), tls=tls) as post:
        with pytest.raises(Unreachable, match="SSLCertVerificationError"):
            await post(host="127.0.0.1")
    monkeypatch.delenv("SSL_CERT_FILE")
    async with server(sized(b"ok"), tls=tls) as post:
        with pytest.raises(Unreachable, match="SSLCertVerificationError"):
            await post()


async def test_a_server_that_speaks_no_tls_is_unreachable():
    listening = await asyncio.start_server(lambda _, writer: writer.write(b"HTTP/1.1 400 no\r\n\r\n"), "127.0.0.1", 0)
    url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    async with HttpClient() as client:
        with pytest.raises(Unreachable, match="SSLError"):
            await client.post(url, b"", patience=PATIENT, headers={})
    listening.close()


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://h/", {}),
        ("http:///x", {}),
        ("http://h:99999/", {}),
        ("http://127.0.0.1:1/", {"a": "b\r\nc: d"}),
        ("http://127.0.0.1:1/", {"a\nb": "c"}),
        ("http://127.0.0.1:1/", {"a": "\u20ac"}),
        ("http://127.0.0.1:1/\r\nx: y", {}),
    ],
)
async def test_what_cannot_be_sent_is_not_sent(url, headers):
    async with HttpClient() as client:
        with pytest.raises(Unreachable):
            await client.post(url, b"", patience=PATIENT, headers=headers)


async def test_no_connection_outlives_the_client():
    async with server(sized(b"ok")) as post:
        await read(await post())
        await post()
        await post.client.__aexit__()
        await asyncio.sleep(0.1)
        assert post.ended == [0]
