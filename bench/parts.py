"""Real processes under the hands of measurements and tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tutelage.processes import Program


def wait_until(condition: Callable[[], bool], *, limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


class Part:
    """One real process, to be killed and started again."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tutelage.tied", *self.program.command],  # it ends with us, however we end
                env={**os.environ, **self.program.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        if self.program.ready_url:
            wait_until(self.answers, limit_s=300.0)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(str(self.program.ready_url)).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self, number: int = signal.SIGKILL) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        self.process.wait()


@contextmanager
def started(programs: Sequence[Program], log_dir: Path) -> Iterator[dict[str, Part]]:
    """All of them, side by side, until the block ends."""
    parts: dict[str, Part] = {}
    try:
        for program in programs:
            parts[program.name] = Part(program, log_dir / f"{program.name}.log")
        for part in parts.values():
            part.wait_ready()
        yield parts
    finally:
        for part in parts.values():
            part.kill(signal.SIGTERM)
