"""The two C programs of the measurement, compiled when it starts: clients, and a model server."""

import resource
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tutelage.processes import Program

HERE = Path(__file__).parent
STEP_US = 1000  # from one token of a stream to the next
RECORD = np.dtype([("request", "u4"), ("good", "u4"), ("first_us", "f4"), ("total_us", "f4")])


class BenchError(Exception):
    """The measurement cannot be done; the message says what to do."""


@dataclass(frozen=True)
class Asked:
    """A request as it goes over the wire, and what the head of a good reply holds."""

    message: Path
    expected: str = ""


@dataclass(frozen=True)
class Load:
    """What clients saw: `records`, one a reply; `seconds` until the last one, and CPU seconds that the clients used."""

    records: np.ndarray
    seconds: float
    cpu_s: float

    @property
    def good(self) -> np.ndarray:
        """The replies that were as they should be."""
        return self.records[self.records["good"] == 1]


@dataclass(frozen=True)
class Native:
    """The compiled programs."""

    folder: Path

    @classmethod
    def compiled(cls, folder: Path) -> "Native":
        """Raises BenchError."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise BenchError("no C compiler (cc): Debian's package gcc has one")
        for name in ("load", "upstream"):
            command = [compiler, "-O2", "-o", str(folder / name), str(HERE / f"{name}.c")]
            if (found := subprocess.run(command, capture_output=True, text=True, check=False)).returncode:
                raise BenchError(f"{name}.c does not compile:\n{found.stderr}")
        return cls(folder)

    def upstream(self, answers: Path, *, port: int) -> Program:
        """The model server."""
        command = [str(self.folder / "upstream"), str(port), str(answers), str(STEP_US)]
        return Program("upstream", command, f"http://127.0.0.1:{port}/health")

    def load(self, port: int, asked: Sequence[Asked], *, clients: int, seconds: float, period_s: float = 0.0) -> Load:
        """Ask for so long, and wait for the last replies. Raises BenchError."""
        command = [str(self.folder / "load"), str(port), str(clients), str(seconds), str(round(period_s * 1e6))]
        for each in asked:
            command += [each.expected, str(each.message)]
        spent, began = _children_s(), time.perf_counter()
        found = subprocess.run(command, capture_output=True, check=False)
        took = time.perf_counter() - began
        if found.returncode:
            raise BenchError(f"the clients gave up on port {port}: {found.stderr.decode()}")
        return Load(np.frombuffer(found.stdout, RECORD), took, _children_s() - spent)


def _children_s() -> float:
    """CPU seconds of the children that have ended: only the clients do while something is measured."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
