"""What the gateway needs of the world: one-method Protocols, and the frozen facts that cross them."""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

from calibration.calibrator import Calibrator
from calibration.familiar import Familiar
from calibration.references import draw
from ledger.backlog import Backlog
from ledger.budgets import Balance, Budget
from ledger.keys import ROLES, Grant, Role
from ledger.modes import FREE
from ledger.records import Draft, Record, TeacherReply, Usage
from ledger.seen import Seen
from router.wire import ChatRequest

Priority = Literal["high", "normal", "low"]
CANARY_DOMAIN = "canary"
PRIORITIES: tuple[Priority, ...] = get_args(Priority)


@dataclass(frozen=True)
class ServedRelease:
    """Adapter, calibrator and threshold, always exchanged as one: no request sees a mixed pair.

    `name` is the model name under which vLLM serves the adapter. It holds from `issued_at` to `expires_at`, seconds
    since the epoch. `modes`: how requests were decoded that it was certified on (`ledger.modes`);
    `cut_at`: when the traffic begins that it was certified on; `familiar`: what requests have to be like (None: it was
    certified for all alike).
    """

    name: str
    calibrator: Calibrator
    threshold: float
    expires_at: float
    issued_at: float = 0.0
    modes: frozenset[str] = frozenset({FREE})
    cut_at: float = 0.0
    familiar: Familiar | None = None

    def holds(self, now: float) -> bool:
        """Whether its certificate does: by a clock that was set back it would outlive its time."""
        return self.issued_at <= now < self.expires_at


@dataclass(frozen=True)
class Canary:
    """A release on trial, which gets a `share` of the conversations in (0, 1], drawn anew for each release."""

    release: ServedRelease
    share: float
    key: bytes

    def takes(self, conversation: str) -> bool:
        """Whether a conversation is its; the same for ever, in every gateway."""
        return draw(self.key, f"{self.release.name} {conversation}", domain=CANARY_DOMAIN) < self.share


@dataclass(frozen=True)
class TaskPlan:
    """A task as the gateway sees it: plain values, no settings. `prefix`: drafts are judged by so many first tokens;
    `max_context_tokens`: of its student (None: not known); `binding`: what its releases must be certified with;
    `unsaid`: the system message that its student does not read; `since`: when an alias made requests such as this one
    its own, in seconds since the epoch; `is_private`: whether a request's body holds what is not kept (None: all is);
    `record_logprobs`: how many alternatives of each token of the teacher's answers are recorded (0: not even the
    token's own log-probability).
    """

    name: str
    teacher: str
    rho: float
    max_tokens: int
    system_prompt: str | None = None
    prefix: int | None = None
    max_context_tokens: int | None = None
    binding: Mapping[str, str] = field(default_factory=dict)
    unsaid: str | None = None
    since: float = -math.inf
    is_private: Callable[[Mapping[str, Any]], bool] | None = None
    record_logprobs: int = 0


@dataclass(frozen=True)
class Caller:
    """Whoever asks: the public id of its key, and the account that its limits and budget are counted for; None where no
    keys are asked for. `grant`: what it may do."""

    key: str | None
    account: str | None
    grant: Grant

    def may(self, role: Role) -> bool:
        """Whether it may do what is for this role."""
        return ROLES.index(self.grant.role) >= ROLES.index(role)

    def may_ask(self, task: str | None) -> bool:
        """Whether a task is its own; None: a teacher without a task."""
        return self.grant.tasks is None or task in self.grant.tasks


@dataclass(frozen=True)
class Bill:
    """What a question to a teacher may cost at most, and who pays: the task it is asked for, and a caller's key."""

    teacher: str
    task: str | None
    payer: Caller | None
    most: Usage


@dataclass(frozen=True)
class TeacherCompletion:
    """A teacher's whole answer: OpenAI's body, passed on as it came, and the facts we keep of it."""

    body: dict[str, Any]
    reply: TeacherReply


@dataclass(frozen=True)
class Shortage:
    """There is no room: by which limit, and the whole seconds, at least 1, after which to try again."""

    setting: str
    retry_after_s: int


class Ongoing(Protocol):
    """A draft that is still being written; `close` it, however it ends."""

    @property
    def draft(self) -> Draft:
        """As far as it has come."""
        ...

    def pieces(self) -> AsyncGenerator[str]:
        """The text that follows; afterwards the draft is whole. Raises StudentUnavailable."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


class Student(Protocol):
    """Drafts greedily, with evidence, under a served model name (a release, or the base)."""

    async def draft(self, request: ChatRequest, *, model: str, max_tokens: int, prefix: int | None = None) -> Draft:
        """A whole draft, with the evidence of its first `prefix` tokens or of all. Raises StudentUnavailable."""
        ...

    async def begin(self, request: ChatRequest, *, model: str, max_tokens: int, prefix: int) -> Ongoing:
        """The first `prefix` tokens of one, and what follows as it comes. Raises StudentUnavailable."""
        ...


class Teacher(Protocol):
    """Any OpenAI-compatible URL."""

    async def complete(self, request: ChatRequest, *, teacher: str, top: int = 0) -> TeacherCompletion:
        """Ask without streaming. `top`: of each token of the answer so many alternatives are among its facts. Raises
        UpstreamRefused or TeacherUnavailable."""
        ...

    def stream(self, request: ChatRequest, *, teacher: str, top: int = 0) -> AsyncGenerator[list[dict[str, Any]]]:
        """Ask with streaming: decoded chunks, those that came together, usage included; with `top` they hold more than
        the client has asked for. Raises as `complete`, also between chunks."""
        ...

    def reply(self, teacher: str, body: dict[str, Any], *, latency_s: float) -> TeacherReply:
        """The facts of a completion body: text, tokens, cost."""
        ...

    async def call(self, path: str, body: dict[str, Any], *, teacher: str) -> dict[str, Any]:
        """Ask another endpoint under /v1 without streaming: the body of its reply. Raises as `complete`."""
        ...

    def events(self, path: str, body: dict[str, Any], *, teacher: str) -> AsyncGenerator[dict[str, Any]]:
        """The same with streaming: decoded events, to the end of the stream. Raises as `stream`."""
        ...

    def paid(self, teacher: str, usage: Usage) -> float:
        """US dollars that this usage costs. Raises TeacherUnavailable where the price is not known."""
        ...

    def priced(self, teacher: str) -> bool:
        """Whether the price of this teacher is known: without it nothing is asked of it."""
        ...


class Capacity(Protocol):
    """What a teacher may be asked a minute, by all gateways together."""

    async def take(self, teacher: str, *, tokens: int, priority: Priority) -> Shortage | None:
        """Count a request of an estimated number of tokens in; where there is no room, nothing may be asked."""
        ...


class Limits(Protocol):
    """What one caller may ask."""

    async def admit(self, caller: Caller, *, tokens: int, stream: bool) -> Callable[[], Awaitable[None]]:
        """Count a request in; what is returned is called at its end. Raises RateLimited."""
        ...


class Budgets(Protocol):
    """What may be spent at teachers, by all gateways together."""

    def leaves_references(self, task: str) -> bool:
        """Whether the labels of references of a task can be paid for."""
        ...

    async def reserve(self, bill: Bill) -> str | None:
        """Promise it; None where nothing limits it. Raises InsufficientQuota, BudgetUnavailable, TeacherUnavailable."""
        ...

    async def settle(self, reservation: str, *, usd: float | None) -> None:
        """Pay what it has cost; None: not known, all that was promised."""
        ...

    def balances(self, accounts: Mapping[str, Budget]) -> list[Balance]:
        """Of everything that has a budget, these accounts' among it."""
        ...


class Spool(Protocol):
    """Where records go before the reply's last byte."""

    @property
    def available(self) -> bool:
        """False while appending fails."""
        ...

    def append(self, record: Record) -> None:
        """Keep the record. Raises ledger.spool.SpoolUnavailable."""
        ...


class Releases(Protocol):
    """What is in force."""

    def champion(self, task: str) -> ServedRelease | None:
        """The release that serves a task now, or None: the teacher answers."""
        ...

    def canary(self, task: str) -> Canary | None:
        """The release on trial, which serves some of a task's conversations in the champion's place."""
        ...

    async def seen(self, *, within_s: float) -> Seen:
        """What the worker has published; not `fresh` where that cannot be read, or not so soon."""
        ...

    async def backlog(self) -> Backlog | None:
        """What waits in the spool, by what was last seen; None where that is not known."""
        ...
