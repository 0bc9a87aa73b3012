"""The processes of one machine: started together, waited for, stopped together. A log file for each.

A first version of supervision: a child that dies is reported and ends the others; it is not restarted.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from router.settings import Settings
from tutelage.provision import Home
from tutelage.student_server import StudentServer, command, environment

BASE_NAME = "base"  # the name under which vLLM serves the untrained base model
MAX_LORAS = 2
STOP_S = 15.0
READY_S = 300.0


class ProcessDied(Exception):
    """A process ended by itself; the message holds the end of its log."""


@dataclass(frozen=True)
class Program:
    """What to run, and the URL that answers 200 once it is up."""

    name: str
    command: Sequence[str]
    ready_url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def programs(settings: Settings, config: Path, home: Home) -> list[Program]:
    """The parts of a running Tutelage, the slowest to start first."""
    return [student(settings, home), teacher(settings, config), ingester(settings), gateway(settings, config)]


def gateway(settings: Settings, config: Path) -> Program:
    """The process clients talk to."""
    url = f"http://127.0.0.1:{settings.server.port}/health"
    return Program("gateway", [sys.executable, "-m", "router", str(config)], url)


def teacher(settings: Settings, config: Path) -> Program:
    """The process that runs LiteLLM."""
    url = f"http://127.0.0.1:{settings.teacher_server.port}/health"
    return Program("teacher", [sys.executable, "-m", "router.teacher_server", str(config)], url)


def ingester(settings: Settings) -> Program:
    """The process that moves spools into the ledger."""
    ledger = settings.ledger
    return Program("ingester", [sys.executable, "-m", "ledger.ingest", ledger.url, str(ledger.spool_dir)])


def student(settings: Settings, home: Home) -> Program:
    """vLLM with the base model, ready to load adapters."""
    server = StudentServer(
        vllm_env=home.vllm_env,
        model=settings.student.base_model,
        served_name=BASE_NAME,
        port=settings.student.port,
        max_model_len=settings.student.max_context_tokens,
        max_loras=MAX_LORAS,
        lora_rank=settings.distill.rank,
    )
    return Program("student", command(server), f"{settings.student.url}/health", environment(server))


class Stack:
    """Running programs; a context manager, for the main thread, that stops what it started, also on SIGTERM."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._running: list[tuple[Program, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> "Stack":
        # Ended from outside, or started where Ctrl-C is ignored, it must not leave its programs behind.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)
        self._log_dir.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, program: Program) -> None:
        """Start in a process group of its own, so that Ctrl-C reaches us first and streams may finish."""
        with self._log(program).open("ab") as log:
            process = subprocess.Popen(
                list(program.command),
                env={**os.environ, **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append((program, process))

    def wait_ready(self, *, tick: Callable[[str, float], None], only: str | None = None) -> None:
        """Until every program (or `only` one) answers; `tick(name, seconds waited)` several times a second.

        Raises ProcessDied where one ends before it is up, or takes longer than five minutes.
        """
        for program, _ in self._running:
            started = time.monotonic()
            while program.ready_url and only in (None, program.name) and not _answers(program.ready_url):
                self.check()
                waited = time.monotonic() - started
                if waited > READY_S:
                    raise ProcessDied(f"{program.name} is not up after {waited:.0f} s:\n{self._tail(program)}")
                tick(program.name, waited)
                time.sleep(0.3)

    def check(self) -> None:
        """Raises ProcessDied if a program has ended."""
        for program, process in self._running:
            if process.poll() is not None:
                raise ProcessDied(f"{program.name} ended with status {process.returncode}:\n{self._tail(program)}")

    def stop(self) -> None:
        """Ask politely in reverse order, all at once; what is left after a while is killed."""
        for _, process in reversed(self._running):
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for _, process in self._running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            _signal_group(process, signal.SIGKILL)  # also what the process itself left behind
            process.wait()
        self._running.clear()

    def _log(self, program: Program) -> Path:
        return self._log_dir / f"{program.name}.log"

    def _tail(self, program: Program) -> str:
        lines = self._log(program).read_text(errors="replace").splitlines()[-8:]
        return "\n".join([*(f"  {line}" for line in lines), f"  (whole log: {self._log(program)})"])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).status_code == 200
    except httpx.HTTPError:
        return False


def _signal_group(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # gone already
        os.killpg(process.pid, number)
