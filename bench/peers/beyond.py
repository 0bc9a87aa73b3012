"""What only our gateway is asked: its students' pace while others escalate, and memory over time and connections."""

import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from bench.peers.measure import PLAIN, Bench, memory_mib
from bench.peers.native import BenchError
from bench.peers.setups import Target

CLIENTS, PERIOD_S = 8, 0.05  # 160 requests a second, whoever answers
OF_FIVE = 1  # requests that the student is unsure of
SETTLE_S = 2.0


@dataclass(frozen=True)
class Escalation:
    """The student's median in microseconds, at the same rate of requests: all its own, or a fifth LiteLLM's."""

    round: int
    alone_us: float
    beside_us: float
    teacher_us: float


@dataclass(frozen=True)
class Memory:
    """Resident memory of the gateway in MiB."""

    requests: int
    early: float
    late: float
    connections: int
    open: float
    held: float
    closed: float


def escalate(bench: Bench, target: Target, *, number: int) -> Escalation:
    """One round of it."""
    sure, unsure = bench.asked(target, PLAIN), bench.asked(target, PLAIN, unsure=True)
    found = {}
    for name, asked in (("alone", [sure]), ("beside", [sure] * (5 - OF_FIVE) + [unsure] * OF_FIVE)):
        for seconds in (bench.seconds / 2, bench.seconds * 2):
            load = bench.native.load(target.port, asked, clients=CLIENTS, seconds=seconds, period_s=PERIOD_S)
        if len(load.good) < len(load.records):
            raise BenchError(f"escalation: {len(load.records) - len(load.good)} replies were not as expected")
        found[name] = load.good
    teachers = found["beside"]["request"] >= 5 - OF_FIVE
    own, theirs = found["beside"][~teachers]["total_us"], found["beside"][teachers]["total_us"]
    alone = float(np.median(found["alone"]["total_us"]))
    return Escalation(number, alone, float(np.median(own)), float(np.median(theirs)))


def memory(bench: Bench, target: Target, *, requests: int, connections: int) -> Memory:
    """After a tenth of so many requests and after all; then with so many idle connections, and without them."""
    pid, sizes = bench.pids[target.name], []
    for share in (0.1, 0.9):
        _ask(bench, target, requests=round(share * requests))
        sizes.append(memory_mib(pid))
    with ExitStack() as stack:
        for _ in range(connections):
            stack.enter_context(socket.create_connection(("127.0.0.1", target.port)))
        for _ in range(2):
            time.sleep(SETTLE_S)
            sizes.append(memory_mib(pid))
    time.sleep(SETTLE_S)
    early, late, opened, held = sizes
    return Memory(requests, early, late, connections, opened, held, memory_mib(pid))


def _ask(bench: Bench, target: Target, *, requests: int) -> None:
    asked, done = [bench.asked(target, PLAIN)], 0
    while done < requests:
        done += len(bench.native.load(target.port, asked, clients=16, seconds=1.0).good)
