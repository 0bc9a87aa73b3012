"""The HTTP side of what the teacher's provider answers: admitted, counted and recorded as a chat, and not weighed."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from ledger.records import TeacherReply, Usage
from router.cascade import Verdict
from router.endpoints import body_of, gateway_of, headers_of, json_reply, priority_of, within_limits
from router.errors import GatewayError, SpoolFull, TeacherUnavailable
from router.gateway import Gateway
from router.intake import Attended
from router.passed import Heard, Passed, parse_completion, parse_embedding, read_reply, tally
from router.ports import Caller
from router.relay import EventStream
from router.ticket import CLIENT_LEFT, Outcome, Ticket, failed
from router.wire import event


async def completions(http: Request) -> Response:
    """POST /v1/completions."""
    gateway, caller = gateway_of(http)
    return await pass_on(http, gateway, asked=parse_completion(await body_of(http, gateway)), caller=caller)


async def embeddings(http: Request) -> Response:
    """POST /v1/embeddings."""
    gateway, caller = gateway_of(http)
    return await pass_on(http, gateway, asked=parse_embedding(await body_of(http, gateway)), caller=caller)


async def pass_on(http: Request, gateway: Gateway, *, asked: Passed, caller: Caller) -> Response:
    """Ask the teacher that the model's name means."""
    admitted = gateway.admit(asked.counted, task_header=None, priority=priority_of(http), caller=caller)
    return await within_limits(gateway, admitted, partial(_ask, http, gateway, admitted, asked=asked))


async def _ask(http: Request, gateway: Gateway, admitted: Ticket, *, asked: Passed) -> Response:
    """It is nobody's lesson, so what is recorded belongs to no task; but a task that was named pays for it."""
    ticket, verdict = replace(admitted, task=None), Verdict(asked.path)
    try:
        await gateway.reserve(admitted)
        with Attended(http.receive):
            if asked.counted.stream:
                return await _stream(gateway, ticket, asked)
            return await _whole(gateway, ticket, asked)
    except SpoolFull:
        raise
    except GatewayError as error:
        gateway.record_error(_kept(ticket, asked), verdict, error)
        error.headers |= headers_of(ticket, verdict)
        raise


async def _whole(gateway: Gateway, ticket: Ticket, asked: Passed) -> Response:
    """The provider's body as it came, under the model name the client used."""
    body = await gateway.teacher.call(asked.path, asked.body, teacher=ticket.teacher)
    _record(gateway, ticket, asked, heard=read_reply(asked.path, body), first_byte_s=ticket.elapsed_s)
    ours = {"model": ticket.request.model}
    if asked.path == "completions":
        ours["id"] = f"cmpl-{ticket.id}"
    return json_reply({**body, **ours}, headers=headers_of(ticket, Verdict(asked.path)))


async def _stream(gateway: Gateway, ticket: Ticket, asked: Passed) -> Response:
    """The provider's stream. Its first event is awaited here: what fails before it is a plain HTTP error."""
    events = gateway.teacher.events(asked.path, asked.body, teacher=ticket.teacher)
    first = await anext(events, None)
    if first is None:
        raise TeacherUnavailable(f"The teacher {ticket.teacher!r} sent an empty stream")
    relayed = _relay(gateway, ticket, asked, first=first, rest=events)
    return EventStream(relayed, headers_of(ticket, Verdict(asked.path)))


async def _relay(
    gateway: Gateway, ticket: Ticket, asked: Passed, *, first: dict[str, Any], rest: AsyncGenerator[dict[str, Any]]
) -> AsyncGenerator[bytes, None]:
    """Pass events on; the exchange is recorded before the last byte, however the stream ends."""
    told, first_byte_s, recorded = tally(asked, ticket.id), ticket.elapsed_s, False
    kept, verdict = _kept(ticket, asked), Verdict(asked.path)
    try:
        async with aclosing(rest):
            yield told.take(first)
            async for received in rest:
                yield told.take(received)
        if not told.heard.ended:
            raise TeacherUnavailable(f"The teacher {ticket.teacher!r} broke off its stream")
        recorded = True
        _record(gateway, ticket, asked, heard=told.heard, first_byte_s=first_byte_s)
        yield told.end()
    except GatewayError as error:
        if not recorded:
            recorded = True
            so_far = _so_far(gateway, ticket, told.heard)
            gateway.record_error(kept, verdict, error, first_byte_s=first_byte_s, so_far=so_far)
        yield event(error.body())
    finally:
        if not recorded:
            so_far = _so_far(gateway, ticket, told.heard)
            left = failed(ticket, status=CLIENT_LEFT, why="client left", first_byte_s=first_byte_s, so_far=so_far)
            gateway.record_failure(kept, verdict, left)


def _so_far(gateway: Gateway, ticket: Ticket, heard: Heard) -> tuple[Usage, float]:
    usage = heard.usage if heard.usage.prompt_tokens else None
    return gateway.so_far(ticket, usage=usage, characters=len(heard.text or ""))


def _record(gateway: Gateway, ticket: Ticket, asked: Passed, *, heard: Heard, first_byte_s: float) -> None:
    reply = TeacherReply(
        teacher=ticket.teacher,
        text=heard.text,
        finish_reason=heard.finish_reason,
        usage=heard.usage,
        cost_usd=gateway.teacher.paid(ticket.teacher, heard.usage),
        latency_s=ticket.elapsed_s,
    )
    gateway.record(_kept(ticket, asked), Verdict(asked.path), Outcome(200, heard.text, reply, first_byte_s))


def _kept(ticket: Ticket, asked: Passed) -> Ticket:
    return replace(ticket, request=asked.kept)
