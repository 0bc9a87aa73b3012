"""The gateway's parts held together: admit a request, record what became of it, label references in the background.

Everything here is the same for both routes and for both ways of replying; HTTP is `api`'s matter.
"""

import asyncio
import logging
import os
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from msgspec.structs import replace

from calibration.references import REFERENCE_DOMAIN, draw
from ledger.records import Exchange, Feedback, Label, Origin, Record, Route, TeacherReply, Usage
from ledger.spool import SpoolUnavailable
from router.cascade import Verdict
from router.errors import (
    BudgetUnavailable,
    CapacityExceeded,
    GatewayError,
    InsufficientQuota,
    SpoolFull,
    StudentUnavailable,
    TeacherResting,
    UpstreamRefused,
)
from router.keyring import Keyring, check_task
from router.logprobs import recorded
from router.matching import Matching
from router.metrics import Metrics
from router.ports import (
    Budgets,
    Caller,
    Capacity,
    Limits,
    Ongoing,
    Priority,
    Releases,
    Spool,
    Student,
    Teacher,
)
from router.ticket import CLIENT_LEFT, NO_ROOM, Outcome, Ticket, failed
from router.wire import ChatRequest

CHARACTERS = 4  # a token, roughly
RETRY_AFTER_S, SHORTEST_WAIT_S = 5.0, 1.0
LABEL_WAIT_S = 150.0  # for room at the teacher: a window that is all used up is empty after 120 s
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gateway:
    """Plain values and ports; built once by `router.app`."""

    matching: Matching
    student: Student
    examinee: Student  # the same student drafting for a certificate: patiently, and without live traffic's breaker
    teacher: Teacher
    capacity: Capacity
    spool: Spool
    releases: Releases
    reference_key: bytes
    keyring: Keyring
    limits: Limits
    budgets: Budgets
    max_body_bytes: int
    admin_port: int | None = None  # where alone what is not for clients is answered; None: wherever we listen
    metrics: Metrics = field(default_factory=Metrics)
    _background: set[asyncio.Task[None]] = field(default_factory=set)
    _reserved: dict[str, str] = field(default_factory=dict)  # exchange id -> what was promised to it

    def admit(
        self,
        request: ChatRequest,
        *,
        task_header: str | None,
        priority: Priority,
        caller: Caller,
        teaches: bool = True,
    ) -> Ticket:
        """Resolve task and teacher, and draw the reference. `teaches`: whether a student may learn from it. Raises
        UnknownModel, NotAllowed, or SpoolFull before money is spent."""
        if not self.spool.available:
            raise SpoolFull("Exchanges cannot be recorded at the moment, so none is answered. Try again later.")
        task = self.matching.resolve(request, task_header=task_header)
        check_task(caller, task.name if task else None, model=task_header or request.model)
        exchange_id = new_exchange_id()
        return Ticket(
            id=exchange_id,
            at=time.time(),
            started=time.perf_counter(),
            request=request,
            task=task,
            teacher=task.teacher if task else request.model,
            reference_draw=draw(self.reference_key, exchange_id, domain=REFERENCE_DOMAIN),
            draws=task is None or self.budgets.leaves_references(task.name),
            priority=priority,
            caller=caller,
            teaches=teaches and caller.grant.teaches,
        )

    async def reserve(self, ticket: Ticket) -> None:
        """Promise what the teacher may cost and count the request in there, before it is asked; the record of how it
        ends settles the promise. Raises CapacityExceeded, and as `Budgets.reserve`."""
        reservation = await self.budgets.reserve(ticket.bill(payer=ticket.caller))
        if reservation is not None:
            self._reserved[ticket.id] = reservation
        shortage = await self.capacity.take(ticket.teacher, tokens=ticket.tokens, priority=ticket.priority)
        if shortage is not None:
            self.metrics.count_refused(ticket.teacher, priority=ticket.priority)
            raise CapacityExceeded(
                f"Rate limit reached: {shortage.setting} leaves no room for a request of priority {ticket.priority}. "
                f"Please try again in {shortage.retry_after_s} s.",
                headers={"retry-after": str(shortage.retry_after_s)},
            )

    def so_far(self, ticket: Ticket, *, usage: Usage | None, characters: int) -> tuple[Usage, float]:
        """What a teacher will count of an answer of so many characters, and take for it: as it has said, or roughly."""
        counted = usage or Usage(ticket.request.estimate_prompt_tokens(), characters // CHARACTERS)
        return counted, self.teacher.paid(ticket.teacher, counted)

    def _told(self, ticket: Ticket, reply: TeacherReply) -> TeacherReply:
        """A reply with what it costs: one that does not say how many tokens it counts is not free."""
        if reply.text is None or reply.usage.prompt_tokens:
            return reply
        usage, usd = self.so_far(ticket, usage=None, characters=len(reply.text) + len(reply.rationale or ""))
        return replace(reply, usage=usage, cost_usd=usd)

    def record(self, ticket: Ticket, verdict: Verdict, outcome: Outcome) -> None:
        """Append the exchange to the spool, then count it. Raises SpoolFull."""
        self._settle(self._reserved.pop(ticket.id, None), outcome)
        if outcome.teacher_reply is not None:
            outcome = replace(outcome, teacher_reply=self._told(ticket, outcome.teacher_reply))
        exchange = _exchange(ticket, verdict, outcome)
        self._append(exchange)
        self.metrics.count(exchange)

    def record_failure(self, ticket: Ticket, verdict: Verdict, outcome: Outcome) -> None:
        """Record an exchange that went wrong; what the client is told does not depend on the spool then."""
        try:
            self.record(ticket, verdict, outcome)
        except SpoolFull:
            log.error("exchange %s failed and could not be recorded", ticket.id)

    def record_error(
        self,
        ticket: Ticket,
        verdict: Verdict,
        error: GatewayError,
        *,
        first_byte_s: float | None = None,
        so_far: tuple[Usage, float] = (Usage(), 0.0),
    ) -> None:
        """Record why the client is not answered. A reference for which there was only no room, here or at the teacher's
        provider, or no ledger to ask for money, keeps its label, later: one lost to load would count as a disagreement.
        """
        passes = error.status == NO_ROOM or isinstance(error, BudgetUnavailable)
        label_later = passes and ticket.is_reference(verdict, status=error.status)
        why = type(error).__name__
        outcome = failed(ticket, status=error.status, why=why, first_byte_s=first_byte_s, so_far=so_far)
        self.record_failure(ticket, verdict, Outcome(error.status) if label_later else outcome)
        if label_later:
            self.label_in_background(ticket)

    def heed(self, said: Feedback) -> None:
        """Keep what people say of an answer. Raises SpoolFull."""
        self._append(said)
        self.metrics.count_feedback("corrected" if said.correction else "good" if said.good else "wrong")

    def _append(self, record: Record) -> None:
        try:
            self.spool.append(record)
        except SpoolUnavailable as error:
            self.metrics.spool_errors.inc()
            log.error("%s", error)
            raise SpoolFull("It could not be recorded, so its answer is withheld. Try again later.") from error

    def label_in_background(self, ticket: Ticket) -> None:
        """Ask the teacher about a request that it has not answered; the client does not wait for it."""
        self._keep(self._label(ticket), name=f"label {ticket.id}")

    def _keep(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def finish_in_background(self, ticket: Ticket, verdict: Verdict, ongoing: Ongoing, *, status: int) -> None:
        """Read an accepted reference to its end although its client has left, record it and ask the teacher about it:
        whether somebody stays to the end may depend on how good the answer is, and what is heard of it must not."""
        self._keep(self._finish(ticket, verdict, ongoing, status=status), name=f"finish {ticket.id}")

    async def _finish(self, ticket: Ticket, verdict: Verdict, ongoing: Ongoing, *, status: int) -> None:
        try:
            async for _ in ongoing.pieces():
                pass
        except StudentUnavailable:
            log.warning("the answer to %s broke off after its client had left", ticket.id)
        finally:
            await ongoing.close()
            self.record_failure(ticket, replace(verdict, draft=ongoing.draft), Outcome(status))
        await self._label(ticket)

    async def _label(self, ticket: Ticket) -> None:
        """A label that cannot be had is recorded as lost: it counts as a disagreement."""
        try:
            reply = await self._ask_for_label(ticket)
        except GatewayError as error:
            reply = TeacherReply(teacher=ticket.teacher, text=None, error=type(error).__name__)
        try:
            self._append(Label(exchange_id=ticket.id, at=time.time(), reply=self._told(ticket, reply)))
        except SpoolFull:
            log.error("the label of reference %s is lost", ticket.id)
        self.metrics.count_teacher_error(reply.teacher, error=reply.error)
        if ticket.task:
            self.metrics.count_reference(ticket.task.name, lost=reply.text is None)

    async def ask(self, ticket: Ticket, *, origin: Origin) -> TeacherReply:
        """Ask the teacher on our own account, when there is room, and record what it cost. Raises SpoolFull.

        A reply without text says in `error` why.
        """
        try:
            reservation = await self.budgets.reserve(ticket.bill(payer=None))
            told = ticket.alternatives if origin == "synthetic" else 0  # the others teach nothing
            reply = await self._ask_and_pay(ticket, reservation, priority=ticket.priority, top=told)
        except GatewayError as error:
            reply = TeacherReply(teacher=ticket.teacher, text=None, error=type(error).__name__)
        outcome = Outcome(200 if reply.text is not None else 502, reply.text, self._told(ticket, reply))
        self._append(_exchange(ticket, Verdict("own"), outcome, origin=origin))
        self.metrics.count_teacher_error(reply.teacher, error=reply.error)
        return reply

    async def _ask_for_label(self, ticket: Ticket) -> TeacherReply:
        """It waits for money as for room: promises to requests under way end in less than they were made for."""
        last = time.monotonic() + LABEL_WAIT_S
        while True:
            try:
                reservation = await self.budgets.reserve(ticket.bill(payer=None))
            except (InsufficientQuota, BudgetUnavailable):
                if time.monotonic() + RETRY_AFTER_S > last:
                    raise
                await asyncio.sleep(RETRY_AFTER_S)
            else:
                return await self._ask_and_pay(ticket, reservation, priority="high", top=ticket.alternatives)

    async def _ask_and_pay(
        self, ticket: Ticket, reservation: str | None, *, priority: Priority, top: int
    ) -> TeacherReply:
        cost_usd: float | None = 0.0
        try:
            reply = await self._ask_with_room(ticket, priority=priority, top=top)
            cost_usd = _cost(reply)
            return reply
        finally:
            self._pay(reservation, usd=cost_usd)

    def _settle(self, reservation: str | None, outcome: Outcome) -> None:
        """What has begun and broke off, or was left by its client, is paid in full: or leaving early would be free."""
        reply, begun = outcome.teacher_reply, outcome.first_byte_s is not None or outcome.status == CLIENT_LEFT
        if reply is None or reply.error is not None:
            self._pay(reservation, usd=None if begun else 0.0)
        else:
            self._pay(reservation, usd=_cost(reply))

    def _pay(self, reservation: str | None, *, usd: float | None) -> None:
        """`usd` None: all that was promised."""
        if reservation is not None:
            self._keep(self.budgets.settle(reservation, usd=usd), name=f"settle {reservation}")

    async def _ask_with_room(self, ticket: Ticket, *, priority: Priority, top: int) -> TeacherReply:
        """Ask as soon as there is room, and again where the provider says that there was none, or it is left alone."""
        last = time.monotonic() + LABEL_WAIT_S
        while True:
            await self._await_room(ticket, seconds=last - time.monotonic(), priority=priority)
            try:
                return (await self.teacher.complete(ticket.request, teacher=ticket.teacher, top=top)).reply
            except (UpstreamRefused, TeacherResting) as error:
                wait_s = _seconds(error.headers.get("retry-after"))
                if error.status not in (NO_ROOM, TeacherResting.status) or time.monotonic() + wait_s > last:
                    raise
                await asyncio.sleep(wait_s)

    async def _await_room(self, ticket: Ticket, *, seconds: float, priority: Priority) -> None:
        """Wait for room at the teacher. Raises CapacityExceeded when the time is up."""
        take = partial(self.capacity.take, ticket.teacher, tokens=ticket.tokens, priority=priority)
        try:
            async with asyncio.timeout(seconds):
                while shortage := await take():  # noqa: ASYNC110  time makes room: there is no event to wait for
                    await asyncio.sleep(shortage.retry_after_s)
        except TimeoutError as error:
            raise CapacityExceeded(f"No room at the teacher {ticket.teacher!r} in time") from error

    async def drain(self, *, timeout_s: float) -> None:
        """Let the labels under way finish, and pay them; what remains after the time-out counts as lost, and as paid in
        full."""
        last = time.monotonic() + timeout_s
        while self._background and (left_s := last - time.monotonic()) > 0:
            await asyncio.wait(set(self._background), timeout=left_s)


def _cost(reply: TeacherReply) -> float | None:
    """None: the teacher did not say how many tokens it counts."""
    return reply.cost_usd if reply.usage.prompt_tokens else None


def _seconds(retry_after: str | None) -> float:
    """What a provider asks to wait; a few seconds where it does not say, or says it as a date."""
    return max(SHORTEST_WAIT_S, float(retry_after)) if retry_after and retry_after.isdigit() else RETRY_AFTER_S


def new_exchange_id() -> str:
    """Ordered by time to the millisecond (kind to an index), then random; unguessable before the draw."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def _exchange(ticket: Ticket, verdict: Verdict, outcome: Outcome, *, origin: Origin = "client") -> Exchange:
    request, release = ticket.request, verdict.release
    answered_by: Route = "student" if verdict.accepted else "teacher"
    return Exchange(
        id=ticket.id,
        at=ticket.at,
        task=ticket.task.name if ticket.task else None,
        origin=origin,
        model=request.model,
        messages=request.messages,
        params=request.params,
        prompt_fingerprint=request.fingerprint(),
        route=answered_by if outcome.status == 200 else "none",
        reason=verdict.reason,
        status=outcome.status,
        eligible=verdict.eligible,
        reference=ticket.is_reference(verdict, status=outcome.status),
        rho=ticket.reference_rate(verdict, status=outcome.status),
        release=release.name if release else None,
        draft=recorded(verdict.draft) if verdict.draft else None,
        score=verdict.score,
        threshold=release.threshold if release else None,
        teacher_reply=outcome.teacher_reply,
        answer=outcome.answer,
        stream=request.stream,
        latency_s=ticket.elapsed_s,
        first_byte_s=outcome.first_byte_s,
        key=ticket.caller.key,
        teaches=ticket.teaches,
    )
