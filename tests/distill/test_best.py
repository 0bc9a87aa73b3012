from types import SimpleNamespace

import pytest
import torch

from distill.best import HeldOut, KeepBest, TrainProgress


def keeper(told):
    return KeepBest(HeldOut((), batch_size=1), told.append)


def after(keeper, step):
    keeper.on_log(None, SimpleNamespace(global_step=step, max_steps=10), None, logs={"loss": 0.5})


def test_the_seconds_left_are_at_the_pace_since_it_was_gone_on_with(monkeypatch):
    told = []
    watching = keeper(told)
    now = [100.0]
    monkeypatch.setattr("distill.best.time.monotonic", lambda: now[0])
    watching.on_train_begin(None, SimpleNamespace(global_step=6), None)
    for step in (7, 8):
        now[0] += 3.0
        after(watching, step)
    assert told == [
        TrainProgress(7, 10, 0.5, 9.0, went_on=6),
        TrainProgress(8, 10, 0.5, 6.0, went_on=6),
    ]
    assert [at.goes_on for at in told] == [True, False]


def test_what_begins_at_its_beginning_does_not_go_on():
    told = []
    watching = keeper(told)
    watching.on_train_begin(None, SimpleNamespace(global_step=0), None)
    after(watching, 1)
    assert not told[0].goes_on


def test_what_it_knows_is_written_and_read(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("distill.best.time.monotonic", lambda: now[0])
    one, told = keeper([]), []
    one.losses, one.best = [0.5, 0.25], {"a": torch.ones(2)}
    now[0] += 7.0
    one.save(tmp_path)
    other = keeper(told)
    other.restore(tmp_path)
    assert other.losses == [0.5, 0.25] and torch.equal(other.best["a"], torch.ones(2))
    now[0] += 2.0
    assert other.seconds == pytest.approx(9.0)
    other.tell_again(10, 0.3)
    assert told == [TrainProgress(10, 10, 0.3, 0.0, went_on=10)] and told[0].goes_on
