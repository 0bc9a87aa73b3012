"""What a run has found, and how it stands against the goals that were set beforehand."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.peers.accounting import Accounting
from bench.peers.beyond import Escalation, Memory
from bench.peers.measure import PLAIN, STREAM, Measured, Workload
from bench.peers.processes import DIRECT
from bench.peers.ranges import Range
from bench.peers.setups import PASSED, PREFIX, US, Absent

GROWTH_MIB = 2.0  # that counts as flat: allocators breathe


@dataclass(frozen=True)
class At:
    """A load."""

    workload: Workload
    clients: int


@dataclass(frozen=True)
class Goal:
    """One row of the goals. `found` is None where this run did not measure it, `why` then says so."""

    measure: str
    must: float
    aim: float
    found: Range | None
    unit: str = "x"
    at_least: bool = False
    why: str = "not measured in this run"

    def bound(self, value: float) -> str:
        """A goal's number in words."""
        return f"{'>=' if self.at_least else '<='} {value:g} {self.unit}"

    def met(self, value: float) -> str:
        """Whether the median reaches it."""
        if self.found is None:
            return self.why
        return "met" if (self.found.median >= value if self.at_least else self.found.median <= value) else "not met"


@dataclass
class Results:
    """Everything that a run has measured."""

    cells: list[Measured] = field(default_factory=list)
    escalations: list[Escalation] = field(default_factory=list)
    memory: Memory | None = None
    starts_s: dict[str, float] = field(default_factory=dict)
    absent: list[Absent] = field(default_factory=list)
    accounting: Accounting = field(default_factory=Accounting)
    failures: list[str] = field(default_factory=list)

    def of(self, target: str, at: At) -> dict[int, Measured]:
        """One target under one load, by round."""
        found = (cell for cell in self.cells if (cell.target, cell.workload) == (target, at.workload.name))
        return {cell.round: cell for cell in found if cell.clients == at.clients}

    def range(self, figure: str, target: str, *, at: At) -> Range | None:
        """A field of `Measured` over the rounds; None where it was not measured."""
        values = [getattr(cell, figure) for cell in self.of(target, at).values()]
        return Range.of(values) if values else None

    def added(self, figure: str, target: str, *, at: At) -> Range | None:
        """What a proxy adds to asking the model server directly, compared round by round."""
        values = [ours - theirs for ours, theirs in self._pairs(figure, (target, DIRECT), at=at)]
        return Range.of(values) if values else None

    def ratio(self, figure: str, pair: tuple[str, str], *, at: At) -> Range | None:
        """One target's figure by another one's, round by round."""
        values = [ours / theirs for ours, theirs in self._pairs(figure, pair, at=at)]
        return Range.of(values) if values else None

    def _pairs(self, figure: str, pair: tuple[str, str], *, at: At) -> list[tuple[float, float]]:
        ours, theirs = (self.of(name, at) for name in pair)
        return [(getattr(ours[n], figure), getattr(theirs[n], figure)) for n in ours.keys() & theirs.keys()]


ONE, SIXTEEN, STREAMS = At(PLAIN, 1), At(PLAIN, 16), At(STREAM, 16)
THROUGHPUT = (("litellm", 60, 120), ("Portkey", 6, 14), ("production-stack", 4, 8), ("vllm-router", 0.7, 1.1))
RELAYS = ((PASSED, 2, 1.5, "relayed"), (PREFIX, 4, 2.5, "with confidence"))


def goals(found: Results) -> Iterator[Goal]:
    """In the order in which they were set."""
    for peer, must, aim in THROUGHPUT:
        why = "absent" if any(each.name == peer for each in found.absent) else "not in this run"
        ratio = found.ratio("rps", (US, peer), at=SIXTEEN)
        yield Goal(f"requests per second / {peer}, 16 clients", must, aim, ratio, at_least=True, why=why)
    cpu = found.ratio("cpu_us", (US, "nginx"), at=SIXTEEN)
    yield Goal("CPU per request / nginx relay, 16 clients", 8, 4, cpu)
    yield Goal("added p50, 1 client", 300, 120, found.added("p50_us", US, at=ONE), "us")
    yield Goal("added p99, 1 client", 1000, 300, found.added("p99_us", US, at=ONE), "us")
    for name, must, aim, words in RELAYS:
        ratio = found.ratio("token_us", (name, "nginx"), at=STREAMS)
        yield Goal(f"CPU per streamed chunk / nginx, {words}, 16 clients", must, aim, ratio)
    beside = [each.beside_us / each.alone_us for each in found.escalations]
    yield Goal("student's p50 while 20 % escalate through LiteLLM", 1.3, 1.1, Range.of(beside) if beside else None)
    yield from _process(found)


def _process(found: Results) -> Iterator[Goal]:
    resident = [cell.memory_mib for cell in found.cells if cell.target == US]
    yield Goal("memory of the gateway process", 90, 50, Range.of(resident) if resident else None, "MiB")
    start = found.starts_s.get("gateway")
    yield Goal("start-up of the gateway process", 2, 1, Range(start, start, start) if start else None, "s")
    for what, grown in _growth(found.memory):
        value = None if grown is None else Range(grown, grown, grown)
        yield Goal(what, GROWTH_MIB, GROWTH_MIB, value, "MiB")


def _growth(memory: Memory | None) -> Iterator[tuple[str, float | None]]:
    """Growth from a tenth of the requests to all of them, and while connections are held."""
    many, connections = (memory.requests, memory.connections) if memory else (100_000, 10_000)
    yield f"memory grown over {many:,} requests", memory and memory.late - memory.early
    yield f"memory grown while {connections:,} idle connections are held", memory and memory.held - memory.open
