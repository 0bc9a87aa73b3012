"""What the other parts of the product order of a gateway: read alike, and refused where it is meant for another one."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import orjson

from router.errors import BadRequest, OtherSettings
from router.ports import TaskPlan
from router.wire import ChatRequest, parse_chat


class Order(msgspec.Struct, kw_only=True):
    """Of whatever kind. `binding`: the settings that it is meant for, by name; none, where any will do."""

    task: str
    requests: list[dict[str, Any]]
    binding: dict[str, str] = {}


OrderT = TypeVar("OrderT", bound=Order)


def parse_order(
    body: bytes, kind: type[OrderT], tasks: Mapping[str, TaskPlan]
) -> tuple[OrderT, TaskPlan, tuple[ChatRequest, ...]]:
    """The order, its task and its requests. Raises BadRequest and OtherSettings."""
    try:
        order = msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise BadRequest(f"Invalid order: {error}") from error
    if order.task not in tasks:
        raise BadRequest(f"No task named {order.task!r}", param="task")
    task = tasks[order.task]
    for name, wanted in order.binding.items():
        if (held := task.binding.get(name)) != wanted:
            raise OtherSettings(
                f"This gateway serves {task.name} with {name} {held!r}, and the order is meant for {wanted!r}: "
                "start it again with the same settings",
                param=name,
            )
    requests = tuple(parse_chat(orjson.dumps({**request, "model": order.task})) for request in order.requests)
    return order, task, requests
