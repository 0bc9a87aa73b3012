"""For every test: no network but loopback, and markers for what needs more than this process."""

import gc
import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

# LiteLLM asks for its newest price list when it is imported, which is before any test.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

# How long an example takes says nothing on a machine that others use too.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
LOOPBACK = ("127.", "localhost", "::1", "/")


def pytest_collection_finish() -> None:
    """What is imported by now stays: to look through it takes Accelerate's collections half a second per training."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self, address):
        host = address[0] if isinstance(address, tuple) else str(address)
        assert host.startswith(LOOPBACK), f"a test asks the network: {host}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
