import subprocess
import sys
import time

import pytest

from tutelage.processes import ProcessDied, Program, Stack

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
PARENT = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: None)
subprocess.run([sys.executable, "-c", *sys.argv[1:]])
"""
DEAF = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def program(code, *arguments, name="part", ready_url=None, **environment):
    return Program(name, [sys.executable, "-c", code, *arguments], ready_url, environment)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_program_is_ready_when_it_answers(tmp_path, free_tcp_port):
    url = f"http://127.0.0.1:{free_tcp_port}/"
    with Stack(tmp_path) as stack:
        stack.start(program(SERVE, str(free_tcp_port), ready_url=url))
        ticks = []
        stack.wait_ready(tick=lambda name, waited: ticks.append(name))
        stack.check()
    assert set(ticks) <= {"part"}


def test_one_that_dies_is_told_with_the_end_of_its_log(tmp_path):
    code = "import os; print('port is taken', os.environ['WHO']); exit(3)"
    with Stack(tmp_path) as stack:
        stack.start(program(code, WHO="me", ready_url="http://127.0.0.1:1"))
        said = r"part ended with status 3:\n  port is taken me\n  \(whole log: .*part.log\)"
        with pytest.raises(ProcessDied, match=said):
            stack.wait_ready(tick=lambda *_: None)


def test_stopping_is_polite_and_reaches_the_children(tmp_path):
    with Stack(tmp_path) as stack:
        stack.start(program(PARENT, POLITE, str(tmp_path / "up"), str(tmp_path / "told")))
        wait_for((tmp_path / "up").exists)
    wait_for((tmp_path / "told").exists)


def test_ended_by_a_signal_it_stops_what_it_started(tmp_path):
    code = """
import pathlib, sys, time
from tutelage.processes import Program, Stack
with Stack(pathlib.Path(sys.argv[1])) as stack:
    stack.start(Program("part", [sys.executable, "-c", *sys.argv[2:]]))
    time.sleep(60)
"""
    arguments = [str(tmp_path), POLITE, str(tmp_path / "up"), str(tmp_path / "told")]
    outer = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "up").exists)
    outer.terminate()
    outer.wait(timeout=20)
    assert (tmp_path / "told").exists()


def test_one_that_does_not_stop_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("tutelage.processes.STOP_S", 0.2)
    with Stack(tmp_path) as stack:
        stack.start(program(DEAF, str(tmp_path / "up")))
        wait_for((tmp_path / "up").exists)
        process = stack._running[0][1]
    assert process.returncode == -9
