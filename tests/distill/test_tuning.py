import math
import weakref
from dataclasses import replace

import pytest

from distill import train as train_module
from distill import tuning
from distill.lessons import GoesOn, Lessons
from distill.train import TrainConfig, TrainError, trial
from distill.tuning import Compared, Tried, compare, known, standing, tuned
from ledger import releases
from ledger.database import connect
from tests.distill import tiny

CONFIGS = tuple(TrainConfig("base", rank=rank, learning_rate=rate) for rank, rate in ((16, 1e-3), (8, 1e-3), (8, 3e-4)))
ROWS, HELD = tiny.rows(12), tiny.rows(4)
LOSSES = {(16, 1e-3): 0.5, (8, 1e-3): 0.75, (8, 3e-4): 0.25}


class Learner:
    """Whose losses are by rank and rate."""

    def __init__(self, losses):
        self.losses, self.asked = losses, []

    def __call__(self, rows, validation, *, config, progress):
        self.asked.append((tuple(rows), tuple(validation), config))
        return self.losses[config.rank, config.learning_rate]


def compared(losses, *, rows=ROWS, configs=CONFIGS):
    learner = Learner(losses)
    return compare(rows, HELD, configs=configs, progress=lambda *_: None, learns=learner), learner


def test_what_validates_best_is_picked():
    found, learner = compared(LOSSES)
    assert found.pick(CONFIGS) == CONFIGS[2] and found.rows == 12
    losses = "rank 16 at 0.001: 0.5000; rank 8 at 0.001: 0.7500; rank 8 at 0.0003: 0.2500"
    assert found.words == f"rank 8 at 0.0003; validation losses: {losses}"
    assert [asked for *_, asked in learner.asked] == [replace(each, epochs=1) for each in CONFIGS]
    assert all(asked[:2] == learner.asked[0][:2] for asked in learner.asked) and learner.asked[0][1] == tuple(HELD)


def test_what_is_set_wins_a_draw_and_what_diverges_wins_nothing():
    assert compared(dict.fromkeys(LOSSES, 0.5))[0].pick(CONFIGS) == CONFIGS[0]
    found, _ = compared({**LOSSES, (8, 3e-4): math.nan, (16, 1e-3): math.inf})
    assert found.pick(CONFIGS) == CONFIGS[1]
    assert "rank 16 at 0.001: no finite loss; " in found.words and "rank 8 at 0.0003: no finite loss" in found.words
    assert compared(dict.fromkeys(LOSSES, math.nan))[0].pick(CONFIGS) == CONFIGS[0]  # the training says what is wrong


def test_so_many_rows_at_most_and_their_answers_alone(monkeypatch):
    monkeypatch.setattr(tuning, "ROWS", 5)
    thought = [replace(row, rationale="so") for row in ROWS]
    _, learner = compared(LOSSES, rows=thought)
    tried_on = learner.asked[0][0]
    assert len({row.exchange_id for row in tried_on}) == 5 and all(row in ROWS for row in tried_on)


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def refused(engine, found, *, base="base"):
    """A release for which that was found."""
    name = releases.add_candidate(engine, task="desk", cut_at=0.0, base_model=base, now=0.0).name
    report = {"chosen": found.facts} if found else {}
    releases.refuse(engine, name, refusal={"reason": "weak"}, report=report, now=0.0)
    return name


def stands(engine, *, rows, configs=CONFIGS):
    return standing(engine, "desk", configs=configs, rows=rows)


def test_it_stands_until_rows_have_doubled_or_others_are_to_be_tried(engine):
    assert stands(engine, rows=12) is None
    found, _ = compared(LOSSES)
    name = refused(engine, found)
    refused(engine, None)  # a run that had nothing to try
    kept = stands(engine, rows=23)
    assert kept == known(found.facts, release=name) and kept.pick(CONFIGS) == CONFIGS[2]
    assert kept.words.startswith(f"rank 8 at 0.0003, as for {name}; ")
    assert stands(engine, rows=24) is None
    assert stands(engine, rows=12, configs=CONFIGS[:2]) is None
    assert stands(engine, rows=12, configs=CONFIGS[::-1]) == kept
    assert stands(engine, rows=12, configs=[replace(each, base_model="other") for each in CONFIGS]) is None
    refused(engine, kept)
    assert stands(engine, rows=12) == kept  # since the release for which it was done, not since the last


def test_what_says_nothing_does_not_stand(engine):
    refused(engine, compared(dict.fromkeys(LOSSES, math.nan))[0])
    assert stands(engine, rows=12) is None


class Watched(list):
    def step(self, words):
        self.append(words)

    def advance(self, done, total):
        pass


def test_nothing_is_tried_where_it_stands_and_a_warm_start_is_tried_as_it_begins(engine, monkeypatch, tmp_path):
    asked = []

    def learns(rows, validation, *, configs, progress):
        asked.append([config.start for config in configs])
        return Compared((Tried(16, 1e-3, 0.5), Tried(8, 1e-3, 0.25), Tried(8, 3e-4, 1.0)), len(rows))

    monkeypatch.setattr(tuning, "compare", learns)
    watch, lessons = Watched(), Lessons(tuple(ROWS), tuple(HELD), ())
    begun = replace(lessons, goes_on=GoesOn("desk--v000001", tmp_path, frozenset()))
    found = tuned(engine, begun, task="desk", configs=CONFIGS, watch=watch)
    assert found.pick(CONFIGS) == CONFIGS[1]
    assert asked == [[tmp_path] * 3] and watch == ["trying 3 settings of training on 12 rows"]
    refused(engine, found)
    assert tuned(engine, lessons, task="desk", configs=CONFIGS, watch=watch).best == found.best
    assert len(asked) == len(watch) == 1


def test_progress_is_told_of_all_of_them(base):
    seen = []
    configs = [TrainConfig(base, rank=4, learning_rate=rate, max_tokens=128) for rate in (1e-2, 1e-5)]
    found = compare(tiny.rows(32), HELD, configs=configs, progress=lambda *at: seen.append(at))
    assert seen == [(step, 8) for step in range(1, 9)]
    assert found.pick(configs) == configs[0] and found.tried[0].loss < found.tried[1].loss


def test_rows_that_no_student_can_read_are_told(base):
    with pytest.raises(TrainError, match="none of 12 rows fits into 4 tokens"):
        trial(ROWS, HELD, config=TrainConfig(base, max_tokens=4), progress=lambda _: None)


def test_a_trial_leaves_no_model_in_memory(base, monkeypatch):
    loaded, load = [], train_module.load_base

    def watched(name):
        model = load(name)
        loaded.append(weakref.ref(model))
        return model

    monkeypatch.setattr(train_module, "load_base", watched)
    trial(ROWS, HELD, config=TrainConfig(base, max_tokens=128), progress=lambda _: None)
    assert [each() for each in loaded] == [None]
