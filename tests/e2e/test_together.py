"""Two processes learn one lesson, on the CPU as they would on GPUs of their own."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch
from safetensors.torch import load_file

import distill.train
from distill import resume
from distill.checkpoints import FOLDER
from distill.pattern import Pair
from distill.together import together
from distill.train import TrainConfig, TrainError, train, trial
from tests.distill import tiny

pytestmark = pytest.mark.e2e
OTHER = {"yes": "no", "no": "yes"}
STEPS = 6  # of rows: two epochs of three
_learn = distill.train._learn


class Stopped(Exception):
    """By whoever is told."""


def config(base, *, devices=2, **values):
    given = {"learning_rate": 1e-2, "epochs": 2, "batch_size": 8, "max_tokens": 128} | values
    return TrainConfig(base, devices=devices, **given)


def learn(base, out, *, devices=2, until=None):
    told = []

    def show(at):
        told.append(at)
        if (at.of, at.step) == ("rows", until):
            raise Stopped

    rows = tiny.rows(24)
    pairs = [Pair(row.exchange_id, row.messages, row.completion, OTHER[row.completion]) for row in rows[:16]]
    made = config(base, devices=devices)
    return train(rows, tiny.rows(9), config=made, out=out, progress=show, pairs=pairs), told


def same(one, other, *, within):
    one, other = (load_file(each / "adapter_model.safetensors") for each in (one, other))
    assert one.keys() == other.keys()
    for name, found in one.items():
        torch.testing.assert_close(found, other[name], atol=within, rtol=0)


def saving_always(*given, **how):
    """In each of the processes."""
    resume.EVERY_S = 0.0
    return _learn(*given, **how)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def two(base, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapters") / "two"
    return out, *learn(base, out)


def test_two_learn_what_one_does(base, two, tmp_path):
    out, by_two, told_by_two = two
    by_one, told = learn(base, tmp_path / "one", devices=1)
    assert (by_two.rows, by_two.epochs, by_two.steps) == (24, 2, STEPS)
    assert by_two.dataset_digest == by_one.dataset_digest
    assert by_two.train_loss == pytest.approx(by_one.train_loss, rel=1e-4)
    assert by_two.validation_losses == pytest.approx(by_one.validation_losses, rel=1e-3)
    assert by_two.preferred.steps == by_one.preferred.steps == 2
    assert by_two.preferred.loss == pytest.approx(by_one.preferred.loss, rel=1e-2)
    assert [(at.of, at.step, at.steps) for at in told_by_two] == [(at.of, at.step, at.steps) for at in told]
    same(out, tmp_path / "one", within=2e-3)
    assert [each.name for each in out.parent.iterdir()] == ["two"]


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(distill.train, "_learn", saving_always)


@pytest.mark.usefixtures("always")
def test_they_go_on_where_they_were_stopped(base, two, tmp_path):
    out, before, _ = two
    with pytest.raises(Stopped):
        learn(base, tmp_path / "a", until=5)
    assert not members()
    (folder,) = tmp_path.glob(f"{FOLDER}/*/rows/checkpoint-*")
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= {file.name for file in folder.iterdir()}
    report, told = learn(base, tmp_path / "b")
    assert report.went_on == int(folder.name.rpartition("-")[2]) > 0
    assert [at.step for at in told if at.of == "rows"] == list(range(report.went_on + 1, STEPS + 1))
    assert report.validation_losses == before.validation_losses
    same(tmp_path / "b", out, within=0)


def test_settings_are_tried_by_both(base):
    tried = [
        trial(tiny.rows(16), tiny.rows(8), config=config(base, devices=devices, epochs=1), progress=lambda at: None)
        for devices in (1, 2)
    ]
    assert tried[1] == pytest.approx(tried[0], rel=1e-3)


def test_what_cannot_be_learned_is_told_as_by_one(base, tmp_path):
    with pytest.raises(TrainError, match="the loss is not finite"):
        train(
            tiny.rows(16),
            (),
            config=config(base, learning_rate=1e30),
            out=tmp_path / "a",
            progress=lambda at: None,
        )
    assert not list(tmp_path.iterdir())


def crash(tell):
    if os.environ["RANK"] == "1":
        raise ZeroDivisionError
    time.sleep(600.0)


def test_where_one_crashes_none_is_waited_for():
    began = time.monotonic()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        together(crash, devices=2, progress=lambda at: None)
    assert time.monotonic() - began < 120.0
    assert not members()


def sleep(folder, tell):
    (folder / str(os.getpid())).touch()
    time.sleep(600.0)


ALONE = """
import sys
from functools import partial
from pathlib import Path
from distill.together import together
from tests.e2e.test_together import sleep

if __name__ == "__main__":
    together(partial(sleep, Path(sys.argv[1])), devices=2, progress=print)
"""


def test_they_end_with_the_one_that_began_them(tmp_path):
    script = tmp_path / "alone.py"
    script.write_text(ALONE)
    folder = tmp_path / "pids"
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, str(script), str(folder)], env=environment)
    _until(lambda: len(list(folder.iterdir())) == 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _until(lambda: not any(psutil.pid_exists(int(each.name)) for each in folder.iterdir()))


def members():
    """Processes that learn, of this one."""
    return [each for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())]


def _until(true, *, limit_s=120.0):
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < limit_s
        time.sleep(0.1)
