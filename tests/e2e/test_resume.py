"""A training that is killed with SIGKILL, wherever it stands, comes to the adapter that it would have come to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from distill.checkpoints import FOLDER, unfinished
from tests.distill import tiny

pytestmark = pytest.mark.e2e
TRAIN = """
import sys
from pathlib import Path
from distill import resume
from distill.train import TrainConfig, train
from tests.distill import tiny

resume.EVERY_S = 0.0
out, base = Path(sys.argv[1]), sys.argv[2]
config = TrainConfig(base, learning_rate=1e-2, epochs=3, batch_size=8, max_tokens=128)
told = lambda at: print(at.step, at.went_on, flush=True)
report = train(tiny.rows(160), tiny.rows(16), config=config, out=out, progress=told)
print("loss", report.train_loss, *report.validation_losses, flush=True)
"""
STEPS = 60


def begin(out: Path, base: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", TRAIN, str(out), base]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def killed(out: Path, base: str, *, at: int, after_s: float) -> tuple[int, int]:
    """Killed some time after it has told of a step; the last step that it told of, and the one it had gone on after."""
    process = begin(out, base)
    assert process.stdout is not None
    for line in process.stdout:
        step, went_on = map(int, line.split())
        if step >= at:
            break
    time.sleep(after_s)  # somewhere in a step or in the writing of a checkpoint
    process.send_signal(signal.SIGKILL)
    *told, _ = process.stdout.read().split("\n")  # what is behind the last line's end was cut off
    assert process.wait() == -signal.SIGKILL
    return int(told[-1].split()[0]) if told else step, went_on


def whole(out: Path, base: str) -> tuple[list[list[str]], str]:
    """What a training that nobody kills tells: its steps, and its losses."""
    said, _ = begin(out, base).communicate(timeout=300.0)
    *steps, losses = said.strip().split("\n")
    return [line.split() for line in steps], losses


def test_however_often_it_is_killed_it_comes_to_the_same(tmp_path):
    base = tiny.save(tmp_path / "base")
    adapters = tmp_path / "adapters"
    _, losses = whole(tmp_path / "whole" / "a", base)
    come_to = 0
    for n, (at, after_s) in enumerate([(8, 0.0), (25, 0.013), (45, 0.031)]):
        name = f"desk--v{n:06d}"
        last, went_on = killed(adapters / name, base, at=at, after_s=after_s)
        assert unfinished(adapters, name) and not (adapters / name).exists()
        assert come_to - 2 <= went_on <= come_to  # two steps are lost at most: the last one, and one in writing
        come_to = last
    steps, again = whole(adapters / "desk--v000009", base)
    assert int(steps[0][1]) >= come_to - 2 and int(steps[-1][0]) == STEPS
    assert again == losses
    folders = (tmp_path / "whole" / "a", adapters / "desk--v000009")
    one, other = (load_file(each / "adapter_model.safetensors") for each in folders)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not (adapters / FOLDER).exists()
