"""`tutelage replay` on a log of the easy task: real vLLM, real LoRA, a gateway whose teacher nobody ever asks.

By hand, on a log of your own: tutelage replay LOG.jsonl --terms "where they allow it" --cheaper gpt-4o-mini
"""

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil
import pytest

from bench.easy import write_easy_task
from bench.parts import wait_until
from tutelage.provision import Home, ensure_demo_model, ensure_vllm
from tutelage.replay.trial import Trial

pytestmark = pytest.mark.e2e
ROWS = 260  # 112 of them teach, 135 are drafted: what is tested is that the parts work together
DAY_S = 86_400
PRICE = ("--teacher-usd-per-mtok", "2.5,10")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Home.from_environment()
    ensure_vllm(home, say=print)
    ensure_demo_model(home, say=print)
    work = tmp_path_factory.mktemp("replay")
    write_easy_task(work / "easy.csv", rows=ROWS)
    with (work / "easy.csv").open(newline="") as file:
        lines = [line(number, **row) for number, row in enumerate(csv.DictReader(file))]
    (work / "log.jsonl").write_text("\n".join(lines))
    return work / "log.jsonl"


def line(number: int, *, text: str, label: str) -> str:
    system = {"role": "system", "content": "Name the topic of the message."}
    said = [system, {"role": "user", "content": text}, {"role": "assistant", "content": label}]
    return json.dumps({"messages": said, "model": "big-teacher", "created": time.time() - DAY_S * (30 - number / 10)})


def command(log: Path, out: Path) -> list[str]:
    words = [sys.executable, "-m", "tutelage", "replay", log, *PRICE, "--terms", "our own model", "--out", out]
    return [str(word) for word in (*words, "--alpha", "0.3", "--alpha", "0.02")]


def replay(log: Path, out: Path) -> tuple[int, str]:
    done = subprocess.run(command(log, out), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_log_is_trained_on_drafted_and_judged_once(log):
    out = log.with_name("work")
    status, said = replay(log, out)
    assert status in (0, 3), said  # so few rows may certify nothing
    (kept,) = out.glob("replay-*.json")
    trial = msgspec.json.decode(kept.read_bytes(), type=Trial)
    assert len(trial.rows) == 135 and trial.taught > 80 and trial.too_long == 0
    assert sum(row.evidence is not None for row in trial.rows) > 120, said
    assert trial.training_s > 1 and trial.drafting_s > 1
    page = (out / "replay.html").read_text()
    assert page.count("<svg") == 3 and ("student at 30%" in page) == (status == 0)
    assert running_in(out) == []

    started = time.monotonic()
    again, said = replay(log, out)
    assert again == status and "are there from an earlier run" in said
    assert time.monotonic() - started < 60


def test_stopped_it_leaves_no_process_behind(log):
    out = log.with_name("stopped")
    process = subprocess.Popen(command(log, out), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    student = out / "logs/student.log"
    wait_until(lambda: process.poll() is not None or student.exists(), limit_s=60.0)
    assert process.poll() is None, process.communicate()[0]
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=90.0)
    assert process.returncode == 130 and "the same command goes on" in said, said
    assert children and not any(map(alive, children)) and running_in(out) == []
    assert (out / "replay.html").exists()  # what the log alone says


def running_in(folder: Path) -> Sequence[psutil.Process]:
    """Processes that were started for a work folder."""
    found = psutil.process_iter(["cmdline"])
    return [each for each in found if any(str(folder) in word for word in each.info["cmdline"] or ()) and alive(each)]


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
