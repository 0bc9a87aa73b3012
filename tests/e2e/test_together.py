"""Two processes learn one lesson, on the CPU as they would on GPUs of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
import torch
from safetensors.torch import load_file

import distill.train
from distill import resume, trainer
from distill.checkpoints import FOLDER, WHOLE
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


def in_turns(*given, **how):
    """In each of the processes: a batch is more than it can compute at once."""
    trainer.TOKENS_AT_ONCE = 200
    return _learn(*given, **how)


def stopped(given, pairs, tell, **how):
    """In each of them: saves after every step; the one that tells is stopped in the fifth."""
    resume.EVERY_S = 0.0

    def told(at):
        tell(at)
        if (at.of, at.step) == ("rows", 5):
            raise Stopped

    return in_turns(given, pairs, told, **how)


def config(base, *, devices=2, **values):
    given = {"learning_rate": 1e-2, "epochs": 2, "batch_size": 8, "max_tokens": 128} | values
    return TrainConfig(base, devices=devices, **given)


def learn(base, out, *, devices=2):
    """All that there is to learn: answers, reasons for some of them, and pairs."""
    told = []
    rows = [replace(row, rationale="it says so" if number % 3 else None) for number, row in enumerate(tiny.rows(24))]
    pairs = [Pair(row.exchange_id, row.messages, row.completion, OTHER[row.completion]) for row in rows[:16]]
    made = config(base, devices=devices)
    return train(rows, tiny.rows(9), config=made, out=out, progress=told.append, pairs=pairs), told


def same(one, other, *, within):
    one, other = (load_file(each / "adapter_model.safetensors") for each in (one, other))
    assert one.keys() == other.keys()
    for name, found in one.items():
        torch.testing.assert_close(found, other[name], atol=within, rtol=0)


@pytest.fixture(scope="module", autouse=True)
def turns():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(distill.train, "_learn", in_turns)
        patched.setattr(trainer, "TOKENS_AT_ONCE", trainer.TOKENS_AT_ONCE)  # put back where this process has learned
        yield


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


def test_they_go_on_where_they_were_stopped(base, two, tmp_path):
    out, before, _ = two
    with pytest.MonkeyPatch.context() as patched, pytest.raises(Exception, match="Stopped"):
        patched.setattr(distill.train, "_learn", stopped)
        learn(base, tmp_path / "a")
    assert not members()
    (whole,) = tmp_path.glob(f"{FOLDER}/*/rows/checkpoint-*/{WHOLE}")
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= json.loads(whole.read_text()).keys()
    report, told = learn(base, tmp_path / "b")
    assert report.went_on == 4
    assert [at.step for at in told if at.of == "rows"] == [5, 6]
    assert report.validation_losses == before.validation_losses
    same(tmp_path / "b", out, within=0)


@pytest.mark.parametrize(("rows", "within"), [(16, 1e-3), (19, 0.2)])
def test_settings_are_tried_by_both(base, *, rows, within):
    """The last batch of 19 rows is filled up."""
    tried = [
        trial(tiny.rows(rows), tiny.rows(8), config=config(base, devices=devices, epochs=1), progress=lambda at: None)
        for devices in (1, 2)
    ]
    assert tried[1] == pytest.approx(tried[0], rel=within)


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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as where a GPU is waited for
    (folder / str(os.getpid())).touch()
    time.sleep(600.0)


def talk(tell):
    tell(None)
    time.sleep(600.0)


def stop(at):
    raise Stopped


def test_they_end_where_nobody_listens_any_more():
    with pytest.raises(Stopped):
        together(talk, devices=2, progress=stop)
    assert not members()


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
    _until(lambda: not any(lives(int(each.name)) for each in folder.iterdir()))


def members():
    """Processes that learn, of this one."""
    return [each for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())]


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _until(true, *, limit_s=120.0):
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < limit_s
        time.sleep(0.1)
