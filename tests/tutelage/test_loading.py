"""The loader tries again for as long as it runs, and says what is new once."""

import logging
import threading
from types import SimpleNamespace

import pytest

from distill.adapters import EngineDown
from router.settings import load
from tests.distill.test_fleet import Fleet
from tutelage import loading
from tutelage.starter import starter


@pytest.fixture
def told(monkeypatch, caplog):
    """What it logs while `load_champions` comes to these outcomes, one after the other; `ended` is taken off once."""

    def watch(*outcomes, slots=(), ended=()):
        stop, left, taken = threading.Event(), list(outcomes), [set(ended)]

        def retire(*, now, steady):
            return taken.pop() if taken else set()

        def load(settings, engine, *, checked):
            found = left.pop(0)
            if not left:
                stop.set()
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(loading, "LOOK_S", 0.0)
        monkeypatch.setattr(loading, "load_champions", load)
        monkeypatch.setattr(loading, "too_few_slots", lambda settings: dict(slots))
        monkeypatch.setattr(loading, "shelf", lambda settings: None)
        monkeypatch.setattr(loading, "Retiring", lambda engine, shelf: SimpleNamespace(look=retire))
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


def test_what_has_ended_is_taken_off_once_the_champions_are_there(told):
    down, loaded = EngineDown("vLLM cannot be reached"), {"desk--v000002": ""}
    lines = told(down, loaded, ended={"desk--v000001"})
    assert lines[1:] == ["desk--v000001: taken off, nothing needs it", "desk--v000002: loaded"]


def test_too_few_slots_are_told_once_beside_what_is_loaded(told):
    lines = told({"desk--v000001": ""}, {"desk--v000001": ""}, slots=[("http://10.0.0.1:8000", "2 adapters have room")])
    assert lines == ["desk--v000001: loaded", "http://10.0.0.1:8000: 2 adapters have room"]


def test_an_engine_with_too_few_slots_is_named_with_what_to_start_it_with(tmp_path, monkeypatch):
    (tmp_path / "tutelage.yaml").write_text(starter(teacher="openai/big", task="desk", base_model="m"))
    settings = load(tmp_path / "tutelage.yaml")
    elsewhere = {"base_url": "http://student:8000", "load_url": "http://student-engines:8000"}
    settings = settings.model_copy(update={"student": settings.student.model_copy(update=elsewhere)})
    fleet = Fleet(monkeypatch, "10.0.0.1", "10.0.0.2")
    assert loading.too_few_slots(settings) == {}  # none has said it yet
    fleet.engines["10.0.0.1"].down = True
    fleet.engines["10.0.0.2"].asked.append("base")
    found = loading.too_few_slots(settings)
    assert found.keys() == {"http://10.0.0.2:8000"}
    assert "2 adapters have room" in found["http://10.0.0.2:8000"]
    assert "--max-loras=4 --max-cpu-loras=8" in found["http://10.0.0.2:8000"]
