"""The HTTP side: authenticate, parse, decide, reply. One request flows through one page, downwards."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

from msgspec.structs import replace
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from router import wire
from router.answers import answer_many, parse_answers
from router.cascade import Verdict, decide
from router.drafts import draft_many, parse_drafts
from router.endpoints import (
    WholeReply,
    body_of,
    gateway_of,
    headers_of,
    json_reply,
    priority_of,
    teaches,
    within_limits,
)
from router.errors import (
    AnswerBrokeOff,
    ClientLeft,
    GatewayError,
    SpoolFull,
    StudentUnavailable,
    TeacherUnavailable,
    UnknownModel,
)
from router.gateway import Gateway, new_exchange_id
from router.intake import Attended, header
from router.keyring import check_task
from router.logprobs import ShownDraft
from router.ports import Caller, Ongoing, ServedRelease
from router.relay import EVENTS, EventStream, StreamTally
from router.ticket import CLIENT_LEFT, Outcome, Ticket, failed

ORDERED = 64  # an order of ours holds many requests
SCRAPE_S = 10.0  # Prometheus' own default


async def chat_completions(http: Request) -> Response:
    """POST /v1/chat/completions."""
    gateway, caller = gateway_of(http)
    return await answer(http, gateway, request=wire.parse_chat(await body_of(http, gateway)), caller=caller)


async def answer(http: Request, gateway: Gateway, *, request: wire.ChatRequest, caller: Caller) -> Response:
    """From a request to its reply, in the shape of chat completions."""
    task_header = header(http, b"x-tutelage-task") or None
    ticket = gateway.admit(
        request,
        task_header=task_header,
        priority=priority_of(http),
        caller=caller,
        teaches=teaches(http, request),
    )
    return await within_limits(gateway, ticket, partial(_answer, http, gateway, ticket))


async def _answer(http: Request, gateway: Gateway, ticket: Ticket) -> Response:
    """Who answers is decided here."""
    request = ticket.request
    verdict = await _weigh(http, gateway, ticket)
    if verdict.ongoing is not None:
        return EventStream(
            _student_stream(gateway, ticket, verdict, ongoing=verdict.ongoing), headers_of(ticket, verdict)
        )
    if verdict.accepted:
        return _student_reply(gateway, ticket, verdict)
    wanted_anyway = ticket.is_reference(verdict) and not request.stream
    try:
        await gateway.reserve(ticket)  # not cancelled half-way: what was promised is settled
        with Attended(http.receive, anyway=wanted_anyway):
            if request.stream:
                return await _teacher_stream(gateway, ticket, verdict)
            return await _teacher_reply(gateway, ticket, verdict)
    except SpoolFull:
        raise
    except GatewayError as error:
        gateway.record_error(ticket, verdict, error)
        error.headers |= headers_of(ticket, verdict)
        raise


async def _weigh(http: Request, gateway: Gateway, ticket: Ticket) -> Verdict:
    """What the cascade says. Raises ClientLeft; but a reference is weighed to its end, since whether somebody waits for
    it may depend on how hard it is."""
    release = _release(http, gateway, ticket)
    try:
        with Attended(http.receive, anyway=ticket.may_be_reference):
            return await decide(ticket.request, ticket.task, release=release, student=gateway.student, now=time.time())
    except ClientLeft:
        gateway.record_failure(ticket, Verdict("client_left", release), Outcome(CLIENT_LEFT))
        raise


def _release(http: Request, gateway: Gateway, ticket: Ticket) -> ServedRelease | None:
    """A conversation stays with the release that it was drawn for, the canary or the champion."""
    if ticket.task is None:
        return None
    canary = gateway.releases.canary(ticket.task.name)
    if canary is not None:
        named = header(http, b"x-tutelage-conversation")
        if canary.takes(f"named {named}" if named else ticket.request.conversation):
            return canary.release
    return gateway.releases.champion(ticket.task.name)


def _student_reply(gateway: Gateway, ticket: Ticket, verdict: Verdict) -> Response:
    """The draft is the answer: recorded, then sent whole or as a stream."""
    draft, request = verdict.draft, ticket.request
    assert draft is not None, "an accepted verdict carries its draft"
    gateway.record(ticket, verdict, Outcome(200, answer=draft.text, first_byte_s=ticket.elapsed_s))
    if ticket.is_reference(verdict):
        gateway.label_in_background(ticket)
    logprobs = draft.logprobs if isinstance(draft, ShownDraft) else None
    answer = wire.Reply(ticket.head(), draft.text, draft.finish_reason, draft.usage, logprobs)
    if not request.stream:
        return json_reply(wire.completion(answer), headers=headers_of(ticket, verdict))
    chunks = wire.completion_chunks(answer, include_usage=request.include_usage)
    events = b"".join(map(wire.event, chunks)) + wire.DONE
    return WholeReply(events, headers=headers_of(ticket, verdict), media_type=EVENTS)


async def _student_stream(
    gateway: Gateway, ticket: Ticket, verdict: Verdict, *, ongoing: Ongoing
) -> AsyncGenerator[bytes, None]:
    """What was held, then the rest as it comes; the exchange is recorded before the last byte, however it ends."""
    head, first_byte_s, status = ticket.head(), ticket.elapsed_s, CLIENT_LEFT
    try:
        yield wire.event(wire.opening_chunk(head)) + wire.event(wire.text_chunk(head, ongoing.draft.text))
        async with aclosing(ongoing.pieces()) as pieces:
            async for piece in pieces:
                yield wire.event(wire.text_chunk(head, piece))
        draft, status = ongoing.draft, 200
        gateway.record(ticket, replace(verdict, draft=draft), Outcome(200, draft.text, first_byte_s=first_byte_s))
        answer = wire.Reply(head, draft.text, draft.finish_reason, draft.usage)
        closing = wire.closing_chunks(answer, include_usage=ticket.request.include_usage)
        yield b"".join(map(wire.event, closing)) + wire.DONE
    except StudentUnavailable:
        broken = AnswerBrokeOff("The answer broke off. Please ask again.")
        status = broken.status
        yield wire.event(broken.body())
    except SpoolFull as error:
        yield wire.event(error.body())
    finally:
        if status == CLIENT_LEFT and ticket.is_reference(verdict):
            gateway.finish_in_background(ticket, verdict, ongoing, status=status)
        else:
            await ongoing.close()
            if status != 200:
                gateway.record_failure(ticket, replace(verdict, draft=ongoing.draft), Outcome(status))
            if ticket.is_reference(verdict):
                gateway.label_in_background(ticket)


async def _teacher_reply(gateway: Gateway, ticket: Ticket, verdict: Verdict) -> Response:
    """The teacher's body as it came, under our id and the model name the client used."""
    completion = await gateway.teacher.complete(ticket.request, teacher=ticket.teacher, top=_top(ticket, verdict))
    reply = completion.reply
    gateway.record(ticket, verdict, Outcome(200, reply.text, reply, first_byte_s=ticket.elapsed_s))
    head = ticket.head()
    return json_reply({**completion.body, "id": head.id, "model": head.model}, headers=headers_of(ticket, verdict))


def _top(ticket: Ticket, verdict: Verdict) -> int:
    """How many alternatives of each token are recorded."""
    return ticket.alternatives if verdict.eligible else 0


async def _teacher_stream(gateway: Gateway, ticket: Ticket, verdict: Verdict) -> Response:
    """The teacher's stream. Its first chunk is awaited here: what fails before it is a plain HTTP error."""
    chunks = gateway.teacher.stream(ticket.request, teacher=ticket.teacher, top=_top(ticket, verdict))
    first = await anext(chunks, None)
    if first is None:
        raise TeacherUnavailable(f"The teacher {ticket.teacher!r} sent an empty stream")
    events = _relay(gateway, ticket, verdict, first=first, rest=chunks)
    return EventStream(events, headers_of(ticket, verdict))


async def _relay(
    gateway: Gateway,
    ticket: Ticket,
    verdict: Verdict,
    *,
    first: list[dict[str, Any]],
    rest: AsyncGenerator[list[dict[str, Any]]],
) -> AsyncGenerator[bytes, None]:
    """Pass chunks on; the exchange is recorded before the last byte, however the stream ends."""
    request, top = ticket.request, _top(ticket, verdict)
    tally = StreamTally(ticket.head(), include_usage=request.include_usage, top=top, asked=request.top_logprobs)
    first_byte_s, recorded = ticket.elapsed_s, False
    try:
        async with aclosing(rest):
            if sent := tally.take(first):
                yield sent
            async for received in rest:
                if sent := tally.take(received):
                    yield sent
        reply = gateway.teacher.reply(ticket.teacher, tally.body(), latency_s=ticket.elapsed_s)
        reply, recorded = replace(reply, logprobs=tally.logprobs), True
        gateway.record(ticket, verdict, Outcome(200, reply.text, reply, first_byte_s))
        yield tally.end()
    except GatewayError as error:
        if not recorded:
            recorded = True
            so_far = gateway.so_far(ticket, usage=tally.usage, characters=tally.characters)
            gateway.record_error(ticket, verdict, error, first_byte_s=first_byte_s, so_far=so_far)
        yield wire.event(error.body())
    finally:
        if not recorded:
            so_far = gateway.so_far(ticket, usage=tally.usage, characters=tally.characters)
            left = failed(ticket, status=CLIENT_LEFT, why="client left", first_byte_s=first_byte_s, so_far=so_far)
            gateway.record_failure(ticket, verdict, left)


async def internal_drafts(http: Request) -> Response:
    """POST /internal/drafts: the same drafting and evidence as live traffic, for evaluation and certification."""
    gateway, caller = gateway_of(http)
    order = parse_drafts(await body_of(http, gateway, many=ORDERED), gateway.matching.tasks)
    check_task(caller, order.task.name, model=order.task.name)
    return json_reply({"release": order.release, "drafts": await draft_many(order, gateway.examinee)})


async def internal_answers(http: Request) -> Response:
    """POST /internal/answers: what a task's teacher, or another one, says, asked on our own account."""
    gateway, caller = gateway_of(http)
    body = await body_of(http, gateway, many=ORDERED)
    order = parse_answers(body, gateway.matching.tasks, teachers=gateway.matching.teachers)
    return json_reply({"answers": await answer_many(order, gateway, caller=caller)})


async def models(http: Request) -> Response:
    """GET /v1/models: tasks and their aliases, then teachers; of a key of some tasks, these."""
    return json_reply(wire.models(_models(*gateway_of(http))))


async def model(http: Request) -> Response:
    """GET /v1/models/{id}: one of them. Raises UnknownModel."""
    name = http.path_params["name"]
    found = [entry for entry in _models(*gateway_of(http)) if entry["id"] == name]
    if not found:
        raise UnknownModel(f"The model '{name[:256]}' does not exist or you do not have access to it.", param="model")
    return json_reply(found[0])


def _models(gateway: Gateway, caller: Caller) -> list[dict[str, Any]]:
    meant = {**gateway.matching.names(), **{task: task for task in gateway.matching.tasks}}
    tasks = [wire.model(name, owner="tutelage") for name in sorted(meant) if caller.may_ask(meant[name])]
    teachers = sorted(gateway.matching.teachers) if caller.may_ask(None) else []
    return [*tasks, *(wire.model(name, owner="teacher") for name in teachers)]


async def health(_: Request) -> Response:
    """GET /health: the process is alive."""
    return json_reply({"status": "ok"})


async def ready(http: Request) -> Response:
    """GET /ready: 200 when a request could be answered and recorded; else 503 and what is missing."""
    gateway: Gateway = http.app.state.gateway
    missing = [
        f"price of teacher {name}" for name in sorted(gateway.matching.teachers) if not gateway.teacher.priced(name)
    ]
    if not gateway.spool.available:
        missing.append("spool")
    return json_reply({"ready": not missing, "missing": missing}, status=503 if missing else 200)


async def metrics(http: Request) -> Response:
    """GET /metrics in Prometheus' text format."""
    gateway, _ = gateway_of(http)
    releases, tasks = gateway.releases, gateway.matching.tasks
    champions = {task: releases.champion(task) for task in tasks}
    in_force = {task: each.name for task, each in champions.items() if each and each.holds(time.time())}
    on_trial = {task: canary.release.name for task in tasks if (canary := releases.canary(task))}
    balances = gateway.budgets.balances(gateway.keyring.budgets(now=time.time()))
    page = partial(
        gateway.metrics.exposition,
        releases=in_force,
        on_trial=on_trial,
        seen=await releases.seen(within_s=_patience_s(http)),
        balances=balances,
        backlog=await releases.backlog(),
    )
    text = await asyncio.to_thread(page)  # of many tasks it takes a tenth of a second, and requests go on
    return Response(text, headers={"x-request-id": new_exchange_id()}, media_type=CONTENT_TYPE_LATEST)


def _patience_s(http: Request) -> float:
    """With the ledger: half of what a scrape may take, as Prometheus says it. One that hangs is told of by its own
    metric then, and does not look like a gateway that is down."""
    said = header(http, b"x-prometheus-scrape-timeout-seconds")
    return (float(said) if re.fullmatch(r"\d{1,4}(\.\d{1,9})?", said) else SCRAPE_S) / 2
