"""Answers of a teacher on our own account: whoever needs one asks through the gateway, as clients do.

So capacity, retries and the record of what was spent stay in one place.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec.structs import replace

from ledger.records import TeacherReply
from router.errors import BadRequest
from router.gateway import Gateway
from router.orders import Order, parse_order
from router.ports import Caller, TaskPlan
from router.wire import ChatRequest

CONCURRENCY = 4  # beside the clients' own requests
Purpose = Literal["probe", "recertify", "judge", "writer", "synthetic", "curate"]


@dataclass(frozen=True)
class AnswerOrder:
    """What to ask a teacher on a task's account, and what for."""

    task: TaskPlan
    teacher: str
    origin: Purpose
    requests: tuple[ChatRequest, ...]


class _Order(Order, kw_only=True):
    origin: Purpose
    teacher: str | None = None


def parse_answers(body: bytes, tasks: Mapping[str, TaskPlan], *, teachers: Collection[str]) -> AnswerOrder:
    """Read {task, origin, requests: [{messages, ...}], teacher}; where no teacher is named the task's own is asked.

    Raises BadRequest and OtherSettings.
    """
    order, task, requests = parse_order(body, _Order, tasks)
    teacher = task.teacher if order.teacher is None else order.teacher
    if teacher not in teachers:
        raise BadRequest(f"No teacher named {teacher!r}", param="teacher")
    return AnswerOrder(task, teacher, order.origin, requests)


async def answer_many(order: AnswerOrder, gateway: Gateway, *, caller: Caller) -> list[dict[str, Any]]:
    """One entry a request, in order: {"text": answer, "finish_reason"}, or {"error": why} where the teacher gave none;
    with "usd" where it took something for that."""
    gate = asyncio.Semaphore(CONCURRENCY)

    async def one(request: ChatRequest) -> dict[str, Any]:
        async with gate:
            ticket = gateway.admit(request, task_header=order.task.name, priority="low", caller=caller)
            reply = await gateway.ask(replace(ticket, teacher=order.teacher), origin=order.origin)
            return _entry(reply)

    return list(await asyncio.gather(*map(one, order.requests)))


def _entry(reply: TeacherReply) -> dict[str, Any]:
    answered = {"text": reply.text, "finish_reason": reply.finish_reason}
    said = {"error": reply.error or "no text"} if reply.text is None else answered
    return {**said, "usd": reply.cost_usd} if reply.cost_usd else said
