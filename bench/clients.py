"""What a call to an upstream costs the gateway's process: its own HTTP client beside aiohttp and httpx, in one process.

    python -m bench.clients [--rounds 12] [--seconds 0.5]

Microseconds of CPU, least and median of the rounds, the clients in a new random order in each: a whole answer of 20
tokens with 5 log-probabilities each over loopback, read, by 1 and by 16 tasks at a time; and a token of a stream of
100, read line by line, 16 streams at a time. It needs a C compiler (`cc`) for the upstream (`bench/peers/upstream.c`).
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median

import aiohttp
import httpx
import orjson
import uvloop
from rich.progress import track

from bench.parts import Part
from bench.peers.answers import write_answers
from bench.peers.measure import PLAIN, STREAM
from bench.peers.native import Native
from bench.peers.processes import Running, free_ports
from router.http_client import HttpClient, Patience

HEADERS = {"content-type": "application/json"}
PATIENCE = Patience(total_s=30.0, connect_s=5.0, pause_s=30.0)
LOADS = {"whole, 1 at a time": (PLAIN, 1), "whole, 16": (PLAIN, 16), "a streamed token, 16": (STREAM, 16)}

Call = Callable[[bytes], Awaitable[int]]  # a request's body -> bytes read of its answer


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[tuple[Call, Call]]:
    async with HttpClient() as client:

        async def whole(body: bytes) -> int:
            async with await client.post(url, body, patience=PATIENCE, headers=HEADERS) as response:
                return len(await response.read())

        async def streamed(body: bytes) -> int:
            async with await client.post(url, body, patience=PATIENCE, headers=HEADERS) as response:
                return sum([len(line) async for line in response.lines()])

        yield whole, streamed


@asynccontextmanager
async def of_aiohttp(url: str) -> AsyncIterator[tuple[Call, Call]]:
    limits = aiohttp.ClientTimeout(total=30.0, sock_connect=5.0, sock_read=30.0)
    async with aiohttp.ClientSession(timeout=limits, headers=HEADERS) as client:

        async def whole(body: bytes) -> int:
            async with client.post(url, data=body) as response:
                return len(await response.read())

        async def streamed(body: bytes) -> int:
            async with client.post(url, data=body) as response:
                return sum([len(line) async for line in response.content])

        yield whole, streamed


@asynccontextmanager
async def of_httpx(url: str) -> AsyncIterator[tuple[Call, Call]]:
    async with httpx.AsyncClient(timeout=30.0, headers=HEADERS) as client:

        async def whole(body: bytes) -> int:
            return len((await client.post(url, content=body)).content)

        async def streamed(body: bytes) -> int:
            async with client.stream("POST", url, content=body) as response:
                return sum([len(line) async for line in response.aiter_lines()])

        yield whole, streamed


CLIENTS = {"ours": ours, "aiohttp": of_aiohttp, "httpx": of_httpx}


async def spent(call: Call, body: bytes, *, at_a_time: int, seconds: float) -> float:
    """Microseconds of this process's CPU a call. Raises ValueError where an answer is too short to be one."""
    calls, ends_at = 0, time.perf_counter() + seconds

    async def ask() -> None:
        nonlocal calls
        while time.perf_counter() < ends_at:
            if await call(body) < 1000:
                raise ValueError("the upstream gave no answer")
            calls += 1

    began = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_a_time):
            group.create_task(ask())
    return (time.process_time() - began) / calls * 1e6


def bodies() -> dict[str, bytes]:
    """What is asked, by load."""
    asked = {name: load.message("desk").partition(b"\r\n\r\n")[2] for name, (load, _) in LOADS.items()}
    with_logprobs = {"logprobs": True, "top_logprobs": 5}
    return {
        name: body if LOADS[name][0].stream else orjson.dumps(orjson.loads(body) | with_logprobs)
        for name, body in asked.items()
    }


async def measure(url: str, *, rounds: int, seconds: float) -> dict[tuple[str, str], list[float]]:
    """Microseconds by load and client, one figure a round."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        clients = {name: await stack.enter_async_context(made(url)) for name, made in CLIENTS.items()}
        cells = [(load, name, body) for load, body in bodies().items() for name in clients]
        for number in track(range(rounds + 1), description="rounds"):  # the first warms up
            for load, name, body in random.Random(number).sample(cells, len(cells)):
                workload, at_a_time = LOADS[load]
                whole, streamed = clients[name]
                call = streamed if workload.stream else whole
                us = await spent(call, body, at_a_time=at_a_time, seconds=seconds)
                if number:
                    found[load, name].append(us / workload.tokens if workload.stream else us)
    return found


def main() -> None:
    """Print a row a client: least / median."""
    parser = argparse.ArgumentParser(prog="python -m bench.clients")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, (port,) = Path(name), free_ports(1)
        write_answers(folder / "answers")
        upstream: Part = Running().start(Native.compiled(folder).upstream(folder / "answers", port=port), folder)
        try:
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            found = uvloop.run(measure(url, rounds=options.rounds, seconds=options.seconds))
        finally:
            upstream.kill(15)
    print(f"| client | {' | '.join(LOADS)} |\n|---|{'--:|' * len(LOADS)}")
    for client in CLIENTS:
        cells = [f"{min(found[load, client]):.0f} / {median(found[load, client]):.0f}" for load in LOADS]
        print(f"| {client} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
