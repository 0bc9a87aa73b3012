"""The gateway beside its peers, in one interleaved run over real sockets.

    python -m bench.peers [--rounds 5] [--seconds 2] [--only nginx ...] [--out bench-gateway.png]

Direct to a mock model server, through an nginx relay, LiteLLM's proxy, vllm-router, and our gateway with everything it
does; 1, 16 and 64 clients; whole and streamed; with and without 20 x 20 log-probabilities. Then the student's pace
while a fifth of the requests escalates through LiteLLM, memory, and what accounting takes: of a request, and a scrape
of many tasks. docs/bench-gateway.md says what is measured how.
"""

import argparse
import random
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bench.peers.accounting import Asked, account
from bench.peers.beyond import escalate, memory
from bench.peers.measure import CLIENTS, WORKLOADS, Bench, Cell
from bench.peers.native import BenchError, Native
from bench.peers.processes import Running, running
from bench.peers.report import draw, markdown, write_json
from bench.peers.results import Results
from bench.peers.setups import SETUPS, US

WHAT = [*SETUPS, "accounting"]
REQUESTS, CONNECTIONS = 100_000, 10_000
FILES = 16_384  # open files of a process: connections, and some


def main() -> int:
    """Measure, print the tables, write picture and numbers. Exit status 1 where something cannot be measured."""
    options = _options()
    console = Console(stderr=True)  # the tables alone go to standard output
    try:
        with tempfile.TemporaryDirectory(prefix="bench-gateway-") as folder:
            found = _run(options, Path(folder), console)
    except BenchError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 1
    print(markdown(found))
    if options.out:
        if found.cells:
            draw(found, options.out)
        write_json(found, options.out.with_suffix(".json"))
    return 1 if found.failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each cell of each round")
    parser.add_argument("--only", nargs="+", choices=WHAT, default=WHAT, metavar="SET-UP")
    parser.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True, help="the last, longest part")
    parser.add_argument("--out", type=Path, help="a picture; the numbers lie beside it as .json")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be above 0")
    return options


def _run(options: argparse.Namespace, folder: Path, console: Console) -> Results:
    _allow_connections()
    native = Native.compiled(folder)
    say = partial(console.print, markup=False, highlight=False)
    found = Results()
    setups = {name: SETUPS[name] for name in options.only if name in SETUPS}
    try:
        if setups:
            with running(setups, native, folder / "peers", say=say) as stack:
                found.starts_s, found.absent = stack.starts_s, stack.absent
                bench = Bench(native, stack.pids, stack.upstream, folder, options.seconds)
                _measure(found, stack, bench, options=options, console=console)
        if "accounting" in options.only:
            with _noted(found):
                account(found.accounting, Asked(native, folder, options.rounds, options.seconds, say))
    except KeyboardInterrupt:
        found.failures.append("what came after an interruption")
    return found


def _measure(found: Results, stack: Running, bench: Bench, *, options: argparse.Namespace, console: Console) -> None:
    us = [target for target in stack.targets if target.name == US]
    with Progress(console=console) as progress:
        for number in range(options.rounds):
            cells = _cells(stack)
            for cell in progress.track(cells, description=f"round {number + 1} of {options.rounds}"):
                with _noted(found):
                    found.cells.append(bench.measure(cell, number=number))
            for target in us:
                with _noted(found):
                    found.escalations.append(escalate(bench, target, number=number))
    for target in us if options.memory else []:
        with console.status(f"memory over {REQUESTS:,} requests and {CONNECTIONS:,} connections"), _noted(found):
            found.memory = memory(bench, target, requests=REQUESTS, connections=CONNECTIONS)


@contextmanager
def _noted(found: Results) -> Iterator[None]:
    """What cannot be measured is told in the end; the rest of a long run goes on."""
    try:
        yield
    except BenchError as error:
        found.failures.append(str(error))


def _cells(stack: Running) -> list[Cell]:
    """Everything once, set-ups in another order for each load, so that all of them meet the same machine."""
    return [
        Cell(target, workload, clients)
        for workload in WORKLOADS
        for clients in CLIENTS
        for target in random.sample(stack.targets, len(stack.targets))
        if target.takes(stream=workload.stream)
    ]


def _allow_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        raise BenchError(
            f"a process may open {hard} files at most, and {FILES} are needed: raise the limit (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))


if __name__ == "__main__":
    sys.exit(main())
