"""What all endpoints share: who asks, what, how urgently and within which limits, and how a reply is headed."""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from ledger.keys import Role
from router.cascade import Verdict
from router.errors import BadRequest, NotAllowed, NotFound
from router.gateway import Gateway, new_exchange_id
from router.intake import JSON, header, read_body, refuse_deep
from router.ports import PRIORITIES, Caller, Priority
from router.relay import EventStream
from router.ticket import Ticket
from router.wire import ChatRequest


def gateway_of(http: Request) -> tuple[Gateway, Caller]:
    """The gateway, and who asks it, by the key in the request. What is not named here is for admins
    (docs/decisions/0014). Raises NotFound on a port that is not the path's, NotAuthenticated, and NotAllowed where the
    path is for another role."""
    gateway: Gateway = http.app.state.gateway
    path = http.scope["path"]
    role: Role = "client" if path.startswith("/v1/") else "worker" if path.startswith("/internal/") else "admin"
    if role != "client" and gateway.admin_port not in (None, http.scope["server"][1]):
        raise NotFound(f"Invalid URL ({http.method} {path})")
    secret = header(http, b"authorization").removeprefix("Bearer ")
    caller = gateway.keyring.caller(secret, now=time.time())
    if not caller.may(role):
        message = f"You have insufficient permissions for this operation: it takes a key of the role {role}."
        raise NotAllowed(message, code="missing_scope")
    return gateway, caller


def priority_of(http: Request) -> Priority:
    """How early the request gives way where the teacher's capacity runs short. Raises BadRequest."""
    sent = header(http, b"x-tutelage-priority", "normal")
    for priority in PRIORITIES:
        if sent == priority:
            return priority
    raise BadRequest(f"Unknown priority {sent[:32]!r}: {', '.join(PRIORITIES)}", param="x-tutelage-priority")


def teaches(http: Request, request: ChatRequest) -> bool:
    """Whether a student may learn from a request, as far as it says so itself: by `x-tutelage-train`, or by OpenAI's
    `store`, which asks to be kept for distillation. Raises BadRequest."""
    sent = header(http, b"x-tutelage-train", "true").lower()
    if sent not in ("true", "false"):
        raise BadRequest(f"Unknown value {sent[:32]!r}: true, false", param="x-tutelage-train")
    return sent == "true" and request.raw.get("store") is not False


async def body_of(http: Request, gateway: Gateway, *, many: int = 1) -> bytes:
    """A request's body, or that of an order of so many requests."""
    body = await read_body(http, limit=many * gateway.max_body_bytes)
    if many == 1:
        refuse_deep(body)
    return body


def headers_of(ticket: Ticket, verdict: Verdict) -> dict[str, str]:
    """What a reply says of itself: who answered, and why."""
    headers = {
        "x-request-id": ticket.id,
        "x-tutelage-exchange-id": ticket.id,
        "x-tutelage-route": "student" if verdict.accepted else "teacher",
        "x-tutelage-reason": verdict.reason,
    }
    if verdict.score is not None:
        headers["x-tutelage-score"] = f"{verdict.score:.6f}"
    if verdict.release is not None:
        headers["x-tutelage-release"] = verdict.release.name
    return headers


class WholeReply(Response):
    """A reply in one piece. Its headers are in small letters, and none of them says what is said here."""

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Starlette looks for what headers may say already; that takes as long as to decide who answers."""
        told = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
        kind, length = str(self.media_type).encode("latin-1"), str(len(self.body)).encode("latin-1")
        self.raw_headers = [*told, (b"content-type", kind), (b"content-length", length)]


def json_reply(body: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A whole reply."""
    headers = headers or {"x-request-id": new_exchange_id()}
    return WholeReply(orjson.dumps(body), status_code=status, headers=headers, media_type=JSON)


async def within_limits(gateway: Gateway, ticket: Ticket, reply: Callable[[], Awaitable[Response]]) -> Response:
    """Reply, counted in for a key that has limits until the reply, or its stream, has ended."""
    caller = ticket.caller
    if not caller.grant.limited:
        return await reply()
    async with AsyncExitStack() as stack:
        free = await gateway.limits.admit(caller, tokens=ticket.tokens, stream=ticket.request.stream)
        stack.push_async_callback(free)
        response = await reply()
        if isinstance(response, EventStream):
            response.at_end(stack.pop_all().aclose)
        return response
