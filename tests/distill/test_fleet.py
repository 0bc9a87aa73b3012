"""An adapter is on every engine of a fleet or the call fails; engines come and go between two calls."""

import functools
import socket

import httpx
import pytest

from distill.adapters import AdapterError, EngineDown
from distill.fleet import AdapterFleet
from tests.distill.test_adapters import FakeEngine


class Fleet:
    """Engines by their addresses, and the name that has them."""

    def __init__(self, monkeypatch, *addresses):
        self.engines = {address: FakeEngine() for address in addresses}
        transport = httpx.MockTransport(self)
        monkeypatch.setattr(httpx, "Client", functools.partial(httpx.Client, transport=transport))
        monkeypatch.setattr(socket, "getaddrinfo", self.resolve)
        self.server = AdapterFleet("http://student-engines:8000")

    def __call__(self, request):
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
