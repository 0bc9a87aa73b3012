"""Drafts for evaluation and certification: through the same student, evidence and limits as live traffic.

Log-probabilities differ between engines, batch sizes and request forms, so nothing else may draft for a certificate.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from router.cascade import as_told, draft_budget, too_long
from router.errors import StudentUnavailable
from router.logprobs import recorded
from router.orders import Order, parse_order
from router.ports import Student, TaskPlan
from router.wire import ChatRequest

CONCURRENCY = 16  # drafted under load, as they are served


@dataclass(frozen=True)
class DraftOrder:
    """What to draft under which served model name."""

    release: str
    task: TaskPlan
    requests: tuple[ChatRequest, ...]


class _Order(Order, kw_only=True):
    release: str


def parse_drafts(body: bytes, tasks: Mapping[str, TaskPlan]) -> DraftOrder:
    """Read {release, task, requests: [{messages, ...}]}. Raises BadRequest and OtherSettings."""
    order, task, requests = parse_order(body, _Order, tasks)
    return DraftOrder(order.release, task, requests)


async def draft_many(order: DraftOrder, student: Student) -> list[dict[str, Any]]:
    """One entry a request, in order: a draft, or {"error": words} where the student gave none."""
    gate = asyncio.Semaphore(CONCURRENCY)

    async def one(request: ChatRequest) -> dict[str, Any]:
        request = as_told(request, order.task)
        if too_long(request, order.task):
            return {"error": "prompt and answer do not fit into the student's context"}
        async with gate:
            try:
                budget = draft_budget(request, order.task.max_tokens)
                draft = await student.draft(request, model=order.release, max_tokens=budget, prefix=order.task.prefix)
            except StudentUnavailable as error:
                return {"error": str(error)}
            facts: dict[str, Any] = msgspec.to_builtins(recorded(draft))
            return facts

    return list(await asyncio.gather(*map(one, order.requests)))
