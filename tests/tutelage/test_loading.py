"""The loader tries again for as long as it runs, and says what is new once."""

import logging
import threading

import pytest

from distill.adapters import EngineDown
from tutelage import loading


@pytest.fixture
def told(monkeypatch, caplog):
    """What it logs while `load_champions` comes to these outcomes, one after the other."""

    def watch(*outcomes):
        stop, left = threading.Event(), list(outcomes)

        def load(settings, engine):
            found = left.pop(0)
            if not left:
                stop.set()
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(loading, "LOOK_S", 0.0)
        monkeypatch.setattr(loading, "load_champions", load)
        with caplog.at_level(logging.INFO, logger=loading.__name__):
            loading.keep_loaded(None, None, stop=stop)
        return [record.getMessage() for record in caplog.records]

    return watch


def test_what_is_loaded_is_said_once(told):
    assert told({"desk--v000001": ""}, {"desk--v000001": ""}) == ["desk--v000001: loaded"]


def test_an_engine_that_is_away_ends_nothing(told):
    down = EngineDown("vLLM cannot be reached")
    lines = told(down, down, {"desk--v000001": "was altered"}, {"desk--v000001": ""})
    assert lines == ["student: vLLM cannot be reached", "desk--v000001: was altered", "desk--v000001: loaded"]
