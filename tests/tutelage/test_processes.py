import os
import signal
import subprocess
import sys
import time

import pytest

from router.settings import Settings, load
from tutelage.processes import AlreadyRunning, NotRunning, ProcessDied, Program, Stack, programs, states, student
from tutelage.provision import Home
from tutelage.starter import starter

SERVE = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
POLITE = """
import pathlib, signal, sys, time
def stop(*_):
    pathlib.Path(sys.argv[2]).touch()
    sys.exit()
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


@pytest.fixture
def program(tmp_path):
    """A program named part that runs some code."""

    def make(code, *arguments, ready_url=None, **environment):
        (tmp_path / "part.py").write_text(code)
        return Program("part", [sys.executable, str(tmp_path / "part.py"), *arguments], ready_url, environment)

    return make


@pytest.fixture
def polite(tmp_path, program):
    """A program that touches `up` when it runs and `told` when it is asked to stop."""
    return program(POLITE, str(tmp_path / "up"), str(tmp_path / "told"))


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_program_is_ready_when_it_answers(tmp_path, program, free_tcp_port):
    url = f"http://127.0.0.1:{free_tcp_port}/"
    with Stack(tmp_path, [program(SERVE, str(free_tcp_port), ready_url=url)]) as stack:
        stack.wait_ready(tick=lambda *_: None)
        stack.check()
        (found,) = states(tmp_path)
        assert found.name == "part" and found.pid


def test_one_that_dies_is_told_with_the_end_of_its_log(tmp_path, program):
    code = "import os; print('port is taken', os.environ['WHO'], '100%'); exit(3)"
    with Stack(tmp_path, [program(code, WHO="m,e%", ready_url="http://127.0.0.1:1")]) as stack:
        said = r"part ended: backoff: Exited too quickly .*\n(.*\n)*  port is taken m,e% 100%\n"
        with pytest.raises(ProcessDied, match=said):
            stack.wait_ready(tick=lambda *_: None)


def test_stopping_is_polite(tmp_path, polite):
    with Stack(tmp_path, [polite]):
        wait_for((tmp_path / "up").exists)
    assert (tmp_path / "told").exists()
    with pytest.raises(NotRunning, match="tutelage up"):
        states(tmp_path)


def test_one_that_is_killed_runs_again_and_that_is_told(tmp_path, polite):
    with Stack(tmp_path, [polite]) as stack:
        wait_for((tmp_path / "up").exists)
        assert stack.changes() == []
        (tmp_path / "up").unlink()
        (found,) = states(tmp_path)
        os.kill(found.pid, signal.SIGKILL)
        wait_for((tmp_path / "up").exists)
        assert [change.name for change in stack.changes()] == ["part"]
        assert stack.changes() == []


def test_a_killed_supervisor_is_started_again_with_its_programs(tmp_path, polite):
    with Stack(tmp_path, [polite]) as stack:
        wait_for((tmp_path / "up").exists)
        stack.changes()
        (before,) = states(tmp_path)
        os.kill(int((tmp_path / "supervisord.pid").read_text()), signal.SIGKILL)
        wait_for(lambda: [change.name for change in stack.changes()] == ["supervisord"])
        wait_for(lambda: [change.name for change in stack.changes()] == ["part"])
        (after,) = states(tmp_path)
        assert after.pid not in (0, before.pid) and (tmp_path / "told").exists()  # the one before was told to end


def test_what_is_left_out_is_neither_waited_for_nor_hidden_later(tmp_path, program):
    with Stack(tmp_path, [program("exit(3)", ready_url="http://127.0.0.1:1")]) as stack:
        stack.wait_ready(tick=lambda *_: None, but={"part"})
        wait_for(lambda: any(found.name == "part" and "quickly" in found.why for found in stack.changes()))


def test_a_stack_waits_for_what_a_killed_one_has_left(tmp_path, polite):
    command = [sys.executable, "-c", OUTER, str(tmp_path), *polite.command]
    outer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "up").exists)
    (tmp_path / "up").unlink()
    outer.kill()
    outer.wait()
    with Stack(tmp_path, [polite]):
        assert (tmp_path / "told").exists()
        wait_for((tmp_path / "up").exists)


def test_two_stacks_in_one_folder_are_one_too_many(tmp_path, polite):
    with Stack(tmp_path, [polite]), pytest.raises(AlreadyRunning, match="tutelage status"), Stack(tmp_path, [polite]):
        pass


OUTER = """
import pathlib, sys, time
from tutelage.processes import Program, Stack
with Stack(pathlib.Path(sys.argv[1]), [Program("part", sys.argv[2:])]):
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_nothing_is_left_behind(tmp_path, polite, number):
    command = [sys.executable, "-c", OUTER, str(tmp_path), *polite.command]
    outer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "up").exists)
    outer.send_signal(number)
    outer.wait(timeout=20)
    wait_for((tmp_path / "told").exists)


@pytest.mark.parametrize(("elsewhere", "ours"), [({}, ["student"]), ({"base_url": "http://student:8000"}, [])])
def test_an_engine_that_is_elsewhere_is_not_started(tmp_path, elsewhere, ours):
    price = {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.2}
    settings = Settings(
        teachers={"big": {"model": "openai/big"}}, student={"base_model": "m", "price": price, **elsewhere}
    )
    found = programs(settings, tmp_path / "tutelage.yaml", Home(tmp_path, tmp_path / "vllm"))
    assert [each.name for each in found] == ["ingester", *ours, "teacher", "gateway"]


@pytest.mark.parametrize(("tasks", "slots"), [(0, "4"), (1, "4"), (4, "10"), (40, "16")])
def test_the_engine_has_room_for_all_that_may_be_asked_at_once(tmp_path, tasks, slots):
    (tmp_path / "tutelage.yaml").write_text(starter(teacher="openai/big", task="desk", base_model="m"))
    settings = load(tmp_path / "tutelage.yaml")
    many = {f"task-{number}": settings.tasks["desk"] for number in range(tasks)}
    asked = list(student(settings.model_copy(update={"tasks": many}), Home(tmp_path, tmp_path)).command)
    assert asked[asked.index("--max-loras") + 1] == slots
    assert int(asked[asked.index("--max-cpu-loras") + 1]) == 2 * (2 * max(1, tasks) + 2)
    assert asked[asked.index("--max-lora-rank") + 1] == "16"
