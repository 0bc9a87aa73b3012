"""An adapter is on every engine of a fleet or the call fails; engines come and go between two calls."""

import functools
import socket
import threading

import httpx
import pytest

from distill.adapters import ASK_S, TIMEOUT_S, AdapterError, EngineDown
from distill.fleet import AdapterFleet, Snapshot, on_each
from tests.distill.test_adapters import FakeEngine


class Fleet:
    """Engines by their addresses, and the name that has them."""

    def __init__(self, monkeypatch, *addresses):
        self.engines = {address: FakeEngine() for address in addresses}
        transport = httpx.MockTransport(self)
        monkeypatch.setattr(httpx, "Client", functools.partial(httpx.Client, transport=transport))
        monkeypatch.setattr(socket, "getaddrinfo", self.resolve)
        self.server = AdapterFleet("http://student-engines:8000")
        self.asked = []  # host and path of each request

    def __call__(self, request):
        self.asked.append((request.url.host, request.url.path))
        if request.url.host in self.engines:
            return self.engines[request.url.host](request)
        return next(engine for engine in self.engines.values() if not engine.down)(request)

    def resolve(self, host, port, **_):
        assert (host, port) == ("student-engines", 8000)
        if not self.engines:
            raise socket.gaierror("Name or service not known")
        ours = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.engines]
        return [*ours, (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fd00::1", port, 0, 0))]


@pytest.fixture
def fleet(monkeypatch):
    return Fleet(monkeypatch, "10.0.0.1", "10.0.0.2")


def test_an_adapter_is_loaded_on_every_engine_and_taken_out_of_every_one(fleet, tmp_path):
    fleet.server.load("task--v000001", tmp_path / "a")
    assert all(engine.folders == {"task--v000001": str(tmp_path / "a")} for engine in fleet.engines.values())
    fleet.server.unload("task--v000001")
    assert not any(engine.folders for engine in fleet.engines.values())


def test_an_engine_that_has_just_come_is_loaded_and_the_others_are_left_alone(fleet, tmp_path):
    fleet.server.load("task--v000001", tmp_path / "a")
    fleet.engines["10.0.0.3"] = FakeEngine()
    assert "task--v000001" not in fleet.server.loaded()
    fleet.server.load("task--v000001", tmp_path / "a")
    assert "task--v000001" in fleet.server.loaded()


def test_one_that_was_started_again_does_not_keep_the_others_from_unloading(fleet, tmp_path):
    fleet.server.load("task--v000001", tmp_path / "a")
    fleet.engines["10.0.0.1"].folders.clear()
    fleet.server.unload("task--v000001")
    assert not any(engine.folders for engine in fleet.engines.values())


def test_one_that_is_down_does_not_keep_the_others_from_anything_and_is_named(fleet, tmp_path):
    """The first of them: whoever stops there leaves the second with forgotten weights."""
    down, up = fleet.engines.values()
    fleet.server.load("task--v000001", tmp_path / "a")
    down.down = True
    with pytest.raises(AdapterError, match=r"1 of 2 engines failed: http://10\.0\.0\.1:8000: .*cannot be reached"):
        fleet.server.unload("task--v000001")
    assert up.folders == {}
    with pytest.raises(AdapterError, match=r"http://10\.0\.0\.1:8000"):
        fleet.server.load("task--v000002", tmp_path / "b")
    assert up.folders.keys() == {"task--v000002"} and fleet.server.version() == "0.32.0"


def test_where_none_answers_the_engine_is_down(fleet):
    for engine in fleet.engines.values():
        engine.down = True
    for call in (fleet.server.version, lambda: fleet.server.unload("task--v000001")):
        with pytest.raises(EngineDown, match="2 of 2 engines failed"):
            call()


def test_of_one_engine_its_own_words_are_told(fleet, tmp_path):
    fleet.engines.pop("10.0.0.2")
    fleet.server.load("task--v000001", tmp_path / "a")
    with pytest.raises(AdapterError, match=r"^vLLM refused /v1/load_lora_adapter"):
        fleet.server.load("task--v000001", tmp_path / "b")


def test_one_version_is_told_and_two_are_refused(fleet, monkeypatch):
    assert fleet.server.version() == "0.32.0"
    versions = iter(["0.32.0", "0.33.0"])
    monkeypatch.setattr("distill.adapters.AdapterServer.version", lambda _: next(versions))
    with pytest.raises(AdapterError, match=r"several versions, 0\.32\.0, 0\.33\.0"):
        fleet.server.version()


def test_a_name_without_addresses_is_an_engine_that_is_down(fleet):
    fleet.engines.clear()
    with pytest.raises(EngineDown, match="student-engines:8000 cannot be reached"):
        fleet.server.loaded()


def test_one_that_does_not_tell_its_version_hides_that_of_no_other(fleet):
    sick, well = fleet.engines.values()
    sick.mute = True
    assert fleet.server.version() == "0.32.0"
    well.mute = True
    with pytest.raises(AdapterError, match="2 of 2 engines failed"):
        fleet.server.version()


def test_all_are_asked_at_once(fleet):
    meet = threading.Barrier(2, timeout=10.0)
    on_each(fleet.server.engines(), lambda _: meet.wait())


@pytest.mark.parametrize("trouble", ["down", "mute"])
def test_in_a_look_one_that_is_sick_is_asked_once_and_the_others_are_served(fleet, tmp_path, trouble):
    setattr(fleet.engines["10.0.0.1"], trouble, True)
    look = Snapshot.take("http://student-engines:8000")
    for name in ("task--v000001", "task--v000002"):
        assert look.version() == "0.32.0"
        with pytest.raises(AdapterError, match=r"1 of 2 engines failed: http://10\.0\.0\.1:8000"):
            look.load(name, tmp_path / name)
    assert fleet.engines["10.0.0.2"].folders.keys() == {"task--v000001", "task--v000002"}
    assert [path for host, path in fleet.asked if host == "10.0.0.1"] == ["/version"]
    assert fleet.asked.count(("10.0.0.2", "/version")) == 1


def test_one_that_falls_silent_in_a_look_is_asked_nothing_more(fleet):
    look = Snapshot.take("http://student-engines:8000")
    fleet.engines["10.0.0.1"].down = True
    for _ in range(2):
        with pytest.raises(EngineDown, match="1 of 2"):
            on_each(look.engines(), lambda engine: engine.folders())
    assert fleet.asked.count(("10.0.0.1", "/v1/models")) == 1


def test_nobody_is_there_to_look_at(fleet):
    for engine in fleet.engines.values():
        engine.down = True
    with pytest.raises(EngineDown, match="2 of 2"):
        Snapshot.take("http://student-engines:8000")


def test_a_question_has_less_time_than_an_order(monkeypatch, tmp_path):
    had = {}

    def hear(request):
        had[request.url.path] = request.extensions["timeout"]["read"]
        return FakeEngine()(request)

    monkeypatch.setattr(httpx, "Client", functools.partial(httpx.Client, transport=httpx.MockTransport(hear)))
    Snapshot.take("http://127.0.0.1:8000").load("task--v000001", tmp_path / "a")
    assert had == {"/version": ASK_S, "/v1/models": ASK_S, "/v1/load_lora_adapter": TIMEOUT_S}
