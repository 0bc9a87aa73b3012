"""For every test: no network but loopback, and markers for what needs more than this process."""

import gc
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings

from ledger import database

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


@pytest.fixture(scope="session", autouse=True)
def _ledgers_are_copies(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new ledger is a copy of one that the migrations have made: to make each anew takes thirty times as long."""
    if request.config.pluginmanager.hasplugin("tests.postgres"):  # which copies its own
        yield
        return
    newest, made = tmp_path_factory.mktemp("newest") / "ledger.db", database._engine
    database.connect(f"sqlite:///{newest}").dispose()

    def copied(url: sa.URL) -> sa.Engine:
        file = database._sqlite_file(url)
        if file is not None and file.parent.is_dir() and not file.exists():
            whole = shutil.copyfile(newest, f"{file}.{os.getpid()}.{threading.get_ident()}")
            with suppress(FileExistsError):  # a process that a test has started was quicker
                os.link(whole, file)
            Path(whole).unlink()
        return made(url)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_engine", copied)
        yield


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
