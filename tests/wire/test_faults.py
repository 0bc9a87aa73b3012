"""Upstreams that fail, on each route: what the client sees, that nothing hangs, and that nothing is left behind."""

import httpx
import pytest

from tests.wire.faults import FAULTS, Fault, Seen, see
from tests.wire.reading import check_broken, check_error
from tests.wire.rig import MESSAGES, Rig, wait_for
from tests.wire.upstream import endless, hanging, slow

pytestmark = pytest.mark.e2e


@pytest.fixture
def leaves_nothing(rig: Rig):
    """After the test no upstream call is under way, and the gateway holds no more files than before."""
    before = rig.process.num_fds()
    yield
    rig.recover("big", "lite")
    wait_for(lambda: rig.process.num_fds() <= before + 4)  # an idle connection to each upstream is kept


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("model", ["desk", "essay", "big", "lite"])
def test_what_a_client_sees(rig, fault: Fault, *, model: str, stream: bool):
    seen = see(rig, fault, model=model, stream=stream)
    expected = fault.expected(model, stream=stream)
    assert seen.words == expected, seen.reply
    assert seen.seconds < 10.0
    if expected == "error event":
        check_broken(seen.reply, route=seen.route)
    elif not seen.ok:
        _check_told(seen)


def _check_told(seen: Seen) -> None:
    error = seen.reply.json["error"]
    check_error(seen.reply, status=seen.reply.status, code=error["code"], param=error["param"])


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize(
    ("model", "stream"),
    [("desk", False), ("desk", True), ("essay", False), ("essay", True), ("big", False), ("big", True)],
)
def test_a_client_that_leaves_before_its_answer_cancels_what_was_asked(rig, model, *, stream):
    upstream = rig.teacher if model == "big" else rig.student
    cut_off, left = upstream.cut_off, rig.answered().get(("none", "499"), 0.0)
    with upstream.doing(hanging):
        _leave(rig, {"model": model, "stream": stream}, after_s=0.3)
        wait_for(lambda: upstream.cut_off == cut_off + 1, limit_s=1.0)
        assert upstream.active == 0
    wait_for(lambda: rig.answered().get(("none", "499"), 0.0) == left + 1)


@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("model", ["essay", "big", "lite"])
@pytest.mark.parametrize("act", [endless(), slow(between_s=1.2)], ids=["busy", "quiet"])
def test_a_client_that_leaves_a_stream_cancels_what_is_being_sent(rig, model, *, act):
    upstream = rig.student if model == "essay" else rig.teacher
    cut_off = upstream.cut_off
    with upstream.doing(act):
        body = {"model": model, "messages": MESSAGES, "stream": True}
        if model == "essay":  # its first tokens are wanted before anything is sent
            upstream.act = endless()
        with rig.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as response:
            next(response.iter_bytes())
        wait_for(lambda: upstream.cut_off == cut_off + 1, limit_s=1.0)
        assert upstream.active == 0


def test_a_storm_leaves_memory_and_files_as_they_were(rig):
    """A hundred failures of each kind: what grows with every one of them shows."""
    quick = [fault for fault in FAULTS if fault.quick]
    _storm(rig, quick, times=2)
    before, memory = rig.process.num_fds(), rig.process.memory_info().rss
    _storm(rig, quick, times=100)
    rig.recover()
    wait_for(lambda: rig.process.num_fds() <= before + 4)
    assert rig.process.memory_info().rss - memory < 24 << 20


def _storm(rig: Rig, faults: list[Fault], *, times: int) -> None:
    with rig.client() as client:
        for fault in faults:
            with rig.student.doing(fault.act), rig.teacher.doing(fault.act):
                for number in range(times):
                    model = ("desk", "essay", "big")[number % 3]
                    body = {"model": model, "messages": MESSAGES, "stream": number % 2 == 0}
                    assert client.post("/v1/chat/completions", json=body).content


def _leave(rig: Rig, body: dict, *, after_s: float) -> None:
    with rig.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json={"messages": MESSAGES, **body}, timeout=after_s)
