import json

import pytest

from ledger.prices import Price
from tests.tutelage.replay.lines import entry


@pytest.fixture
def log(tmp_path):
    """Write a log of so many requests of one task; returns its path."""

    def write(count, *, more=()):
        path = tmp_path / "log.jsonl"
        path.write_text("\n".join(json.dumps(each) for each in [*map(entry, range(1, count + 1)), *more]))
        return path

    return write


@pytest.fixture
def table(monkeypatch):
    """Instead of LiteLLM's, which takes seconds to import."""
    prices = {"gpt-4o": Price(2.5e-6, 1e-5), "mini": Price(1e-7, 4e-7)}
    monkeypatch.setattr("router.teacher_server.listed_price", prices.get)
    return prices
