"""What accounting takes of a request, and a scrape of all: the same gateway with and without, in short turns.

A turn asks for everything by turns, in a new random order, so that what else the machine does meets all alike; what a
part takes is compared within a turn. Pieces called directly (`pieces`) say what is too little for that to tell.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import numpy as np

from bench.peers.counted import PARTS
from bench.peers.measure import HEADERS, PLAIN, Bench, Cell, cpu_s
from bench.peers.native import BenchError, Native
from bench.peers.pieces import Pieces
from bench.peers.processes import running
from bench.peers.setups import US, Setup, Site, Target, counted
from router.metrics import SHARED_DIR
from tutelage.environments import Say

TURNS = 8  # a round
SHARE = 0.25  # of a cell's time that a turn takes for each part
ASKING = 16  # clients, as fast as they can
CLIENTS, PERIOD_S = 8, 0.05  # 160 requests a second, whoever is scraped
SCRAPED_S = 10.0
PAUSES_S = (None, 5.0, 0.0)  # from a scrape's end to the next; None: no scrape
ROUNDS, CALLS, SCRAPES = 15, 5_000, 20  # of the pieces


@dataclass(frozen=True)
class Spent:
    """A turn without a part of the accounting: CPU of the gateway a request, and what clients saw. `files`: it counts
    into files."""

    files: bool
    round: int
    turn: int
    without: str
    cpu_us: float
    p50_us: float
    rps: float


@dataclass(frozen=True)
class Scraped:
    """A while of requests at a rate that nothing changes, with scrapes at such a pause beside them. `cpu_share`: of one
    core, the gateway's."""

    files: bool
    round: int
    pause_s: float | None
    p50_us: float
    p99_us: float
    most_us: float
    cpu_share: float
    scrapes_ms: list[float]
    bytes: int


@dataclass
class Accounting:
    """All of it."""

    spent: list[Spent] = field(default_factory=list)
    scraped: list[Scraped] = field(default_factory=list)
    pieces: list[Pieces] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """How much is measured: rounds, and seconds of a cell."""

    native: Native
    folder: Path
    rounds: int
    seconds: float
    say: Say = field(repr=False)


def account(found: Accounting, asked: Asked) -> None:
    """Everything, a gateway at a time. Raises BenchError."""
    for files in (False, True):
        with _gateway(asked, files=files, tasks=False) as (bench, target):
            for number in range(asked.rounds):
                asked.say(f"accounting, {_way(files)}, round {number + 1} of {asked.rounds}")
                found.spent += spend(bench, target, files=files, number=number)
        with _gateway(asked, files=files, tasks=True) as (bench, target):
            post(target, "traffic")
            for number in range(asked.rounds):
                asked.say(f"scrapes, {_way(files)}, round {number + 1} of {asked.rounds}")
                found.scraped += scrape(bench, target, files=files, number=number)
        asked.say(f"its pieces, {_way(files)}")
        config = _folder(asked, files=files, tasks=True) / US / "tutelage.yaml"
        found.pieces.append(in_process(config, files=files))


def _way(files: bool) -> str:
    return "counted into files" if files else "counted in the process"


def _folder(asked: Asked, *, files: bool, tasks: bool) -> Path:
    return asked.folder / f"accounting-{files:d}{tasks:d}"


@contextmanager
def _gateway(asked: Asked, *, files: bool, tasks: bool) -> Iterator[tuple[Bench, Target]]:
    """Model server and gateway while the block runs."""

    def made(site: Site) -> Setup:
        return counted(site, files=files, tasks=tasks)

    folder = _folder(asked, files=files, tasks=tasks)
    with running({US: made}, asked.native, folder, say=asked.say) as stack:
        (target,) = [each for each in stack.targets if each.name == US]
        yield Bench(asked.native, stack.pids, stack.upstream, folder, asked.seconds), target


def spend(bench: Bench, target: Target, *, files: bool, number: int) -> Iterator[Spent]:
    """One round of turns."""
    short = Bench(bench.native, bench.pids, bench.upstream, bench.folder, bench.seconds * SHARE)
    for turn in range(TURNS):
        for part in random.sample(PARTS, len(PARTS)):
            post(target, f"without/{part}")
            cell = short.measure(Cell(target, PLAIN, ASKING), number=number)
            if cell.bad:
                raise BenchError(f"without {part}: {cell.bad} replies were not as expected")
            yield Spent(files, number, turn, part, cell.cpu_us, cell.p50_us, cell.rps)


def scrape(bench: Bench, target: Target, *, files: bool, number: int) -> Iterator[Scraped]:
    """One round of it."""
    asked, pid = [bench.asked(target, PLAIN)], bench.pids[target.name]
    for pause_s in random.sample(PAUSES_S, len(PAUSES_S)):
        bench.native.load(target.port, asked, clients=CLIENTS, seconds=bench.seconds / 2, period_s=PERIOD_S)
        with _Scraper(target, pause_s) as scraper:
            spent = cpu_s(pid)
            load = bench.native.load(target.port, asked, clients=CLIENTS, seconds=SCRAPED_S, period_s=PERIOD_S)
            spent = cpu_s(pid) - spent
        if len(load.good) < len(load.records):
            raise BenchError(f"beside scrapes: {len(load.records) - len(load.good)} replies were not as expected")
        p50, p99, most = (float(each) for each in np.percentile(load.good["total_us"], (50, 99, 100)))
        seen = {"p50_us": p50, "p99_us": p99, "most_us": most, "cpu_share": spent / load.seconds}
        yield Scraped(files, number, pause_s, **seen, scrapes_ms=scraper.took_ms, bytes=scraper.size)


class _Scraper:
    """A thread that scrapes while the block runs: first after half a pause. None: it does nothing."""

    def __init__(self, target: Target, pause_s: float | None) -> None:
        self.took_ms: list[float] = []
        self.size = 0
        self._url, self._pause_s = f"http://127.0.0.1:{target.port}/metrics", pause_s
        self._stop, self._thread = threading.Event(), threading.Thread(target=self._run)
        self._failed: httpx.HTTPError | None = None

    def __enter__(self) -> "_Scraper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Raises BenchError where it was not answered."""
        self._stop.set()
        self._thread.join()
        if self._failed is not None:
            raise BenchError(f"a scrape: {self._failed!r}") from self._failed

    def _run(self) -> None:
        if self._pause_s is None:
            return
        pause_s = self._pause_s / 2
        with httpx.Client(headers=HEADERS, timeout=60.0) as http:
            while not self._stop.wait(pause_s):
                began = time.perf_counter()
                try:
                    self.size = len(http.get(self._url).raise_for_status().content)
                except httpx.HTTPError as error:
                    self._failed = error
                    return
                self.took_ms.append((time.perf_counter() - began) * 1e3)
                pause_s = self._pause_s


def post(target: Target, path: str) -> None:
    """Tell `bench.peers.counted`. Raises BenchError."""
    try:
        httpx.post(f"http://127.0.0.1:{target.port}/bench/{path}", timeout=60.0).raise_for_status()
    except httpx.HTTPError as error:
        raise BenchError(f"{path}: {error!r}") from error


def in_process(config: Path, *, files: bool) -> Pieces:
    """The pieces, called in a process of their own. Raises BenchError."""
    shared = config.parent / "pieces"
    shared.mkdir(exist_ok=True)
    arguments = [str(each) for each in (config, ROUNDS, CALLS, SCRAPES)]
    found = subprocess.run(
        [sys.executable, "-m", "bench.peers.pieces", *arguments],
        env={**os.environ, **({SHARED_DIR: str(shared)} if files else {})},
        capture_output=True,
        check=False,
    )
    if found.returncode:
        raise BenchError(f"the pieces: {found.stderr.decode()[-600:]}")
    return msgspec.json.decode(found.stdout, type=Pieces)
