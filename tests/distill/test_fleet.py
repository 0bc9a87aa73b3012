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
        host = request.url.host
        return (self.engines.get(host) or next(iter(self.engines.values())))(request)

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
