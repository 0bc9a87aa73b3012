"""One target under one load: what its clients saw, and what its process spent meanwhile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import orjson
import psutil

from bench.peers.answers import text
from bench.peers.native import Asked, BenchError, Load, Native
from bench.peers.setups import BY_TEACHER, Target
from bench.peers.subject import KEY

CLIENTS = (1, 16, 64)
WARM_SHARE = 0.25  # of the time that is measured, before it
PROMPT = "My parcel has not arrived, and nobody answers the telephone. I ordered it on Monday; where is it now, please?"


@dataclass(frozen=True)
class Workload:
    """What is asked: `tokens` in one body or streamed, `rich` with 20 x 20 log-probabilities whatever is asked for."""

    name: str
    stream: bool
    tokens: int
    rich: bool

    def message(self, model: str, *, unsure: bool = False, headers: Mapping[str, str] | None = None) -> bytes:
        """The request as it goes over the wire, with `headers` beside the usual ones."""
        prompt = PROMPT + " [20x20]" * self.rich + " [unsure]" * unsure
        messages = [{"role": "system", "content": "Name the topic."}, {"role": "user", "content": prompt}]
        streamed = {"stream": True} if self.stream else {}
        body = orjson.dumps({"model": model, "messages": messages, "max_tokens": self.tokens, **streamed})
        named = {**HEADERS, **(headers or {}), "content-length": len(body)}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        return f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + body


HEADERS = {"host": "127.0.0.1", "authorization": f"Bearer {KEY}", "content-type": "application/json"}
PLAIN = Workload("plain", False, 20, False)
STREAM = Workload("stream", True, 100, False)
WORKLOADS = (PLAIN, Workload("plain, 20 x 20", False, 20, True), STREAM, Workload("stream, 20 x 20", True, 100, True))


@dataclass(frozen=True)
class Measured:
    """One cell of one round. Times in microseconds, memory in MiB, shares of one core.

    `cpu_us` is what the proxy's process spent on a request, `token_us` on a token of a stream; of `direct`, which has
    no proxy, what the model server spent.
    """

    target: str
    workload: str
    clients: int
    round: int
    p50_us: float
    p99_us: float
    first50_us: float
    first99_us: float
    rps: float
    cpu_us: float
    token_us: float
    memory_mib: float
    clients_share: float
    upstream_share: float
    replies: int
    bad: int


@dataclass(frozen=True)
class Cell:
    """What is asked of whom, by how many clients."""

    target: Target
    workload: Workload
    clients: int


@dataclass(frozen=True)
class Bench:
    """Everything runs: the process behind each target, by its name, the model server's, and a folder for messages."""

    native: Native
    pids: Mapping[str, int]
    upstream: int
    folder: Path
    seconds: float

    def measure(self, cell: Cell, *, number: int) -> Measured:
        """Warm up, then measure. Raises BenchError where nothing good is answered."""
        target, workload, clients = cell.target, cell.workload, cell.clients
        pids, asked = (self.pids[target.name], self.upstream), [self.asked(target, workload)]
        self.native.load(target.port, asked, clients=clients, seconds=self.seconds * WARM_SHARE)
        before = [cpu_s(pid) for pid in pids]
        load = self.native.load(target.port, asked, clients=clients, seconds=self.seconds)
        spent, upstream = (cpu_s(pid) - was for pid, was in zip(pids, before, strict=True))
        if not len(load.good):
            raise BenchError(f"{target.name}, {workload.name}, {clients} clients: no good reply")
        return Measured(
            target=target.name,
            workload=workload.name,
            clients=clients,
            round=number,
            **_seen(load),
            cpu_us=spent / len(load.records) * 1e6,
            token_us=spent / len(load.records) / workload.tokens * 1e6,
            memory_mib=memory_mib(self.pids[target.name]),
            clients_share=load.cpu_s / load.seconds,
            upstream_share=upstream / load.seconds,
            replies=len(load.records),
            bad=len(load.records) - len(load.good),
        )

    def asked(self, target: Target, workload: Workload, *, unsure: bool = False) -> Asked:
        """The message as a file. One that leaves the student unsure is the teacher's."""
        path = self.folder / f"{target.name}-{workload.name}-{unsure:d}.http"
        path.write_bytes(workload.message(target.model, unsure=unsure, headers=target.headers))
        return Asked(path, BY_TEACHER if unsure else target.expected)


def _seen(load: Load) -> dict[str, float]:
    """The clients' figures of the good replies."""
    good = load.good
    p50, p99 = np.percentile(good["total_us"], (50, 99))
    first50, first99 = np.percentile(good["first_us"], (50, 99))
    figures = {"p50_us": p50, "p99_us": p99, "first50_us": first50, "first99_us": first99}
    return {**{name: float(value) for name, value in figures.items()}, "rps": len(good) / load.seconds}


def check(target: Target, workload: Workload) -> None:
    """Ask once with a client of its own and read the answer. Raises BenchError where it is not the model server's."""
    _, _, body = workload.message(target.model).partition(b"\r\n\r\n")
    url = f"http://127.0.0.1:{target.port}/v1/chat/completions"
    where = f"{target.name}, {workload.name}"
    try:
        reply = httpx.post(url, content=body, headers={**HEADERS, **target.headers}, timeout=60.0)
    except httpx.HTTPError as error:
        raise BenchError(f"{where}: {type(error).__name__}") from error
    if reply.status_code != httpx.codes.OK:
        raise BenchError(f"{where}: HTTP {reply.status_code} {reply.text[:300]}")
    name, _, value = target.expected.partition(": ")
    if name and reply.headers.get(name) != value:
        raise BenchError(f"{where}: {name} is {reply.headers.get(name)!r}, not {value!r}")
    said = _streamed(reply.text) if workload.stream else reply.json()["choices"][0]["message"]["content"]
    if said != text(workload.tokens):
        raise BenchError(f"{where}: another answer than the model server's: {said[:80]!r}")


def _streamed(body: str) -> str:
    events = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]
    if events[-1:] != ["[DONE]"]:
        raise BenchError(f"a stream that ends with {events[-1:]}")
    choices = [choice for event in events[:-1] for choice in orjson.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children so far, to the nanosecond: its threads' schedstat in /proc."""
    return sum(_thread_s(thread) for process in _tree(pid) for thread in Path(f"/proc/{process}/task").iterdir())


def _thread_s(thread: Path) -> float:
    try:
        return int((thread / "schedstat").read_text().split()[0]) * 1e-9
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0.0


def memory_mib(pid: int) -> float:
    """Resident memory of a process and its children."""
    return sum(psutil.Process(process).memory_info().rss for process in _tree(pid)) / 2**20


def _tree(pid: int) -> Sequence[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
