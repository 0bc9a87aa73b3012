"""What strangers send: refused clearly, with memory bounded, and nothing of it reaches an upstream."""

import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import orjson
import pytest

from tests.wire.reading import Reply, check_error
from tests.wire.rig import KEY, LARGEST_BODY, MESSAGES, STUDENT, TEACHER, wait_for

pytestmark = pytest.mark.e2e
IDLE = 2000  # connections; ten times as many need a higher limit of open files than most machines allow
MEMORY = 48 << 20  # bytes that the gateway may grow by
MODELS = (*STUDENT, *TEACHER)


def post(rig, content, **headers) -> Reply:
    sent = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **headers}
    response = httpx.post(f"{rig.url}/v1/chat/completions", content=content, headers=sent, timeout=60.0)
    return Reply(response.status_code, dict(response.headers), response.content)


def chat(**fields) -> bytes:
    return orjson.dumps({"model": "desk", "messages": MESSAGES, **fields})


@pytest.fixture(autouse=True)
def _still_well(rig):
    """Nothing of it was asked of anybody, and the next client is answered."""
    asked = len(rig.student.seen) + len(rig.teacher.seen)
    yield
    assert len(rig.student.seen) + len(rig.teacher.seen) == asked
    for model, route in (("desk", "student"), ("big", "teacher")):
        assert rig.ask(model).headers["x-tutelage-route"] == route


def test_fifty_megabytes_are_refused_in_little_memory(rig):
    before = rig.process.memory_info().rss
    for declared in (True, False):
        content = b"x" * (50 << 20)
        pieces = (content[n : n + (1 << 16)] for n in range(0, len(content), 1 << 16))
        try:
            reply = post(rig, content if declared else pieces)
        except httpx.WriteError:
            continue  # refused while we were still sending
        check_error(reply, status=413, code="request_too_large")
    assert rig.process.memory_info().rss - before < MEMORY


@pytest.mark.parametrize(
    ("content", "param"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"\xff\xfe{}", None, id="no UTF-8"),
        pytest.param(chat(user="x").replace(b'"x"', b'"\xc3\x28"'), None, id="no UTF-8 inside"),
        pytest.param(chat(user="x").replace(b'"x"', b'"\\ud800"'), None, id="half a character"),
        pytest.param(chat(user=[]).replace(b"[]", b"[" * 90 + b"]" * 90)[:-1], None, id="cut off"),
        pytest.param(chat(metadata={}).replace(b"{}", b"[" * 200 + b"]" * 200), None, id="nested 200 deep"),
        pytest.param(b"[" * 30_000, None, id="nested without end"),
        pytest.param(chat(n=1000), "n", id="n = 1000"),
        pytest.param(chat(n=1).replace(b'"n":1', b'"n":1' + b"0" * 30), "n", id="n beyond integers"),
        pytest.param(chat(max_tokens=-1), "max_tokens", id="max_tokens < 0"),
        pytest.param(chat(max_tokens=1).replace(b":1}", b":1" + b"0" * 400 + b"}"), None, id="max_tokens beyond all"),
        pytest.param(chat(temperature=0).replace(b":0}", b":NaN}"), None, id="NaN"),
        pytest.param(chat(stop=[1]), "stop[0]", id="stop of numbers"),
        pytest.param(chat(messages=[{"role": "user\r\nx-evil: 1", "content": "x"}]), "messages[0].role", id="role"),
    ],
)
def test_nonsense_is_a_400_that_names_the_field(rig, content, *, param):
    reply = post(rig, content)
    error = reply.json["error"]
    check_error(reply, status=400, code=error["code"], param=error["param"], kind="invalid_request_error")
    assert param is None or error["param"] == param


@pytest.mark.parametrize(
    "model",
    ["../../etc/passwd", "desk--v000001/../../x", "..%2f..%2fetc", "desk\r\nx-evil: 1", "desk\x00", "x" * 257, "DESK"],
)
def test_a_name_that_is_none_of_ours_is_no_model(rig, model):
    reply = post(rig, chat(model=model))
    assert reply.status in (400, 404) and reply.json["error"]["param"] == "model"
    assert "x-evil" not in reply.headers


def test_a_release_or_the_base_model_cannot_be_asked_for_by_its_name(rig):
    for name in ("desk--v000001", "base"):
        check_error(post(rig, chat(model=name)), status=404, code="model_not_found", param="model")


@pytest.mark.parametrize(
    "path", ["/v1/../internal/drafts", "/v1/%2e%2e/metrics", "/v1/chat/completions/../models", "//"]
)
def test_a_path_leads_nowhere_else(rig, path):
    request = f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", rig.port), timeout=10.0) as connection:
        connection.sendall(request)
        assert b" 404 " in connection.recv(1 << 16).split(b"\r\n")[0]


@pytest.mark.parametrize("name", ["x-tutelage-task", "x-tutelage-priority", "authorization"])
@pytest.mark.parametrize("value", [b"desk\rx-evil: 1", b"desk\nx-evil: 1", b"desk\x00"])
def test_a_header_holds_no_other_header(rig, name, value):
    body = chat()
    lines = [
        b"POST /v1/chat/completions HTTP/1.1",
        b"host: x",
        b"authorization: Bearer " + KEY.encode(),
        name.encode() + b": " + value,
        b"content-length: %d" % len(body),
        b"connection: close",
    ]
    with socket.create_connection(("127.0.0.1", rig.port), timeout=10.0) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        head = connection.recv(1 << 16).partition(b"\r\n\r\n")[0]
    assert head.split(b"\r\n")[0].split(b" ")[1] in (b"400", b"401", b"404")
    assert b"x-evil" not in head.lower()


def test_idle_connections_cost_little_and_are_closed(rig):
    before, files = rig.process.memory_info().rss, rig.process.num_fds()
    idle = [socket.create_connection(("127.0.0.1", rig.port)) for _ in range(IDLE)]
    try:
        wait_for(lambda: rig.process.num_fds() >= files + IDLE * 0.9 or _closed(idle[0]))
        assert rig.process.memory_info().rss - before < MEMORY
        with rig.client() as client:  # others are answered meanwhile
            assert client.get("/v1/models").status_code == 200
        wait_for(lambda: rig.process.num_fds() < files + 20)
    finally:
        for connection in idle:
            connection.close()
    assert rig.process.memory_info().rss - before < MEMORY


def _closed(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


def test_guessed_keys_are_all_refused(rig):
    guesses = ["sk-", KEY[:-1], KEY + "x", KEY.upper(), "Bearer", "x" * 4096, *(f"sk-{n}" for n in range(50))]
    with ThreadPoolExecutor(8) as pool:
        replies = pool.map(lambda key: post(rig, chat(), authorization=f"Bearer {key}"), guesses)
        assert {reply.status for reply in replies} == {401}


def test_the_largest_body_that_is_allowed_is_read(rig):
    with rig.client() as client:
        content = "x" * (LARGEST_BODY // 2)
        body = {"model": "nobody", "messages": [{"role": "user", "content": content}]}
        assert client.post("/v1/chat/completions", json=body).status_code == 404
