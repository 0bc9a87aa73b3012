import socket
from pathlib import Path

import pytest

from distill.train import TrainConfig, TrainReport, train
from tests.distill import tiny


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args):
        raise AssertionError("a unit test asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> str:
    return tiny.save(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def trained(base, tmp_path_factory) -> tuple[Path, TrainReport]:
    """An adapter that has learned the toy task, and its report."""
    out = tmp_path_factory.mktemp("adapters") / "toy--v000001"
    config = TrainConfig(base, learning_rate=2e-2, epochs=4, batch_size=8, max_tokens=128)
    return out, train(tiny.rows(64), tiny.rows(16), config=config, out=out, progress=lambda at: None)
