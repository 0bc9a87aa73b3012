import math
from dataclasses import replace

import pytest

from distill import trials
from distill.train import TrainConfig, TrainError, trial
from distill.trials import Chosen, Tried, choose, known
from tests.distill import tiny

CONFIGS = tuple(TrainConfig("base", rank=rank, learning_rate=rate) for rank, rate in ((16, 1e-3), (8, 1e-3), (8, 3e-4)))
ROWS, HELD = tiny.rows(12), tiny.rows(4)


class Learner:
    """Whose losses are by rank and rate."""

    def __init__(self, losses):
        self.losses, self.asked = losses, []

    def __call__(self, rows, validation, *, config, progress):
        self.asked.append((tuple(rows), tuple(validation), config))
        return self.losses[config.rank, config.learning_rate]


def chosen(losses, *, before=None, rows=ROWS, configs=CONFIGS):
    learner = Learner(losses)
    found = choose(rows, HELD, configs=configs, before=before, progress=lambda *_: None, learns=learner)
    return *found, learner


LOSSES = {(16, 1e-3): 0.5, (8, 1e-3): 0.75, (8, 3e-4): 0.25}


def test_what_validates_best_is_trained_with():
    config, found, learner = chosen(LOSSES)
    assert config == CONFIGS[2] and found.rows == 12
    assert found.words == "rank 8 at 0.0003: 0.2500; rank 16 at 0.001: 0.5000, rank 8 at 0.001: 0.7500"
    assert [(asked.epochs, replace(asked, epochs=2)) for *_, asked in learner.asked] == [(1, each) for each in CONFIGS]
    assert all(asked[:2] == learner.asked[0][:2] for asked in learner.asked) and learner.asked[0][1] == tuple(HELD)


def test_what_is_set_wins_a_draw_and_what_diverges_wins_nothing():
    assert chosen(dict.fromkeys(LOSSES, 0.5))[0] == CONFIGS[0]
    config, found, _ = chosen({**LOSSES, (8, 3e-4): math.nan, (16, 1e-3): math.inf})
    assert config == CONFIGS[1] and "rank 16 at 0.001: diverged, rank 8 at 0.0003: diverged" in found.words
    assert chosen(dict.fromkeys(LOSSES, math.nan))[0] == CONFIGS[0]  # the training says what is wrong


def test_so_many_rows_at_most_and_their_answers_alone(monkeypatch):
    monkeypatch.setattr(trials, "ROWS", 5)
    thought = [replace(row, rationale="so") for row in ROWS]
    *_, learner = chosen(LOSSES, rows=thought)
    tried_on = learner.asked[0][0]
    assert len({row.exchange_id for row in tried_on}) == 5 and all(row in ROWS for row in tried_on)


def test_it_stands_until_rows_have_doubled_or_others_are_to_be_tried():
    before = known(chosen(LOSSES)[1].facts, release="v1")
    config, found, learner = chosen({}, before=before, rows=tiny.rows(23))
    assert config == CONFIGS[2] and not learner.asked
    assert found.words.startswith("rank 8 at 0.0003: 0.2500, as for v1; ")
    assert known(found.facts, release="v2") == found  # of the release for which it was done, not of the last
    assert chosen(LOSSES, before=before, rows=tiny.rows(24))[1] == Chosen(found.tried, 24)
    assert len(chosen(LOSSES, before=before, configs=CONFIGS[:2])[2].asked) == 2


def test_progress_is_told_of_all_of_them(base):
    seen = []
    configs = [TrainConfig(base, rank=4, learning_rate=rate, max_tokens=128) for rate in (1e-2, 1e-5)]
    rows = tiny.rows(32)
    config, found = choose(rows, HELD, configs=configs, before=None, progress=lambda *at: seen.append(at))
    assert seen == [(step, 8) for step in range(1, 9)]
    assert config == configs[0] and found.best == Tried(4, 1e-2, found.best.loss)
    assert found.tried[0].loss < found.tried[1].loss


def test_rows_that_no_student_can_read_are_told(base):
    with pytest.raises(TrainError, match="none of 12 rows fits into 4 tokens"):
        trial(ROWS, HELD, config=TrainConfig(base, max_tokens=4), progress=lambda _: None)
