"""A candidate's steps around the engine; `test_run` follows them through a whole run."""

from dataclasses import replace

import pytest

from distill import candidate as making
from distill.adapters import AdapterError
from distill.candidate import Candidate
from distill.probe import Probe
from distill.train import TrainConfig


class Engine:
    """Notes what it is asked; broken, it refuses."""

    def __init__(self, *, broken=False):
        self.asked = []
        self.broken = broken

    def load(self, name, path, *, patience_s):
        self._note("load", name, path)

    def unload(self, name):
        self._note("unload", name)

    def _note(self, *what):
        self.asked.append(what)
        if self.broken:
            raise AdapterError("the engine is down")


class Gateway:
    """Revives the engine before it drafts, as after a failed try."""

    def drafts(self, requests, *, release, task, progress, revive):
        revive()
        return [(release, task, request) for request in requests]


class Silent:
    def step(self, words):
        pass

    def advance(self, done, total, *, eta_s=None):
        pass


def candidate(tmp_path, engine):
    parts = {"server": engine, "gateway": Gateway(), "progress": Silent()}
    return Candidate("a--v1", "desk", tmp_path / "a--v1", TrainConfig("base"), max_tokens=8, **parts)


def test_it_is_compared_with_the_base_model_before_it_is_loaded_and_probed(tmp_path, monkeypatch):
    engine, probed = Engine(), Probe(0.0, 1.0, tokens=40, compared=8, prompts=8)
    made = candidate(tmp_path, engine)
    monkeypatch.setattr(making, "check_compatible", lambda path, *, base_model: engine.asked.append((path, base_model)))
    monkeypatch.setattr(making, "probe", lambda *_, **__: probed)
    assert made.load([[{"role": "user", "content": "hi"}]]) == probed
    assert engine.asked == [(made.path, "base"), ("load", "a--v1", made.path)]


def test_the_probe_leaves_out_what_training_has_left_out(tmp_path, monkeypatch):
    made, seen = candidate(tmp_path, Engine()), []
    made = replace(made, config=replace(made.config, unsaid="Sort."))
    monkeypatch.setattr(making, "check_compatible", lambda *_, **__: None)

    def probed(_, __, prompts, **___):
        seen.extend(prompts)
        return Probe(0.0, 1.0, tokens=40, compared=8, prompts=8)

    monkeypatch.setattr(making, "probe", probed)
    made.load([[{"role": "system", "content": "Sort."}, {"role": "user", "content": "hi"}]])
    assert seen == [[{"role": "system", "content": ""}, {"role": "user", "content": "hi"}]]


def test_it_drafts_under_its_own_name_and_comes_back_to_an_engine_that_has_forgotten_it(tmp_path):
    engine = Engine()
    assert candidate(tmp_path, engine).drafts([{"messages": []}]) == [("a--v1", "desk", {"messages": []})]
    assert engine.asked == [("load", "a--v1", tmp_path / "a--v1")]


def test_an_engine_that_is_gone_does_not_hide_why_it_is_unloaded(tmp_path, caplog):
    candidate(tmp_path, Engine(broken=True)).unload()
    assert "a--v1 stays loaded: AdapterError" in caplog.text
    with pytest.raises(AdapterError):
        candidate(tmp_path, Engine(broken=True)).drafts([{}])
