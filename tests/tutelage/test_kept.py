"""A demo that is left up: real processes, real signals, and a status of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from router.settings import load
from tests.tutelage.web.ledger import configuration
from tutelage.demo.kept import where
from tutelage.processes import NotRunning, states

ROOT = Path(__file__).parents[2]
STATUS = 7
SCRIPT = """
import sys
from pathlib import Path
from router.settings import load
from tutelage.demo.kept import left_up
from tutelage.processes import ProcessDied, Program, Stack

folder, ends = Path(sys.argv[1]), sys.argv[2]
part = Program("part", [sys.executable, "-c", "import time; time.sleep(600)"])
with Stack(folder / "logs", [part]) as stack, left_up(stack, load(folder / "tutelage.yaml")):
    print("told", flush=True)
    if ends == "interrupted":
        raise KeyboardInterrupt
    if ends == "died":
        raise ProcessDied("vllm ended")
sys.exit(int(sys.argv[3]))
"""


@pytest.fixture
def kept(tmp_path):
    """Starts one, whose block ends like that, and reads what it says until it waits; it is ended with the test."""
    configuration(tmp_path, student={"base_model": "m", "port": 1, "price": _PRICE})
    begun = []

    def start(ends):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path), ends, str(STATUS)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        begun.append(process)
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("metrics: "):
                break
        return process, "".join(said)

    yield start
    for process in begun:
        process.kill()
        process.communicate()


_PRICE = {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.2}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_stays_up_until_it_is_ended_and_the_status_stays_the_demos(tmp_path, kept, number):
    process, said = kept("shown")
    assert said.startswith("told\nleft up for a look, until Ctrl-C: console http://127.0.0.1:8090/console (no key")
    (part,) = states(tmp_path / "logs")
    assert part.pid and process.poll() is None
    process.send_signal(number)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == STATUS and rest.endswith("stopping\n")
    assert not Path(f"/proc/{part.pid}").exists()
    with pytest.raises(NotRunning):
        states(tmp_path / "logs")


def test_where_a_process_has_died_the_rest_is_left_up_too(tmp_path, kept):
    process, said = kept("died")
    assert "failed: vllm ended\nleft up" in said
    assert [part.name for part in states(tmp_path / "logs")] == ["part"]
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and "ProcessDied: vllm ended" in rest


def test_who_interrupts_the_demo_ends_it(kept):
    process, said = kept("interrupted")
    process.wait(30)
    assert "left up" not in said and process.returncode != STATUS


def test_with_a_key_it_says_which(tmp_path):
    console, metrics = where(load(configuration(tmp_path, server={"api_key": "sk-1", "admin_port": 9090})))
    assert "log in with the key that TUTELAGE_SERVER__API_KEY holds" in console and "sk-1" not in console
    assert metrics == "metrics: http://127.0.0.1:9090/metrics"
