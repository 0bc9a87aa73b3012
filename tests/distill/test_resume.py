"""A training that is killed comes to what it would have come to; `tests/e2e/test_resume` really kills one."""

import logging

import pytest
import torch
from safetensors.torch import load_file

import distill.train
from distill import resume
from distill.checkpoints import FOLDER, WHOLE
from distill.pattern import Pair
from distill.train import TrainConfig, train
from tests.distill import tiny

OTHER = {"yes": "no", "no": "yes"}
STEPS = 6  # of rows: two epochs of three


class Killed(BaseException):
    """As by a signal: nothing is tidied up."""


@pytest.fixture(autouse=True)
def always(monkeypatch):
    monkeypatch.setattr(resume, "EVERY_S", 0.0)


def learn(base, out, *, until=None, of="rows", pairs=0):
    """Train on 20 rows, killed at step `until` of a lesson; the report, and what was told."""
    told = []

    def show(at):
        told.append(at)
        if (at.of, at.step) == (of, until):
            raise Killed

    rows = tiny.rows(20)
    found = [Pair(row.exchange_id, row.messages, row.completion, OTHER[row.completion]) for row in rows[:pairs]]
    config = TrainConfig(base, learning_rate=1e-2, epochs=2, batch_size=8, max_tokens=128)
    return train(rows, tiny.rows(6), config=config, out=out, progress=show, pairs=found), told


def killed(base, out, **how):
    with pytest.raises(Killed):
        learn(base, out, **how)


def same(one, other):
    one, other = (load_file(each / "adapter_model.safetensors") for each in (one, other))
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_training_that_was_killed_comes_to_the_same(base, tmp_path):
    """Once behind the end of its first epoch, once in the middle of the second."""
    report, _ = learn(base, tmp_path / "whole")
    killed(base, tmp_path / "a--v1", until=4)
    killed(base, tmp_path / "a--v2", until=6)
    (folder,) = tmp_path.glob(f"{FOLDER}/*/rows/checkpoint-5")
    plain = {"trainer_state.json", "kept.json", WHOLE}  # nothing that is run when it is read
    tensors = {"adapter.safetensors", "best.safetensors", "order.safetensors"}
    assert {file.name for file in folder.iterdir()} == plain | tensors | {
        "optimizer.pt",
        "scheduler.pt",
        "rng_state.pth",
    }
    found, told = learn(base, tmp_path / "a--v3")
    assert same(tmp_path / "whole", tmp_path / "a--v3")
    assert (found.train_loss, found.validation_losses) == (report.train_loss, report.validation_losses)
    assert (found.steps, found.epochs, found.dataset_digest) == (STEPS, 2, report.dataset_digest)
    assert (report.went_on, found.went_on) == (0, 5)
    assert [(at.step, at.steps, at.went_on, at.eta_s) for at in told] == [(6, 6, 5, 0.0)]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a--v3", "whole"]


def test_so_does_one_with_a_second_lesson(base, tmp_path):
    report, _ = learn(base, tmp_path / "whole", pairs=20)
    killed(base, tmp_path / "a", pairs=20, of="pairs", until=3)
    found, told = learn(base, tmp_path / "b", pairs=20)
    assert same(tmp_path / "whole", tmp_path / "b")
    assert (found.preferred.loss, found.preferred.steps) == (report.preferred.loss, 3)
    assert found.preferred.validation_losses == report.preferred.validation_losses
    assert (found.train_loss, found.went_on) == (report.train_loss, STEPS)
    assert [(at.of, at.step, at.went_on) for at in told] == [("rows", 6, 6), ("pairs", 3, 2)]
    assert all(at.goes_on for at in told) and not (tmp_path / FOLDER).exists()


def test_a_disk_that_is_nearly_full_ends_no_training(base, tmp_path, *, caplog, monkeypatch):
    monkeypatch.setattr(resume, "ROOM_BYTES", 1 << 60)
    with caplog.at_level(logging.WARNING):
        killed(base, tmp_path / "a", until=3)
    assert not list(tmp_path.iterdir()) and "nearly full" in caplog.text


def test_an_error_before_anything_is_gone_on_from_leaves_it(base, tmp_path, monkeypatch):
    killed(base, tmp_path / "a", until=4)
    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(distill.train, "_trainer", _out_of_memory)
        learn(base, tmp_path / "b")
    report, _ = learn(base, tmp_path / "c")
    assert report.went_on == 3


def _out_of_memory(*_, **__):
    raise RuntimeError
