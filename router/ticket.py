"""A request from its admission to its end: what is known before anybody is asked, and how it ended. Facts only."""

import time

import msgspec

from ledger.records import TeacherReply, Usage
from router.cascade import Verdict
from router.ports import Bill, Caller, Priority, TaskPlan
from router.wire import ChatRequest, Head

CLIENT_LEFT, NO_ROOM = 499, 429
ANSWER_TOKENS = 256  # expected of a teacher where neither client nor task says how long an answer may be


class Ticket(msgspec.Struct, frozen=True):
    """An admitted request. `reference_draw` in [0, 1) is fixed before anything that depends on difficulty, and so is
    `draws`: whether references are drawn at all, since their labels can be paid for (docs/decisions/0014)."""

    id: str
    at: float
    started: float
    request: ChatRequest
    task: TaskPlan | None
    teacher: str
    reference_draw: float
    draws: bool
    priority: Priority
    caller: Caller
    teaches: bool = True

    def reference_rate(self, verdict: Verdict, *, status: int) -> float | None:
        """The share of requests such as this one that are references, whatever their difficulty; None: it can be none.

        Where no student is asked all are, since the teacher answers them anyway (docs/decisions/0009); but to label
        later all for which it had no room would take the room of others.
        """
        if self.task is None or not verdict.eligible or not self.draws:
            return None
        return 1.0 if verdict.unasked and status != NO_ROOM else self.task.rho

    def is_reference(self, verdict: Verdict, *, status: int = 200) -> bool:
        """Whether the teacher answers this request whatever its route."""
        rate = self.reference_rate(verdict, status=status)
        return rate is not None and self.reference_draw < rate

    @property
    def may_be_reference(self) -> bool:
        """Whether the draw leaves it open, before a verdict says whether it could be one."""
        return self.task is not None and self.draws and self.reference_draw < self.task.rho

    @property
    def alternatives(self) -> int:
        """How many of each token of the teacher's answer are recorded, where the request is none that is beyond a
        student: 0 where nobody learns from it."""
        return self.task.record_logprobs if self.task and self.teaches else 0

    @property
    def elapsed_s(self) -> float:
        """Seconds since arrival."""
        return time.perf_counter() - self.started

    @property
    def tokens(self) -> int:
        """What the teacher is expected to count for this request."""
        return self.request.estimate_tokens(answer=self.task.max_tokens if self.task else ANSWER_TOKENS)

    def bill(self, *, payer: Caller | None) -> Bill:
        """What the teacher may cost for it at most."""
        most = self.request.most_usage(answer=self.task.max_tokens if self.task else ANSWER_TOKENS)
        return Bill(self.teacher, self.task.name if self.task else None, payer, most)

    def head(self) -> Head:
        """What identifies the reply to the client."""
        return Head(f"chatcmpl-{self.id}", int(self.at), self.request.model)


class Outcome(msgspec.Struct, frozen=True):
    """How a reply ended: its status, what the client got, and the teacher's part in it. `first_byte_s` of one that
    failed: it had begun."""

    status: int
    answer: str | None = None
    teacher_reply: TeacherReply | None = None
    first_byte_s: float | None = None


def failed(
    ticket: Ticket,
    *,
    status: int,
    why: str,
    first_byte_s: float | None = None,
    so_far: tuple[Usage, float] = (Usage(), 0.0),
) -> Outcome:
    """The outcome of a request that the teacher did not answer to the end; `so_far`: what it had counted and taken."""
    usage, usd = so_far
    lost = TeacherReply(teacher=ticket.teacher, text=None, usage=usage, cost_usd=usd, error=why)
    return Outcome(status, teacher_reply=lost, first_byte_s=first_byte_s)
