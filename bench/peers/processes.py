"""The processes of a run: started one after the other, each with the time that it took."""

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.parts import Part
from bench.peers.answers import write_answers
from bench.peers.measure import WORKLOADS, check
from bench.peers.native import BenchError, Native
from bench.peers.setups import US, Absent, Maker, Setup, Site, Target
from tutelage.environments import ProvisionError, Say
from tutelage.processes import Program
from tutelage.provision import Home

LIMIT_S = 300.0  # LiteLLM's proxy takes a quarter of a minute on an idle machine
DIRECT = "direct"


@dataclass
class Running:
    """What runs: targets with the process behind each, seconds that the processes took to start, who is absent."""

    targets: list[Target] = field(default_factory=list)
    pids: dict[str, int] = field(default_factory=dict)
    starts_s: dict[str, float] = field(default_factory=dict)
    absent: list[Absent] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    @property
    def upstream(self) -> int:
        """The model server's process."""
        return self.pids[DIRECT]

    def start(self, program: Program, folder: Path) -> Part:
        """Raises BenchError where it does not answer."""
        began = time.perf_counter()
        part = Part(program, folder / f"{program.name}.log")
        self.parts.append(part)
        while not _answers(part):
            if time.perf_counter() - began > LIMIT_S or part.process.poll() is not None:
                raise BenchError(f"{program.name} does not answer; its log ends:\n{part.log.read_text()[-600:]}")
            time.sleep(0.005)
        self.starts_s[program.name] = time.perf_counter() - began
        return part

    def add(self, targets: tuple[Target, ...], part: Part) -> None:
        """Raises BenchError where one does not answer as the model server does."""
        for target in targets:
            for workload in WORKLOADS:
                if target.takes(stream=workload.stream):
                    check(target, workload)
            self.targets.append(target)
            self.pids[target.name] = part.process.pid


@contextmanager
def running(setups: Mapping[str, Maker], native: Native, folder: Path, *, say: Say) -> Iterator[Running]:
    """The model server and the set-ups until the block ends. A peer that cannot be had is noted as absent; our own
    gateway must be there."""
    found, (upstream, *ports) = Running(), free_ports(1 + 2 * len(setups))
    folder.mkdir()
    write_answers(folder / "answers")
    try:
        part = found.start(native.upstream(folder / "answers", port=upstream), folder)
        found.add((Target(DIRECT, upstream),), part)
        for (name, make), *own in zip(setups.items(), ports[::2], ports[1::2], strict=True):
            site = Site(upstream, folder / name, (own[0], own[1]), Home.from_environment(), say)
            site.folder.mkdir()
            say(f"starting {name}")
            try:
                _begin(found, make(site), site.folder)
            except (ProvisionError, BenchError) as error:
                if name == US:
                    raise
                say(f"{name} is absent: {error}")
                found.absent.append(Absent(name, str(error)))
        yield found
    finally:
        for part in reversed(found.parts):
            part.kill(15)


def _begin(found: Running, setup: Setup, folder: Path) -> None:
    part = found.start(setup.program, folder)
    for program in setup.beside:
        found.start(program, folder)
    found.add(setup.targets, part)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _answers(part: Part) -> bool:
    try:
        return httpx.get(str(part.program.ready_url), timeout=5.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
