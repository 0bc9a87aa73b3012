"""Doubles for the gateway's ports: scripted, in memory, no network."""

from collections.abc import AsyncGenerator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import msgspec

from calibration.calibrator import Calibrator
from ledger.backlog import Backlog
from ledger.budgets import Balance, Budget, of_key
from ledger.progress import Progress
from ledger.records import Draft, Record, TeacherReply, Usage
from ledger.seen import Seen
from ledger.spool import SpoolUnavailable
from router.errors import GatewayError, StudentUnavailable
from router.gateway import Gateway
from router.keyring import Keyring
from router.limits import KeyLimits
from router.logprobs import shown
from router.matching import Matching
from router.metrics import Metrics
from router.ports import Bill, Canary, Priority, ServedRelease, Shortage, TaskPlan, TeacherCompletion
from router.windows import Windows
from router.wire import ChatRequest, Head, Reply, completion, completion_chunks

TASK = TaskPlan(name="desk", teacher="big", rho=0.0, max_tokens=16, system_prompt="Name the topic.")
TOKENS = [
    {
        "token": "refund",
        "logprob": -0.1,
        "bytes": [114],
        "top_logprobs": [{"token": t, "logprob": -float(n), "bytes": None} for n, t in enumerate("abcde")],
    }
]
SURE, UNSURE = {"x": 5.0}, {"x": -5.0}
RELEASE = ServedRelease(
    name="desk--v000001",
    calibrator=Calibrator(("x",), (0.0,), (1.0,), (1.0,), 0.0),
    threshold=0.5,
    expires_at=1e12,
)


def draft(text: str = "refund", *, evidence: dict[str, float] | None = None, finish_reason: str = "stop") -> Draft:
    return Draft(text, finish_reason, SURE if evidence is None else evidence, Usage(20, 3), cost_usd=0.001)


@dataclass
class FakeStudent:
    """Answers with one draft, or is unavailable."""

    answer: Draft | None = field(default_factory=draft)
    asked: list[tuple[str, int]] = field(default_factory=list)
    ongoing: "FakeOngoing | None" = None
    error: StudentUnavailable = field(default_factory=lambda: StudentUnavailable("scripted"))

    async def draft(self, request: ChatRequest, *, model: str, max_tokens: int, prefix: int | None = None) -> Draft:
        self.asked.append((model, max_tokens))
        if self.answer is None:
            raise self.error
        if request.top_logprobs is not None:
            return shown(self.answer, TOKENS, top=request.top_logprobs)
        return self.answer

    async def begin(self, request: ChatRequest, *, model: str, max_tokens: int, prefix: int) -> "FakeOngoing":
        self.asked.append((model, max_tokens))
        if self.ongoing is None:
            raise StudentUnavailable("scripted")
        return self.ongoing


@dataclass
class FakeOngoing:
    """A draft whose beginning is there; each piece that follows counts as a token. `breaks_off` behind the pieces."""

    draft: Draft
    follows: tuple[str, ...] = ()
    breaks_off: bool = False
    closed: int = 0

    async def pieces(self) -> AsyncGenerator[str, None]:
        while self.follows:
            piece, *left = self.follows
            self.follows = tuple(left)
            usage = Usage(self.draft.usage.prompt_tokens, self.draft.usage.completion_tokens + 1)
            self.draft = msgspec.structs.replace(self.draft, text=self.draft.text + piece, usage=usage)
            yield piece
        if self.breaks_off:
            raise StudentUnavailable("scripted")
        self.draft = msgspec.structs.replace(self.draft, finish_reason="stop")

    async def close(self) -> None:
        self.closed += 1


@dataclass
class FakeTeacher:
    """Answers with one text, fails with one error, or breaks off its stream after the first chunk."""

    text: str = "delivery"
    error: GatewayError | None = None
    breaks_off: bool = False
    known_price: bool = True
    asked: list[ChatRequest] = field(default_factory=list)
    closed: int = 0
    body: dict[str, Any] | None = None  # instead of the text
    chunks: list[dict[str, Any]] | None = None
    passed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    tops: list[int] = field(default_factory=list)

    def priced(self, teacher: str) -> bool:
        return self.known_price

    async def complete(self, request: ChatRequest, *, teacher: str, top: int = 0) -> TeacherCompletion:
        self.asked.append(request)
        self.tops.append(top)
        if self.error:
            raise self.error
        body = self.body or completion(Reply(Head("upstream", 1, "upstream-model"), self.text, "stop", Usage(20, 2)))
        return TeacherCompletion(body, self.reply(teacher, body, latency_s=0.1))

    async def stream(
        self, request: ChatRequest, *, teacher: str, top: int = 0
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        self.asked.append(request)
        self.tops.append(top)
        try:
            if self.error and not self.breaks_off:
                raise self.error
            reply = Reply(Head("upstream", 1, "upstream-model"), self.text, "stop", Usage(20, 2))
            for number, chunk in enumerate(self.chunks or completion_chunks(reply, include_usage=True)):
                if self.breaks_off and self.error and number == 2:
                    raise self.error
                yield [chunk]
        finally:
            self.closed += 1

    def reply(self, teacher: str, body: dict[str, Any], *, latency_s: float) -> TeacherReply:
        said = body["choices"][0]["message"]
        facts = {"cost_usd": 0.01, "latency_s": latency_s, "rationale": said.get("reasoning_content")}
        return TeacherReply(teacher, said["content"], "stop", Usage(20, 2), **facts)

    async def call(self, path: str, body: dict[str, Any], *, teacher: str) -> dict[str, Any]:
        self.passed.append((path, body))
        if self.error:
            raise self.error
        assert self.body is not None
        return self.body

    async def events(self, path: str, body: dict[str, Any], *, teacher: str) -> AsyncGenerator[dict[str, Any], None]:
        self.passed.append((path, body))
        try:
            for chunk in self.chunks or ():
                yield deepcopy(chunk)
            if self.error:
                raise self.error
        finally:
            self.closed += 1

    def paid(self, teacher: str, usage: Usage) -> float:
        return usage.prompt_tokens * 0.001 + usage.completion_tokens * 0.01


@dataclass
class FakeCapacity:
    """Short of room as scripted, one entry a request; then there is room for all."""

    shortages: list[Shortage | None] = field(default_factory=list)
    asked: list[tuple[str, int, Priority]] = field(default_factory=list)

    async def take(self, teacher: str, *, tokens: int, priority: Priority) -> Shortage | None:
        self.asked.append((teacher, tokens, priority))
        return self.shortages.pop(0) if self.shortages else None


@dataclass
class FakeBudgets:
    """Short of money as scripted, one entry a request; then there is enough for all. `limited`: whether it counts."""

    limited: bool = False
    refusals: list[GatewayError | None] = field(default_factory=list)
    draws: bool = True
    bills: list[Bill] = field(default_factory=list)
    settled: dict[str, float | None] = field(default_factory=dict)

    def leaves_references(self, task: str) -> bool:
        return self.draws

    async def reserve(self, bill: Bill) -> str | None:
        if not self.limited:
            return None
        self.bills.append(bill)
        if self.refusals and (refusal := self.refusals.pop(0)):
            raise refusal
        return f"r{len(self.bills)}"

    async def settle(self, reservation: str, *, usd: float | None) -> None:
        assert reservation not in self.settled
        self.settled[reservation] = usd

    def balances(self, accounts: Mapping[str, Budget]) -> list[Balance]:
        return [Balance(of_key(account), budget) for account, budget in accounts.items()]


@dataclass
class MemorySpool:
    """Keeps records in a list; `full` makes it refuse."""

    records: list[Record] = field(default_factory=list)
    full: bool = False
    available: bool = True

    def append(self, record: Record) -> None:
        if self.full:
            raise SpoolUnavailable("spool folder /nowhere: No space left on device")
        self.records.append(record)


@dataclass
class FakeReleases:
    """One release for every task, or none."""

    release: ServedRelease | None = RELEASE
    on_trial: Canary | None = None

    def canary(self, task: str) -> Canary | None:
        return self.on_trial

    def champion(self, task: str) -> ServedRelease | None:
        return self.release

    async def seen(self, *, within_s: float) -> Seen:
        on_its_way = Progress(rows=120, rows_needed=300, references=200, references_needed=200, expected_at=1e9)
        return Seen(progress={"desk": on_its_way}, noticed={"desk": {"score": 1}})

    async def backlog(self) -> Backlog | None:
        return Backlog(bytes=100, waiting=10, oldest_at=1.0, free=1000)


def gateway(**parts: Any) -> Gateway:
    """A gateway over fakes; any part can be replaced."""
    metrics = Metrics()
    defaults: dict[str, Any] = {
        "tasks": {"desk": TASK},
        "teachers": frozenset({"big"}),
        "student": FakeStudent(),
        "examinee": FakeStudent(),
        "teacher": FakeTeacher(),
        "capacity": FakeCapacity(),
        "spool": MemorySpool(),
        "releases": FakeReleases(),
        "reference_key": b"k" * 32,
        "keyring": Keyring(None),
        "limits": KeyLimits(Windows("async+memory://", metrics=metrics), metrics=metrics),
        "budgets": FakeBudgets(),
        "metrics": metrics,
        "max_body_bytes": 4096,
    }
    values = {**defaults, **parts}
    matching = Matching(values.pop("tasks"), values.pop("teachers"))
    return Gateway(**{"matching": matching, **values})
