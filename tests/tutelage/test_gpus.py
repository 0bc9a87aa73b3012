import os
import subprocess

import pytest

from router.settings import ConfigError
from tutelage import gpus as module
from tutelage.gpus import VISIBLE, gpus, has_gpu, take

LISTED = "GPU 0: NVIDIA H200 (UUID: GPU-1)\n  MIG 1g.18gb Device 0: (UUID: MIG-1)\nGPU 1: NVIDIA H200 (UUID: GPU-2)\n"


@pytest.fixture
def machine(monkeypatch):
    """With so many GPUs, of which some are shown."""
    monkeypatch.setenv(VISIBLE, "")  # put back as it was

    def make(there, shown=None):
        if shown is None:
            monkeypatch.delenv(VISIBLE, raising=False)
        else:
            monkeypatch.setenv(VISIBLE, shown)
        listed = "".join(f"GPU {number}: NVIDIA H200\n" for number in range(there))
        answer(listed, status=0 if there else 9)

    def answer(listed, *, status=0):
        gpus.cache_clear()
        monkeypatch.setattr(module.shutil, "which", lambda name: f"/usr/bin/{name}")
        found = subprocess.CompletedProcess([], status, listed, "")
        monkeypatch.setattr(module.subprocess, "run", lambda *args, **how: found)

    make.answer = answer
    yield make
    gpus.cache_clear()


@pytest.mark.parametrize(
    ("there", "shown", "found"),
    [(4, None, 4), (4, "2,3", 2), (4, "2, 3,", 2), (1, "0,1", 1), (4, "", 0), (4, "-1", 0), (0, None, 0), (0, "0", 0)],
)
def test_those_that_are_there_and_shown(machine, *, there, shown, found):
    machine(there, shown)
    assert (gpus(), has_gpu()) == (found, found > 0)


def test_a_part_of_one_is_not_another(machine):
    machine(0)
    machine.answer(LISTED)
    assert gpus() == 2


def test_none_without_the_driver(monkeypatch):
    gpus.cache_clear()
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    assert gpus() == 0
    gpus.cache_clear()


@pytest.mark.parametrize(
    ("shown", "count", "left"), [(None, 1, "3"), (None, 3, "1,2,3"), (None, 4, "0,1,2,3"), ("5,GPU-7", 1, "GPU-7")]
)
def test_a_training_takes_the_last_ones(machine, *, shown, count, left):
    machine(4, shown)
    take(count)
    assert (os.environ[VISIBLE], gpus()) == (left, count)


def test_without_any_one_is_not_missed(machine):
    machine(0)
    take(1)
    assert VISIBLE not in os.environ


@pytest.mark.parametrize(("there", "shown", "count"), [(0, None, 2), (4, "1", 2), (2, None, 3)])
def test_more_than_there_are(machine, *, there, shown, count):
    machine(there, shown)
    with pytest.raises(ConfigError, match=f"distill.gpus is {count}, and {gpus()} are visible here"):
        take(count)
    assert os.environ.get(VISIBLE) == shown
