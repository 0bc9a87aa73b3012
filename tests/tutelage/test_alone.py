"""With real processes: what a killed one leaves is ended by the next of its name, and nothing else is."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tutelage.alone import orphans

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def start():
    """Start a parent and its child under a name; returns both, and ends what is left of them."""
    begun = []

    def run(name):
        command = [sys.executable, "-m", "tutelage.alone", name, sys.executable, "-c", PARENT]
        parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        child = int(parent.stdout.readline())
        begun.extend([parent.pid, child])
        deadline = time.monotonic() + 5.0
        while not environment(child) and time.monotonic() < deadline:
            time.sleep(0.01)  # between fork and exec a process has none
        return parent, child

    yield run
    for pid in begun:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def environment(pid):
    return [each for each in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if each]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(process):
    process.kill()
    process.wait()


def test_a_process_that_titles_itself_leaves_its_environment_readable(start):
    _, child = start(f"test-{time.time_ns()}")
    assert b"SPT_NOENV=1" in environment(child)


def test_the_next_of_a_name_ends_what_a_killed_one_left(start):
    name = f"test-{time.time_ns()}"
    first, child = start(name)
    assert orphans(name) == []
    kill(first)
    assert alive(child) and orphans(name) == [child]
    _, other = start(name)
    deadline = time.monotonic() + 5.0
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(child) and alive(other)


def test_what_runs_is_left_alone_whatever_its_name(start):
    name = f"test-{time.time_ns()}"
    first, child = start(name)
    second, _ = start(name)
    third, _ = start(f"{name}-other")
    kill(third)
    assert first.poll() is None and second.poll() is None and alive(child)
