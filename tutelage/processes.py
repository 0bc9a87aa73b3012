"""The processes of one machine under supervisord: started and stopped together, each restarted when it ends.

supervisord ends with us, and its programs with it, also by kill -9 (`tutelage.tied`).
"""

import fcntl
import hashlib
import math
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from configparser import RawConfigParser
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from io import StringIO
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

import httpx
from supervisor.xmlrpc import SupervisorTransport

from router.settings import Settings
from tutelage.provision import Home
from tutelage.student_server import StudentServer, command, environment, gpu_memory_share, room

BASE_NAME = "base"  # the name under which vLLM serves the untrained base model
STREAMS_S = 60.0  # that a gateway which is asked to end has to finish its streams
LOADING_S = 60.0  # vLLM may fail as late
READY_S = 600.0  # on a GPU vLLM compiles first
TRIES = 3
RELAUNCH_S = 10.0  # from one relaunch of the supervisor to the next


class StackError(Exception):
    """The stack cannot do what was asked; the message says what to do."""


class ProcessDied(StackError):
    """A process ended by itself; the message holds the end of its log."""


class NotRunning(StackError):
    """There is no stack in this folder."""


class AlreadyRunning(StackError):
    """There is one already."""


@dataclass(frozen=True)
class Program:
    """What to run, and the URL that answers 200 once it is up.

    One that ends before `starts_s` is started again after a pause that grows; one that is asked to end has `stops_s`.
    """

    name: str
    command: Sequence[str]
    ready_url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    starts_s: float = 3.0
    stops_s: float = 15.0


@dataclass(frozen=True)
class State:
    """A supervised program; `state` in supervisord's words, `pid` 0 where it does not run, `why` it ended."""

    name: str
    state: str
    pid: int
    up_s: float
    why: str

    @property
    def words(self) -> str:
        """How it is."""
        if self.pid:
            return f"{self.state.lower()} for {self.up_s:.0f} s, pid {self.pid}"
        return f"{self.state.lower()}: {self.why}"


def programs(settings: Settings, config: Path, home: Home) -> list[Program]:
    """The parts that serve, in the order in which they start; they stop in the opposite one.

    So the gateway finishes its streams while teacher and student still answer, and the ingester stores what it wrote.
    """
    ours = [] if settings.student.base_url else [student(settings, home)]
    return [ingester(settings), *ours, teacher(settings, config), gateway(settings, config)]


def console(settings: Settings, config: Path) -> Program:
    """The ledger as pages."""
    url = f"http://127.0.0.1:{settings.console.port}/console/login"
    return Program("console", [sys.executable, "-m", "tutelage.web", str(config)], url)


def worker(config: Path) -> Program:
    """The process that makes releases by itself."""
    return Program("worker", [sys.executable, "-m", "tutelage", "distill", "watch", "--config", str(config)])


def gateway(settings: Settings, config: Path) -> Program:
    """The process clients talk to."""
    url = f"http://127.0.0.1:{settings.server.port}/health"
    return Program("gateway", [sys.executable, "-m", "router", str(config)], url, stops_s=STREAMS_S)


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
    wanted = room(settings)
    server = StudentServer(
        vllm_env=home.vllm_env,
        model=settings.student.base_model,
        served_name=BASE_NAME,
        port=settings.student.port,
        max_model_len=settings.student.max_context_tokens,
        max_loras=wanted.loras,
        max_cpu_loras=wanted.cpu_loras,
        lora_rank=wanted.rank,
        gpu_memory_share=gpu_memory_share(settings),
    )
    name = f"{settings.student.adapters_dir.resolve()}:{settings.student.port}"
    alone = [sys.executable, "-m", "tutelage.alone", name, *command(server)]
    return Program("student", alone, f"{settings.student.url}/health", environment(server), starts_s=LOADING_S)


class Stack:
    """Programs under supervisord: started together, restarted with a growing pause when they end, logs in `folder`.

    A context manager, for the main thread, that stops what it started, also on SIGTERM.
    """

    def __init__(self, folder: Path, programs: Sequence[Program]) -> None:
        self._folder = folder
        self._programs = programs
        self._stack = ExitStack()
        self._seen: dict[str, State] = {}
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._relaunched_at = -math.inf

    def __enter__(self) -> "Stack":
        # Ended from outside, or started where Ctrl-C is ignored, it must not leave its programs behind.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)
        self._folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(_alone(self._folder))
            _await_former(self._folder)
            stack.callback(self._end)
            (self._folder / "supervisord.conf").write_text(_configuration(self._folder, self._programs))
            self._supervisor = self._launch()
            _wait_for_supervisor(self._folder, self._supervisor)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_ready(self, *, tick: Callable[[str, float], None], but: Collection[str] = ()) -> None:
        """Until every program `but` some answers; `tick(name, seconds waited)` several times a second.

        Raises ProcessDied where one takes longer than five minutes, or has ended three times before: at first the port
        may still be held by what a killed stack has left, which is ending.
        """
        ends = Counter[str]()
        for program in self._programs:
            started = time.monotonic()
            while program.ready_url and program.name not in but and not answers(program.ready_url):
                for found in self.changes(but=but):
                    ends[found.name] += 1
                    if ends[found.name] == TRIES:
                        raise self._died(found)
                waited = time.monotonic() - started
                if waited > READY_S:
                    raise ProcessDied(f"{program.name} is not up after {waited:.0f} s:\n{self._tail(program.name)}")
                tick(program.name, waited)
                time.sleep(0.3)

    def check(self) -> None:
        """Raises ProcessDied if a program has ended since it was first seen, whether or not it runs again."""
        for found in self.changes():
            raise self._died(found)

    def changes(self, *, but: Collection[str] = ()) -> list[State]:
        """The programs that have ended or were started again since the last call; those left out are told later.

        A supervisor that was killed took them along: it is started again, and they with it.
        """
        if self._supervisor is not None and (status := self._supervisor.poll()) is not None:
            if time.monotonic() < self._relaunched_at + RELAUNCH_S:  # it fails at once
                return []
            self._supervisor, self._relaunched_at = self._launch(), time.monotonic()
            return [State("supervisord", "EXITED", 0, 0.0, f"exit status {status}")]
        try:
            now = {found.name: found for found in states(self._folder) if found.name not in but}
        except NotRunning:  # it is busy
            return []
        before, self._seen = self._seen, {**self._seen, **now}
        return [found for name, found in now.items() if _ended(before.get(name), found)]

    def _launch(self) -> "subprocess.Popen[bytes]":
        config = str(self._folder / "supervisord.conf")
        command = [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", config]
        with (self._folder / "supervisord.out").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "tutelage.tied", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C reaches us first, and streams may finish
            )

    def _end(self) -> None:
        if self._supervisor is not None:
            self._supervisor.terminate()
            self._supervisor.wait()

    def _died(self, found: State) -> ProcessDied:
        return ProcessDied(f"{found.name} ended: {found.words}\n{self._tail(found.name)}")

    def _tail(self, name: str) -> str:
        log = self._folder / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
        return "\n".join([*(f"  {line}" for line in lines), f"  (whole log: {log})"])


def logs_of(config: Path) -> Path:
    """Where `up` keeps the logs of all parts, and its supervisor."""
    return config.resolve().parent / "tutelage-data" / "logs"


def answers(url: str) -> bool:
    """Whether a part is up."""
    try:
        return httpx.get(url, timeout=2.0).status_code == 200
    except httpx.HTTPError:
        return False


def states(folder: Path) -> list[State]:
    """The programs of the stack that runs in `folder`. Raises NotRunning where none does."""
    transport = SupervisorTransport(None, None, f"unix://{_socket(folder)}")
    try:
        found = ServerProxy("http://localhost", transport=transport).supervisor.getAllProcessInfo()
    except (OSError, HTTPException, Fault) as error:
        raise NotRunning(f"nothing runs in {folder}: start it with `tutelage up`") from error
    finally:
        transport.close()
    return [
        State(
            name=each["name"],
            state=each["statename"],
            pid=each["pid"],
            up_s=max(0, each["now"] - each["start"]),
            why=each["spawnerr"] or f"exit status {each['exitstatus']}",
        )
        for each in cast("list[dict[str, Any]]", found)
    ]


def _ended(before: State | None, now: State) -> bool:
    if now.state in ("BACKOFF", "EXITED", "FATAL"):
        return before is None or before.state != now.state
    return before is not None and bool(before.pid and now.pid) and before.pid != now.pid


def _configuration(folder: Path, programs: Sequence[Program]) -> str:
    """supervisord's file. What is stopped gets its children's time too; what is killed takes them along."""
    config = RawConfigParser()
    config["unix_http_server"] = {"file": str(_socket(folder)), "chmod": "0700"}
    config["supervisord"] = {
        "logfile": str(folder / "supervisord.log"),
        "pidfile": str(folder / "supervisord.pid"),
        "childlogdir": str(folder),
    }
    config["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for priority, program in enumerate(programs, 1):
        variables = ",".join(f'{name}="{value}"' for name, value in program.environment.items())
        config[f"program:{program.name}"] = {
            "command": _escaped(shlex.join([sys.executable, "-m", "tutelage.tied", *program.command])),
            "environment": _escaped(variables),
            "priority": str(priority),
            "autorestart": "true",
            "startsecs": str(round(program.starts_s)),
            "startretries": "1000000",  # for ever, each pause a second longer
            "stopwaitsecs": str(round(program.stops_s)),
            "stopasgroup": "false",
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": _escaped(str(folder / f"{program.name}.log")),
            "stdout_logfile_maxbytes": "20MB",
            "stdout_logfile_backups": "3",
        }
    text = StringIO()
    config.write(text)
    return text.getvalue()


def _escaped(value: str) -> str:
    assert "\n" not in value, "supervisord's file holds one line a value"
    return value.replace("%", "%%")


def _socket(folder: Path) -> Path:
    """Short, since a socket's path may have 107 bytes only; the same for every command that means this folder."""
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tutelage-{os.getuid()}-{digest}.sock"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One stack a folder. Raises AlreadyRunning."""
    with (folder / "stack.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(f"a stack runs in {folder} already: `tutelage status` shows it") from error
        yield


def _former(folder: Path) -> int | None:
    """The supervisor of a stack in this folder whose `up` was killed: it is ending, and holds socket and ports."""
    try:
        pid = int((folder / "supervisord.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if str(folder / "supervisord.conf").encode() in command else None


def _await_former(folder: Path) -> None:
    """Raises AlreadyRunning where it does not end in the time that its programs have to stop."""
    deadline = time.monotonic() + 2 * STREAMS_S
    while (pid := _former(folder)) is not None:
        if time.monotonic() > deadline:
            raise AlreadyRunning(f"the supervisor of an earlier stack does not end: kill process {pid}")
        time.sleep(0.2)


def _wait_for_supervisor(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ProcessDied(f"the supervisor ended with status {process.returncode}: {folder / 'supervisord.out'}")
        with suppress(NotRunning):
            states(folder)
            return
        time.sleep(0.05)
    raise ProcessDied(f"the supervisor does not answer: {folder / 'supervisord.out'}")
