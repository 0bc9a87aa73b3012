"""Every status that a client may get, over the wire: OpenAI's body, the right code, and an id to ask about."""

import socket
import time

import httpx
import pytest

from tests.wire import upstream
from tests.wire.reading import Reply, check_error
from tests.wire.rig import ARRIVAL_S, KEY, LARGEST_BODY, wait_for

pytestmark = pytest.mark.e2e
URL = "/v1/chat/completions"


def post(rig, content: bytes = b"{}", *, path: str = URL, method: str = "POST", key: str = KEY, **headers) -> Reply:
    sent = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.request(method, rig.url + path, content=content, headers=sent, timeout=30.0)
    return Reply(response.status_code, dict(response.headers), response.content)


@pytest.fixture
def failing(rig):
    """The teacher fails in a chosen way; afterwards both routes answer again."""
    yield rig.teacher.doing
    rig.recover()


def test_400_names_the_field(rig):
    check_error(post(rig, b'{"model": "desk"}'), status=400, code=None, param="messages", kind="invalid_request_error")


def test_401_without_the_key(rig):
    check_error(post(rig, key="sk-guessed"), status=401, code="invalid_api_key", kind="invalid_request_error")


@pytest.mark.parametrize("stream", [False, True])
def test_404_for_an_unknown_model(rig, stream):
    reply = rig.ask("nobody", stream=stream)
    check_error(reply, status=404, code="model_not_found", param="model", kind="invalid_request_error")


def test_404_for_an_unknown_url(rig):
    reply = post(rig, path="/v1/nothing")
    check_error(reply, status=404, code="unknown_url", kind="invalid_request_error")


def test_405_says_what_would_be_right(rig):
    reply = post(rig, method="PUT")
    check_error(reply, status=405, code="method_not_allowed", kind="invalid_request_error")
    assert reply.headers["allow"] == "POST"


def test_408_for_a_body_that_does_not_arrive(rig):
    begun = time.monotonic()
    reply = raw(rig, head(rig, length=100) + b'{"model"')
    check_error(reply, status=408, code="request_timeout", kind="invalid_request_error")
    assert ARRIVAL_S <= time.monotonic() - begun < ARRIVAL_S + 5.0
    assert reply.headers["connection"] == "close"


def test_408_for_a_head_that_does_not_arrive(rig):
    reply = raw(rig, head(rig, length=100)[:-10])
    check_error(reply, status=408, code="request_timeout", kind="invalid_request_error")


@pytest.mark.parametrize("declared", [True, False])
def test_413_for_a_body_that_is_too_large(rig, declared):
    content = b" " * (LARGEST_BODY + 1)
    reply = post(rig, content if declared else iter([content]))
    check_error(reply, status=413, code="request_too_large", kind="invalid_request_error")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_415_for_another_content_type(rig, kind):
    reply = post(rig, b'{"model": "desk"}', content_type=kind)
    check_error(reply, status=415, code="unsupported_content_type", kind="invalid_request_error")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["big", "lite"])
@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_teacher_refuses_comes_in_its_words(rig, failing, *, model, stream, status):
    with failing(upstream.status(status, words="too many images")):
        reply = rig.ask(model, stream=stream)
    error = reply.json["error"]
    assert reply.status == status and "too many images" in error["message"]
    assert reply.headers["x-tutelage-route"] == "teacher" and reply.headers["x-request-id"]
    if model == "big":
        check_error(reply, status=status, code="scripted_code", param="messages", kind="invalid_request_error")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["big", "lite"])
def test_429_of_the_teacher_comes_with_its_pause(rig, failing, *, model, stream):
    with failing(upstream.status(429, retry_after="7")):
        reply = rig.ask(model, stream=stream)
    assert (reply.status, reply.headers["retry-after"]) == (429, "7")
    assert reply.json["error"]["type"] == "rate_limit_error"


def test_429_of_our_own_comes_with_a_pause(rig):
    assert rig.ask("short").status == 200
    reply = rig.ask("short")
    check_error(reply, status=429, code="rate_limit_exceeded", kind="rate_limit_error")
    assert int(reply.headers["retry-after"]) >= 1


def test_431_for_a_flood_of_headers(rig):
    at_once = raw(rig, head(rig, length=2)[:-2] + b"x-flood: " + b"x" * (1 << 17) + b"\r\n\r\n{}")
    check_error(at_once, status=431, code="request_header_fields_too_large", kind="invalid_request_error")
    many = raw(rig, head(rig, length=2)[:-2] + b"".join(b"x-%d: y\r\n" % n for n in range(20_000)))
    check_error(many, status=431, code="request_header_fields_too_large", kind="invalid_request_error")


@pytest.mark.parametrize(("upstreams", "told"), [(401, 502), (402, 502), (403, 502), (404, 502), (307, 502)])
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_our_fault_with_the_teacher_is_a_502_without_its_words(rig, failing, *, upstreams, told, stream):
    with failing(upstream.status(upstreams, words="Incorrect API key provided: sk-secret", location="/elsewhere")):
        reply = rig.ask("big", stream=stream)
    check_error(reply, status=told, code="teacher_unavailable", kind="server_error")
    assert b"sk-secret" not in reply.content


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("upstreams", "told"), [(500, 502), (502, 502), (503, 503), (504, 504)])
def test_a_teacher_that_fails_is_told_as_such(rig, failing, *, upstreams, told, stream):
    with failing(upstream.status(upstreams)):
        reply = rig.ask("big", stream=stream)
    check_error(reply, status=told, code="teacher_unavailable", kind="server_error")
    assert reply.headers["x-tutelage-route"] == "teacher"


@pytest.mark.parametrize("stream", [False, True])
def test_a_teacher_that_cannot_be_reached_is_a_502(rig, stream):
    reply = rig.ask("absent", stream=stream)
    check_error(reply, status=502, code="teacher_unavailable", kind="server_error")


def test_a_teacher_that_fails_again_and_again_is_left_alone_for_a_moment(rig, failing):
    with failing(upstream.status(500)):
        wait_for(lambda: rig.ask("big").status == 503)
        asked = len(rig.teacher.seen)
        reply = rig.ask("big")
    check_error(reply, status=503, code="teacher_unavailable", kind="server_error")
    assert int(reply.headers["retry-after"]) >= 1 and len(rig.teacher.seen) == asked
    assert rig.ask("patient").status == 200  # another teacher has a breaker of its own


@pytest.mark.parametrize("stream", [False, True])
def test_a_teacher_is_tried_again_where_that_is_set(rig, stream):
    before = len(rig.teacher.seen)
    with rig.teacher.doing(upstream.first(2, upstream.status(503))):
        assert rig.ask("patient", stream=stream).status == 200
    assert len(rig.teacher.seen) == before + 3


def test_a_request_that_is_no_http_is_told_so_in_the_same_shape(rig):
    check_error(raw(rig, b"NONSENSE\r\n\r\n"), status=400, code=None, kind="invalid_request_error")


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/ready", "/metrics", "/v1/nothing"])
def test_every_reply_has_a_request_id(rig, path):
    with rig.client() as client:
        ids = {client.get(path).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


def head(rig, *, length: int) -> bytes:
    lines = (
        f"POST {URL} HTTP/1.1",
        f"host: 127.0.0.1:{rig.port}",
        f"authorization: Bearer {KEY}",
        "content-type: application/json",
        f"content-length: {length}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def raw(rig, data: bytes) -> Reply:
    """What comes back for these bytes, until the other side closes."""
    with socket.create_connection(("127.0.0.1", rig.port), timeout=15.0) as connection:
        connection.sendall(data)
        received = b""
        while part := _receive(connection):
            received += part
    top, _, body = received.partition(b"\r\n\r\n")
    first, *rest = top.decode().split("\r\n")
    return Reply(int(first.split()[1]), dict(line.lower().split(": ", 1) for line in rest), body)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 16)
    except ConnectionResetError:
        return b""
