"""A candidate's steps around the engine; `test_run` follows them through a whole run."""

from dataclasses import replace

import pytest

from distill import candidate as making
from distill.adapters import AdapterError, EngineDown
from distill.best import TrainProgress
from distill.candidate import Candidate, Unreadable, check_rank, check_readable, keep_recital
from distill.lessons import Lessons
from distill.probe import Probe
from distill.recital import MESSAGES
from distill.render import render_prompt
from distill.rows import TrainingRow
from distill.train import TrainConfig, TrainReport
from tests.distill import tiny


class Engine:
    """Notes what it is asked; broken, it refuses."""

    url = "http://10.0.0.1:8000"

    def __init__(self, *, broken=False, max_rank=16):
        self.asked = []
        self.broken, self.max_rank = broken, max_rank

    def engines(self):
        if self.broken:
            raise EngineDown("the engine is down")
        return [self]

    def most_rank(self, wanted, *, scratch):
        return self.max_rank if wanted > self.max_rank else None

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
    monkeypatch.setattr(making, "keep_recital", lambda _, name, *, path, config: engine.asked.append(("note", path)))
    assert made.load([[{"role": "user", "content": "hi"}]]) == probed
    assert engine.asked == [(made.path, "base"), ("load", "a--v1", made.path), ("note", made.path)]


def test_the_probe_leaves_out_what_training_has_left_out(tmp_path, monkeypatch):
    made, seen = candidate(tmp_path, Engine()), []
    made = replace(made, config=replace(made.config, unsaid="Sort."))
    monkeypatch.setattr(making, "check_compatible", lambda *_, **__: None)

    def probed(_, __, prompts, **___):
        seen.extend(prompts)
        return Probe(0.0, 1.0, tokens=40, compared=8, prompts=8)

    monkeypatch.setattr(making, "probe", probed)
    monkeypatch.setattr(making, "keep_recital", lambda *_, **__: None)
    made.load([[{"role": "system", "content": "Sort."}, {"role": "user", "content": "hi"}]])
    assert seen == [[{"role": "system", "content": ""}, {"role": "user", "content": "hi"}]]


def test_it_drafts_under_its_own_name_and_is_heard_by_an_engine_that_has_forgotten_it(tmp_path, monkeypatch):
    engine = Engine()
    monkeypatch.setattr(
        making, "load_heard", lambda server, name, path, *, patience_s: server.load(name, path, patience_s=0)
    )
    assert candidate(tmp_path, engine).drafts([{"messages": []}]) == [("a--v1", "desk", {"messages": []})]
    assert engine.asked == [("load", "a--v1", tmp_path / "a--v1")]


def test_an_engine_that_is_gone_does_not_hide_why_it_is_unloaded(tmp_path, caplog):
    candidate(tmp_path, Engine(broken=True)).unload()
    assert "a--v1 stays loaded: the engine is down" in caplog.text


@pytest.mark.parametrize(("context", "kept"), [(4096, 4095), (64, 63)])
def test_what_is_recited_fits_into_the_engines_context(tmp_path, monkeypatch, *, context, kept):
    noted, whole = [], render_prompt(tiny.chat(), MESSAGES)
    assert 64 < len(whole) < 4095
    monkeypatch.setattr(making, "load_chat", lambda _: tiny.chat())
    monkeypatch.setattr(making, "note", lambda server, name, folder, *, tokens: noted.append(tokens))
    keep_recital(Engine(), "a--v1", path=tmp_path, config=TrainConfig("base", max_tokens=context))
    assert noted == [whole[:kept]]


def test_a_rank_that_an_engine_does_not_take_is_told_before_anything_is_trained(tmp_path):
    check_rank(Engine(), tmp_path, rank=16)
    with pytest.raises(
        AdapterError, match=r"10\.0\.0\.1:8000 takes adapters of rank 16 at most.*--max-lora-rank of 32"
    ):
        check_rank(Engine(), tmp_path, rank=32)
    check_rank(Engine(broken=True), tmp_path, rank=32)  # one that is away is not waited for


def asked(text, **params):
    return TrainingRow(text, ({"role": "user", "content": text},), "yes", "stop", params=params)


def test_what_most_requests_do_not_fit_into_is_told_before_anything_is_trained(monkeypatch):
    """64 bytes are 64 tokens here, and the template writes some 60 around them."""
    monkeypatch.setattr(making, "load_chat", lambda *_, **__: tiny.chat())
    short, long = asked("x" * 10), asked("x" * 200)
    room = len(render_prompt(tiny.chat(), short.messages)) + 8
    context = TrainConfig("base", max_tokens=room)
    check_readable(context, [short] * 40 + [long] * 40, answer=8)
    check_readable(context, [], answer=8)  # a log without references says nothing
    with pytest.raises(
        Unreadable, match=rf"asked 39 of 80 .*: 41 do not fit, .* into the {room} tokens of student\.max"
    ):
        check_readable(context, [short] * 39 + [long] * 41, answer=8)
    with pytest.raises(Unreadable, match="asked 0 of 80"):
        check_readable(context, [short] * 80, answer=9)
    for name in ("max_tokens", "max_completion_tokens"):  # who asks for less needs less room
        check_readable(context, [asked("x" * 10, **{name: 8})] * 80, answer=9)


def test_what_the_base_models_template_does_not_take_is_told_before_anything_is_trained(monkeypatch):
    chat = tiny.chat()
    chat.tokenizer.chat_template = "{{ raise_exception('no system message') }}"
    monkeypatch.setattr(making, "load_chat", lambda *_, **__: chat)
    with pytest.raises(Unreadable, match=r"asked 0 of 30 recent requests: 30 are not taken by .* student\.base_model"):
        check_readable(TrainConfig("base"), [asked("hi")] * 30, answer=8)


class Told(Silent):
    def __init__(self):
        self.words = []

    def step(self, words):
        self.words.append(words)


def test_that_it_goes_on_is_told_once_and_from_where(tmp_path, monkeypatch):
    def train(*_, progress, **__):
        for step in (5, 6):
            progress(TrainProgress(step, 6, 0.1, 1.0, went_on=4))
        progress(TrainProgress(1, 3, 0.1, 1.0, of="pairs"))
        return TrainReport(20, 2, 6, 1.0, 0.1, (), 40.0, "d", 0, 0, went_on=4)

    monkeypatch.setattr(making, "train", train)
    told = Told()
    replace(candidate(tmp_path, Engine()), progress=told).train(Lessons((), (), ()))
    assert told.words == [
        "training a--v1 on 0 rows, 2 epochs",
        "goes on after step 4 of 6 of a training that was interrupted",
        "learning from 0 pairs of answers",
        "trained in 1 s, 40.0 rows/s",
    ]
