"""The HTTP side through the official client and raw: both routes, streamed and not, and everything that goes wrong."""

import asyncio
import json
from copy import deepcopy
from dataclasses import replace

import httpx
import msgspec
import openai
import pytest
from starlette.requests import ClientDisconnect

from ledger.records import Exchange, Label, Usage
from router.api import _student_stream
from router.app import create_app
from router.cascade import Verdict
from router.errors import InsufficientQuota, TeacherResting, TeacherUnavailable, UpstreamRefused
from router.keyring import ANYBODY, Keyring
from router.ports import Canary, Shortage
from router.relay import EventStream
from router.wire import Head, completion, completion_chunks, parse_chat
from router.wire import Reply as Told
from tests.fakes import (
    RELEASE,
    TASK,
    UNSURE,
    FakeBudgets,
    FakeCapacity,
    FakeOngoing,
    FakeReleases,
    FakeStudent,
    FakeTeacher,
    MemorySpool,
    draft,
    gateway,
)
from tests.wire.reading import Reply, check_error

MESSAGES = [{"role": "system", "content": "Name the topic."}, {"role": "user", "content": "my money back, please"}]
BODY = {"model": "desk", "messages": MESSAGES}
SHORT = Shortage("teachers.big.capacity_rpm", 7)
MESSAGE_TOKENS = sum(len(message["content"]) for message in MESSAGES) // 4


def http(parts) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(parts), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


def client(parts) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url="http://gateway/v1", api_key="k", max_retries=0, http_client=http(parts))


def unsure() -> FakeStudent:
    return FakeStudent(draft("wrong", evidence=UNSURE))


@pytest.mark.parametrize(
    "student, route, text", [(FakeStudent(), "student", "refund"), (unsure(), "teacher", "delivery")]
)
async def test_both_routes_answer_the_official_client(student, route, text):
    parts = gateway(student=student)
    raw = await client(parts).chat.completions.with_raw_response.create(**BODY)
    answer = raw.parse()
    assert raw.headers["x-tutelage-route"] == route
    assert answer.choices[0].message.content == text
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "desk"
    assert answer.id == f"chatcmpl-{raw.headers['x-tutelage-exchange-id']}"
    assert (
        answer.usage is not None
        and answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    )
    (exchange,) = parts.spool.records
    assert (exchange.route, exchange.answer, exchange.status) == (route, text, 200)


@pytest.mark.parametrize(
    "student, route, text", [(FakeStudent(), "student", "refund"), (unsure(), "teacher", "delivery")]
)
@pytest.mark.parametrize("include_usage", [True, False])
async def test_both_routes_stream_one_reply(student, route, *, text, include_usage):
    parts = gateway(student=student)
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    raw = await client(parts).chat.completions.with_raw_response.create(**BODY, stream=True, **options)
    chunks = [chunk async for chunk in raw.parse()]
    assert raw.headers["x-tutelage-route"] == route
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert len({c.id for c in chunks}) == 1 and chunks[0].id == f"chatcmpl-{raw.headers['x-tutelage-exchange-id']}"
    assert {c.model for c in chunks} == {"desk"}
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert sum(c.usage is not None for c in chunks) == include_usage
    (exchange,) = parts.spool.records
    assert (exchange.answer, exchange.stream) == (text, True)


async def test_a_stream_ends_with_done_and_holds_no_byte_of_a_rejected_draft():
    async with http(gateway(student=unsure())) as session:
        response = await session.post("/v1/chat/completions", json={**BODY, "stream": True})
    assert response.text.endswith("data: [DONE]\n\n")
    assert "wrong" not in response.text
    assert "upstream" not in response.text


async def test_the_exchange_is_recorded_whole():
    parts = gateway(student=unsure(), tasks={"desk": replace(TASK, rho=1.0)})
    await client(parts).chat.completions.create(**BODY, user="u")
    (exchange,) = parts.spool.records
    assert isinstance(exchange, Exchange)
    assert exchange.messages == MESSAGES and exchange.params == {"user": "u"}
    assert exchange.draft.text == "wrong" and exchange.score < exchange.threshold
    assert exchange.teacher_reply.text == "delivery" and exchange.teacher_reply.cost_usd == 0.01
    assert (exchange.reason, exchange.reference, exchange.rho, exchange.release) == ("unsure", True, 1.0, RELEASE.name)


def thinking(text):
    """A teacher that says what it thought, streamed or not."""
    head = Head("upstream", 1, "upstream-model")
    whole = completion(Told(head, "delivery", "stop", Usage(20, 2)))
    whole["choices"][0]["message"]["reasoning_content"] = text
    opened, *rest = completion_chunks(Told(head, "delivery", "stop", Usage(20, 2)), include_usage=True)
    pieces = [deepcopy(opened) for _ in text]
    for piece, letter in zip(pieces, text, strict=True):
        piece["choices"][0]["delta"] = {"reasoning_content": letter}
    return FakeTeacher(body=whole, chunks=[opened, *pieces, *rest])


@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_teacher_thought_is_recorded_with_its_answer_and_passed_on(stream):
    parts = gateway(student=unsure(), teacher=thinking("a parcel"))
    async with http(parts) as session:
        told = (await session.post("/v1/chat/completions", json={**BODY, "stream": stream})).text
    (exchange,) = parts.spool.records
    assert (exchange.answer, exchange.teacher_reply.rationale) == ("delivery", "a parcel")
    assert told.count("reasoning_content") == (len("a parcel") if stream else 1)


async def test_what_the_teacher_thought_of_a_reference_is_recorded_with_the_label():
    parts = gateway(tasks={"desk": replace(TASK, rho=1.0)}, teacher=thinking("a parcel"))
    async with http(parts) as session:
        assert "parcel" not in (await session.post("/v1/chat/completions", json=BODY)).text
    await parts.drain(timeout_s=5)
    exchange, label = parts.spool.records
    assert (exchange.route, label.reply.rationale) == ("student", "a parcel")


async def test_a_reference_answered_by_the_student_is_labelled_in_the_background():
    parts = gateway(tasks={"desk": replace(TASK, rho=1.0)})
    await client(parts).chat.completions.create(**BODY)
    await parts.drain(timeout_s=5)
    exchange, label = parts.spool.records
    assert exchange.route == "student" and exchange.reference
    assert isinstance(label, Label) and label.exchange_id == exchange.id and label.reply.text == "delivery"


async def test_a_label_that_cannot_be_had_is_recorded_as_lost():
    parts = gateway(tasks={"desk": replace(TASK, rho=1.0)}, teacher=FakeTeacher(error=TeacherUnavailable("down")))
    await client(parts).chat.completions.create(**BODY)
    await parts.drain(timeout_s=5)
    label = parts.spool.records[1]
    assert label.reply.text is None and label.reply.error == "TeacherUnavailable"


async def test_ineligible_requests_are_never_references():
    parts = gateway(tasks={"desk": replace(TASK, rho=1.0)})
    await client(parts).chat.completions.create(**BODY, temperature=1)
    (exchange,) = parts.spool.records
    assert not exchange.eligible and not exchange.reference


@pytest.mark.parametrize("release", [None, replace(RELEASE, expires_at=0.0)])
async def test_while_no_student_may_be_asked_every_request_is_a_reference(release):
    parts = gateway(releases=FakeReleases(release), tasks={"desk": replace(TASK, rho=0.01)})
    for _ in range(5):
        await client(parts).chat.completions.create(**BODY)
    assert [(exchange.reference, exchange.rho) for exchange in parts.spool.records] == [(True, 1.0)] * 5


@pytest.mark.parametrize("rho", [0.0, 1.0])
async def test_but_of_those_that_the_teacher_had_no_room_for_only_a_share_rho_that_is_labelled_later(rho):
    tasks = {"desk": replace(TASK, rho=rho)}
    parts = gateway(releases=FakeReleases(None), capacity=FakeCapacity([SHORT]), tasks=tasks)
    async with http(parts) as session:
        assert (await session.post("/v1/chat/completions", json=BODY)).status_code == 429
    await parts.drain(timeout_s=5)
    exchange, *labels = parts.spool.records
    assert (exchange.status, exchange.eligible, exchange.reference, exchange.rho) == (429, True, rho == 1.0, rho)
    assert [label.reply.text for label in labels] == ["delivery"] * round(rho)


CANARY = replace(RELEASE, name="desk--v000002")


@pytest.mark.parametrize("champion", [RELEASE, None])
async def test_a_conversation_stays_with_the_release_that_it_was_drawn_for(champion):
    spool, student = MemorySpool(), FakeStudent()
    releases = FakeReleases(champion, on_trial=Canary(CANARY, 0.3, b"k"))
    parts = gateway(releases=releases, spool=spool, student=student)
    expected = champion.name if champion else None
    seen = set()
    for number in range(40):
        first = {"role": "user", "content": f"question {number}"}
        later = [first, {"role": "assistant", "content": "which?"}, {"role": "user", "content": "that one"}]
        answered = [
            await http(parts).post("/v1/chat/completions", json={**BODY, "messages": messages})
            for messages in ([MESSAGES[0], first], [MESSAGES[0], *later])
        ]
        names = {reply.headers.get("x-tutelage-release") for reply in answered}
        assert len(names) == 1 and {reply.status_code for reply in answered} == {200}
        seen |= names
    assert seen == {CANARY.name, expected}
    recorded = {exchange.release for exchange in spool.records if isinstance(exchange, Exchange)}
    assert recorded == {CANARY.name, expected}


async def test_what_a_client_calls_a_conversation_is_one():
    parts = gateway(releases=FakeReleases(on_trial=Canary(CANARY, 0.3, b"k")))
    for name in ("one", "two", "three"):
        answered = [
            await http(parts).post(
                "/v1/chat/completions",
                json={**BODY, "messages": [MESSAGES[0], {"role": "user", "content": f"question {number}"}]},
                headers={"x-tutelage-conversation": name},
            )
            for number in range(20)
        ]
        assert len({reply.headers["x-tutelage-release"] for reply in answered}) == 1


async def test_what_a_canary_cannot_answer_is_the_teachers():
    student = FakeStudent(answer=None)
    parts = gateway(releases=FakeReleases(on_trial=Canary(CANARY, 1.0, b"k")), student=student)
    reply = await http(parts).post("/v1/chat/completions", json=BODY)
    assert (reply.status_code, reply.headers["x-tutelage-reason"]) == (200, "student_unavailable")
    assert reply.headers["x-tutelage-release"] == CANARY.name


async def test_a_client_that_changed_only_its_base_url_is_recognised():
    async with http(gateway()) as session:
        by_prompt = await session.post("/v1/chat/completions", json={**BODY, "model": "big"})
        other_prompt = await session.post("/v1/chat/completions", json={"model": "big", "messages": MESSAGES[1:]})
        by_header = await session.post(
            "/v1/chat/completions",
            json={"model": "big", "messages": MESSAGES[1:]},
            headers={"x-tutelage-task": "desk"},
        )
    assert by_prompt.headers["x-tutelage-route"] == "student"
    assert (other_prompt.headers["x-tutelage-route"], other_prompt.headers["x-tutelage-reason"]) == (
        "teacher",
        "no_task",
    )
    assert by_header.headers["x-tutelage-route"] == "student"


@pytest.mark.parametrize(
    ("content", "status", "param"),
    [
        (b"{", 400, None),
        (b"[]", 400, None),
        (b"\xff\xfe", 400, None),
        (b"{}", 400, "model"),
        (b'{"model": "desk"}', 400, "messages"),
        (b'{"model": "desk", "messages": []}', 400, "messages"),
        (b'{"model": "desk", "messages": [{"role": "user", "content": 3}]}', 400, "messages[0].content"),
        (b'{"model": "desk", "messages": [{"role": "king", "content": "x"}]}', 400, "messages[0].role"),
        (b'{"model": 3, "messages": [{"role": "user", "content": "x"}]}', 400, "model"),
        (
            b'{"model": "desk", "messages": [{"role": "user", "content": "x"}], "temperature": "hot"}',
            400,
            "temperature",
        ),
        (b'{"model": "desk", "messages": [{"role": "user", "content": "x"}], "temperature": 9}', 400, "temperature"),
        (b'{"model": "desk", "messages": [{"role": "user", "content": "x"}], "max_tokens": 0}', 400, "max_tokens"),
        (b'{"model": "nobody", "messages": [{"role": "user", "content": "x"}]}', 404, "model"),
        (b'{"model": "' + b"x" * 5000 + b'"}', 413, None),
    ],
)
async def test_bad_requests_get_a_clear_error_and_change_nothing(content, status, param):
    parts = gateway()
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", content=content)
        error = response.json()["error"]
        assert (response.status_code, error["param"]) == (status, param)
        assert error["message"] and set(error) == {"message", "type", "param", "code"}
        assert parts.spool.records == [] and parts.student.asked == [] and parts.teacher.asked == []
        assert (await session.post("/v1/chat/completions", json=BODY)).status_code == 200


async def test_an_endless_body_is_refused_before_it_is_read():
    sent = []

    async def body():
        for _ in range(1000):
            sent.append(1024)
            yield b" " * 1024

    async with http(gateway()) as session:
        response = await session.post("/v1/chat/completions", content=body())
    assert response.status_code == 413


async def test_an_unknown_url_and_a_wrong_method_are_told_in_openais_shape():
    async with http(gateway()) as session:
        missing, wrong = await session.get("/v1/nothing"), await session.get("/v1/chat/completions")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.json()["error"]["type"] == wrong.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TeacherUnavailable("down"), 502),
        (TeacherUnavailable("slow", status=504), 504),
        (UpstreamRefused("too long", status=400, code="context_length_exceeded"), 400),
        (UpstreamRefused("slow down", status=429, code=None, headers={"retry-after": "7"}), 429),
    ],
)
async def test_a_failing_teacher_is_a_plain_error_and_is_recorded(error, status, stream):
    parts = gateway(releases=FakeReleases(None), teacher=FakeTeacher(error=error))
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", json={**BODY, "stream": stream})
    assert response.status_code == status
    assert response.json()["error"]["message"] == error.message
    assert response.headers.get("retry-after") == error.headers.get("retry-after")
    (exchange,) = parts.spool.records
    assert (exchange.route, exchange.status, exchange.teacher_reply.text) == ("none", status, None)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["desk", "big"])
async def test_past_the_teachers_capacity_is_a_429_that_names_the_setting(model, stream):
    parts = gateway(releases=FakeReleases(None), capacity=FakeCapacity([SHORT]))
    body = {"model": model, "messages": MESSAGES if model == "desk" else MESSAGES[1:], "stream": stream}
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", json=body, headers={"x-tutelage-priority": "low"})
        counted = (await session.get("/metrics")).text
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert "teachers.big.capacity_rpm" in error["message"] and response.headers["retry-after"] == "7"
    assert response.headers["x-tutelage-route"] == "teacher" and response.headers["x-tutelage-exchange-id"]
    (exchange,) = parts.spool.records
    assert (exchange.route, exchange.status, exchange.teacher_reply.error) == ("none", 429, "CapacityExceeded")
    assert parts.teacher.asked == []
    assert 'tutelage_refused_total{priority="low",teacher="big"} 1.0' in counted


async def test_the_official_client_sees_a_rate_limit():
    parts = gateway(releases=FakeReleases(None), capacity=FakeCapacity([SHORT]))
    with pytest.raises(openai.RateLimitError) as caught:
        await client(parts).chat.completions.create(**BODY)
    assert caught.value.code == "rate_limit_exceeded"


@pytest.mark.parametrize("student", [FakeStudent(), unsure()])
async def test_only_what_the_teacher_is_asked_counts_towards_its_capacity(student):
    parts = gateway(student=student)
    async with http(parts) as session:
        await session.post("/v1/chat/completions", json=BODY)
    asked = [] if student.answer.text == "refund" else [("big", MESSAGE_TOKENS + TASK.max_tokens, "normal")]
    assert parts.capacity.asked == asked


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({**BODY, "max_tokens": 5}, MESSAGE_TOKENS + 5),
        ({"model": "big", "messages": [{"role": "user", "content": ""}]}, 1 + 256),
        (
            {
                "model": "big",
                "max_completion_tokens": 9,
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "x" * 40}, {"type": "image_url"}]},
                    {"role": "assistant", "content": None, "tool_calls": []},
                ],
            },
            10 + 9,
        ),
    ],
)
@pytest.mark.parametrize("priority", ["high", "normal", "low"])
async def test_tokens_are_estimated_and_the_priority_is_heeded(body, tokens, priority):
    parts = gateway(releases=FakeReleases(None))
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", json=body, headers={"x-tutelage-priority": priority})
    assert response.status_code == 200
    assert parts.capacity.asked == [("big", tokens, priority)]


@pytest.mark.parametrize("priority", ["urgent", "High", ""])
async def test_an_unknown_priority_is_refused_by_name(priority):
    parts = gateway()
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", json=BODY, headers={"x-tutelage-priority": priority})
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "x-tutelage-priority")
    assert repr(priority) in error["message"] and "high, normal, low" in error["message"]
    assert parts.spool.records == [] and parts.student.asked == []


async def test_a_label_waits_for_room_with_the_highest_priority():
    short = FakeCapacity([replace(SHORT, retry_after_s=0)] * 3)
    parts = gateway(tasks={"desk": replace(TASK, rho=1.0)}, capacity=short)
    async with http(parts) as session:
        await session.post("/v1/chat/completions", json=BODY, headers={"x-tutelage-priority": "low"})
    await parts.drain(timeout_s=5)
    assert [priority for _, _, priority in short.asked] == ["high"] * 4
    assert parts.spool.records[1].reply.text == "delivery"


async def test_a_label_without_room_for_too_long_is_lost(monkeypatch):
    monkeypatch.setattr("router.gateway.LABEL_WAIT_S", 0.05)
    parts = gateway(tasks={"desk": replace(TASK, rho=1.0)}, capacity=FakeCapacity([SHORT]))
    await client(parts).chat.completions.create(**BODY)
    await parts.drain(timeout_s=5)
    assert parts.spool.records[1].reply.error == "CapacityExceeded"
    assert parts.teacher.asked == []


async def test_a_refused_reference_gets_its_label_all_the_same():
    parts = gateway(student=unsure(), tasks={"desk": replace(TASK, rho=1.0)}, capacity=FakeCapacity([SHORT]))
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", json=BODY)
    await parts.drain(timeout_s=5)
    exchange, label = parts.spool.records
    assert (response.status_code, exchange.status, exchange.teacher_reply) == (429, 429, None)
    assert (label.exchange_id, label.reply.text) == (exchange.id, "delivery")


class ThrottledTeacher(FakeTeacher):
    """Its provider refuses the first requests."""

    refusals = 2

    async def complete(self, request, *, teacher, top=0):
        if self.refusals:
            self.refusals -= 1
            raise UpstreamRefused("slow down", status=429, code=None, headers={"retry-after": "0"})
        return await super().complete(request, teacher=teacher)


async def test_a_label_that_the_provider_has_no_room_for_is_asked_for_again(monkeypatch):
    monkeypatch.setattr("router.gateway.SHORTEST_WAIT_S", 0.01)
    parts = gateway(student=unsure(), tasks={"desk": replace(TASK, rho=1.0)}, teacher=ThrottledTeacher())
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", json=BODY)
    await parts.drain(timeout_s=5)
    exchange, label = parts.spool.records
    assert (response.status_code, exchange.teacher_reply, label.reply.text) == (429, None, "delivery")


class RestingTeacher(FakeTeacher):
    """Its last calls have failed; a moment later it is well."""

    async def complete(self, request, *, teacher, top=0):
        if not self.asked:
            self.asked.append(request)
            raise TeacherResting("left alone for a moment", retry_after_s=0)
        return await super().complete(request, teacher=teacher)


async def test_a_label_waits_for_a_teacher_that_is_left_alone(monkeypatch):
    monkeypatch.setattr("router.gateway.SHORTEST_WAIT_S", 0.01)
    parts = gateway(tasks={"desk": replace(TASK, rho=1.0)}, teacher=RestingTeacher())
    await client(parts).chat.completions.create(**BODY)
    await parts.drain(timeout_s=5)
    assert parts.spool.records[1].reply.text == "delivery"


class SlowStudent(FakeStudent):
    """Takes its time."""

    async def draft(self, request, *, model, max_tokens, prefix=None):
        await asyncio.sleep(0.3)
        return await super().draft(request, model=model, max_tokens=max_tokens, prefix=prefix)


@pytest.mark.parametrize(("rho", "status", "reason"), [(0.0, 499, "client_left"), (1.0, 200, "accepted")])
async def test_a_client_that_leaves_cancels_its_draft_unless_it_is_a_reference(rho, status, *, reason):
    parts = gateway(student=SlowStudent(), tasks={"desk": replace(TASK, rho=rho)})
    said = [{"type": "http.request", "body": httpx.Request("POST", "http://g", json=BODY).content}]

    async def receive():
        return said.pop() if said else {"type": "http.disconnect"}

    async def send(_):
        pass

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "query_string": b""}
    await create_app(parts)({**scope, "http_version": "1.1", "scheme": "http", "server": ("g", 80)}, receive, send)
    await parts.drain(timeout_s=5)
    exchange = parts.spool.records[0]
    assert (exchange.status, exchange.reason, exchange.reference) == (status, reason, rho == 1.0)


async def test_a_defect_of_ours_is_a_500_without_detail():
    class Broken(FakeStudent):
        async def draft(self, *_, **__):
            raise RuntimeError("my money back")

    async with http(gateway(student=Broken())) as session:
        response = await session.post("/v1/chat/completions", json=BODY)
    check_error(
        Reply(response.status_code, dict(response.headers), response.content), status=500, code="internal_error"
    )
    assert "money" not in response.text


async def test_a_teacher_that_breaks_off_mid_stream_ends_in_an_error_event():
    teacher = FakeTeacher(error=TeacherUnavailable("broke off"), breaks_off=True)
    parts = gateway(student=unsure(), teacher=teacher)
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", json={**BODY, "stream": True})
    assert '"error"' in response.text.strip().splitlines()[-1]
    assert "[DONE]" not in response.text
    (exchange,) = parts.spool.records
    assert (exchange.status, exchange.teacher_reply.text) == (502, None)
    assert exchange.teacher_reply.usage.completion_tokens == len("delivery") // 4  # and it is paid for
    assert exchange.teacher_reply.cost_usd == teacher.paid("big", exchange.teacher_reply.usage) > 0


async def test_a_client_that_leaves_mid_stream_closes_the_upstream_and_is_recorded():
    parts = gateway(student=unsure())
    app = create_app(parts)
    sent = []

    async def receive():
        if not sent:
            return {
                "type": "http.request",
                "body": httpx.Request("POST", "http://g", json={**BODY, "stream": True}).content,
            }
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if message["type"] == "http.response.body":
            raise OSError("the client has left")

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}, "method": "POST", "path": "/v1/chat/completions"}
    scope |= {"headers": [], "query_string": b"", "http_version": "1.1", "scheme": "http", "server": ("g", 80)}
    with pytest.raises(Exception):  # noqa: B017  what Starlette calls a lost client is its own matter
        await app(scope, receive, send)
    (exchange,) = parts.spool.records
    assert (exchange.status, exchange.teacher_reply.error) == (499, "client left")
    assert exchange.teacher_reply.usage.prompt_tokens > 0 and exchange.teacher_reply.cost_usd > 0
    assert parts.teacher.closed == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_cannot_be_recorded_is_withheld(stream):
    parts = gateway(spool=MemorySpool(full=True))
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", json={**BODY, "stream": stream})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "spool_unavailable")
    assert "refund" not in response.text


async def test_while_the_spool_fails_nobody_is_asked():
    parts = gateway(spool=MemorySpool(available=False))
    async with http(parts) as session:
        assert (await session.post("/v1/chat/completions", json=BODY)).status_code == 503
        assert (await session.get("/ready")).json() == {"ready": False, "missing": ["spool"]}
        assert (await session.get("/health")).status_code == 200
    assert parts.student.asked == [] and parts.teacher.asked == []


async def test_a_key_is_asked_for_where_one_is_set():
    parts = gateway(keyring=Keyring("secret"))
    async with http(parts) as session:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer s\xe9cret".encode("latin-1")}):
            for path in ("/v1/chat/completions", "/internal/drafts"):
                response = await session.post(path, json=BODY, headers=headers)
                assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
        response = await session.post("/v1/chat/completions", json=BODY, headers={"authorization": "Bearer secret"})
        assert response.status_code == 200


async def test_ready_names_the_teacher_without_a_price():
    async with http(gateway(teacher=FakeTeacher(known_price=False))) as session:
        response = await session.get("/ready")
    assert (response.status_code, response.json()["missing"]) == (503, ["price of teacher big"])


async def test_models_lists_tasks_and_teachers():
    models = [model async for model in client(gateway()).models.list()]
    assert [(model.id, model.owned_by) for model in models] == [("desk", "tutelage"), ("big", "teacher")]
    assert (await client(gateway()).models.retrieve("desk")).id == "desk"
    with pytest.raises(openai.NotFoundError, match="The model 'a/b' does not exist") as caught:
        await client(gateway()).models.retrieve("a/b")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("asked", "seen"), [({"logprobs": True}, 0), ({"logprobs": True, "top_logprobs": 2}, 2)])
async def test_the_students_log_probabilities_are_shown_to_whom_asks(asked, seen, *, stream):
    parts = gateway()
    raw = await client(parts).chat.completions.with_raw_response.create(**BODY, **asked, stream=stream)
    said = [chunk async for chunk in raw.parse()] if stream else [raw.parse()]
    (tokens,) = [each.choices[0].logprobs.content for each in said if each.choices[0].logprobs]
    assert raw.headers["x-tutelage-route"] == "student"
    assert [(token.token, len(token.top_logprobs)) for token in tokens] == [("refund", seen)]
    assert "logprobs" not in json.dumps(parts.spool.records[0].draft.evidence)
    plain = await client(gateway()).chat.completions.create(**BODY)
    assert plain.choices[0].logprobs is None


async def test_alternatives_are_not_to_be_had_without_log_probabilities():
    async with http(gateway()) as session:
        response = await session.post("/v1/chat/completions", json={**BODY, "top_logprobs": 2})
        too_many = await session.post("/v1/chat/completions", json={**BODY, "logprobs": True, "top_logprobs": 21})
    assert [each.json()["error"]["param"] for each in (response, too_many)] == ["top_logprobs"] * 2


TOOL = {"type": "function", "function": {"name": "f"}}
IMAGE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}
FEATURES = [
    ({"response_format": {"type": "json_object"}}, "student", "accepted"),
    ({"stop": ["."], "seed": 3, "user": "u", "metadata": {"a": "b"}}, "student", "accepted"),
    ({"tools": [TOOL], "tool_choice": "none"}, "teacher", "decoding_mode"),
    ({"tools": [TOOL]}, "teacher", "tools"),
    ({"n": 2}, "teacher", "choices"),
    ({"logit_bias": {"1": 5}}, "teacher", "logit_bias"),
    ({"temperature": 0.5}, "teacher", "sampling"),
    ({"messages": [IMAGE]}, "teacher", "media"),
    ({"a_field_from_the_future": {"x": 1}}, "teacher", "unsupported"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fields", "route", "reason"), FEATURES)
async def test_each_feature_has_its_route_and_reason(fields, route, *, reason, stream):
    modes = frozenset({"free", "json_object"})
    parts = gateway(releases=FakeReleases(replace(RELEASE, modes=modes)))
    body = {**BODY, **fields, "stream": stream}
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", json=body)
        counted = (await session.get("/metrics")).text
    assert (response.headers["x-tutelage-route"], response.headers["x-tutelage-reason"]) == (route, reason)
    assert f'tutelage_requests_total{{reason="{reason}",route="{route}",status="200",task="desk"}} 1.0' in counted
    assert [request.raw for request in parts.teacher.asked] == [body] * (route == "teacher")


async def test_a_developer_and_parts_are_the_same_task_and_the_students():
    parts = gateway()
    parts_of_text = [{"type": "text", "text": "Name the topic."}]
    messages = [{"role": "developer", "content": parts_of_text}, MESSAGES[1]]
    raw = await client(parts).chat.completions.with_raw_response.create(model="big", messages=messages)
    assert raw.headers["x-tutelage-route"] == "student" and parts.spool.records[0].messages == messages


async def test_drafts_for_a_certificate_have_the_limits_of_live_traffic():
    parts = gateway()
    order = {
        "release": "desk--v000009",
        "task": "desk",
        "requests": [{"messages": MESSAGES, "max_tokens": 4}, {"messages": MESSAGES}],
    }
    async with http(parts) as session:
        drafts = (await session.post("/internal/drafts", json=order)).json()["drafts"]
        unknown = await session.post("/internal/drafts", json={**order, "task": "nobody"})
    assert parts.examinee.asked == [("desk--v000009", 4), ("desk--v000009", TASK.max_tokens)]
    assert [d["text"] for d in drafts] == ["refund", "refund"] and drafts[0]["evidence"] == {"x": 5.0}
    assert unknown.status_code == 400
    assert parts.spool.records == []


class Listening(FakeStudent):
    """Keeps what it was asked."""

    async def draft(self, request, **how):
        self.heard = request.spoken
        return await super().draft(request, **how)


async def test_with_a_compact_prompt_the_student_alone_reads_less_live_and_for_a_certificate():
    live, examinee = Listening(), Listening()
    parts = gateway(student=live, examinee=examinee, tasks={"desk": replace(TASK, unsaid="Name the topic.")})
    said = [{"role": "system", "content": "Name the topic."}, {"role": "user", "content": "hi"}]
    order = {"release": "desk--v000009", "task": "desk", "requests": [{"messages": said}]}
    async with http(parts) as session:
        await session.post("/internal/drafts", json=order)
        assert (await session.post("/v1/chat/completions", json={**BODY, "messages": said})).status_code == 200
    assert live.heard == examinee.heard == [{"role": "system", "content": ""}, said[1]]
    assert parts.spool.records[0].messages == said


async def test_a_draft_the_student_does_not_give_is_an_entry_of_its_own():
    order = {"release": "r", "task": "desk", "requests": [{"messages": MESSAGES}]}
    async with http(gateway(examinee=FakeStudent(None))) as session:
        assert (await session.post("/internal/drafts", json=order)).json()["drafts"] == [{"error": "scripted"}]


async def test_what_does_not_fit_is_drafted_for_no_certificate_either():
    parts = gateway(tasks={"desk": replace(TASK, max_context_tokens=24)})
    long = [{"role": "user", "content": "a" * 800}]
    order = {"release": "r", "task": "desk", "requests": [{"messages": long}, {"messages": MESSAGES}]}
    async with http(parts) as session:
        first, second = (await session.post("/internal/drafts", json=order)).json()["drafts"]
        live = await session.post("/v1/chat/completions", json={**BODY, "messages": long})
    assert "do not fit" in first["error"] and second["text"] == "refund"
    assert live.headers["x-tutelage-reason"] == "too_long"


TOLD = {"content": [{"token": "delivery", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
LEARNS = replace(TASK, record_logprobs=5)


@pytest.mark.parametrize(
    ("fields", "headers", "task", "top"),
    [
        ({}, {}, LEARNS, 5),
        ({"stream": True}, {}, LEARNS, 5),
        ({}, {}, TASK, 0),
        ({"store": False}, {}, LEARNS, 0),
        ({"stream": True}, {"x-tutelage-train": "false"}, LEARNS, 0),
        ({"temperature": 1}, {}, LEARNS, 0),  # no student's: it teaches nothing
        ({"model": "big", "messages": MESSAGES[1:]}, {}, LEARNS, 0),  # no task's
        ({}, {}, replace(LEARNS, is_private=lambda raw: True), 0),
    ],
)
async def test_what_may_teach_is_asked_with_log_probabilities(fields, headers, *, task, top):
    parts = gateway(student=unsure(), tasks={"desk": task})
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", json={**BODY, **fields}, headers=headers)
    assert (response.status_code, parts.teacher.tops) == (200, [top])


async def test_a_label_is_asked_with_them_and_so_is_what_the_teacher_writes_to_teach():
    parts = gateway(tasks={"desk": replace(LEARNS, rho=1.0)})
    await client(parts).chat.completions.create(**BODY)
    await parts.drain(timeout_s=5)
    async with http(parts) as session:
        for origin in ("probe", "synthetic"):
            order = {"task": "desk", "origin": origin, "requests": [{"messages": MESSAGES}]}
            await session.post("/internal/answers", json=order)
    assert parts.teacher.tops == [5, 0, 5]


async def test_a_stream_is_recorded_with_them_and_its_client_sees_none():
    said = {"index": 0, "delta": {"content": "delivery"}, "logprobs": TOLD, "finish_reason": "stop"}
    teacher = FakeTeacher(chunks=[{"choices": [said]}])
    parts = gateway(student=unsure(), tasks={"desk": LEARNS}, teacher=teacher)
    chunks = [chunk async for chunk in await client(parts).chat.completions.create(**BODY, stream=True)]
    assert [chunk.choices[0].logprobs for chunk in chunks] == [None]
    assert parts.spool.records[0].teacher_reply.logprobs == [[("delivery", -0.5)]]


@pytest.mark.parametrize("origin", ["probe", "writer", "synthetic", "curate"])
async def test_answers_on_our_own_account_are_recorded_apart_from_the_clients(origin):
    parts = gateway()
    order = {"task": "desk", "origin": origin, "requests": [{"messages": MESSAGES, "temperature": 0}] * 2}
    async with http(parts) as session:
        answers = (await session.post("/internal/answers", json=order)).json()["answers"]
        refused = [
            (await session.post("/internal/answers", json={**order, **bad})).status_code
            for bad in ({"task": "nobody"}, {"origin": "client"}, {"requests": [{"messages": []}]})
        ]
        counted = (await session.get("/metrics")).text
    assert answers == [{"text": parts.teacher.text, "finish_reason": "stop", "usd": 0.01}] * 2
    assert [(r.origin, r.route, r.reason, r.eligible, r.rho) for r in parts.spool.records] == [
        (origin, "teacher", "own", False, None)
    ] * 2
    assert refused == [400, 400, 400]
    assert [priority for _, _, priority in parts.capacity.asked] == ["low"] * 2
    assert "tutelage_requests_total{" not in counted


async def test_a_suspect_is_asked_about_on_the_budget_and_a_budget_that_is_used_up_is_told():
    budgets = FakeBudgets(limited=True, refusals=[None, InsufficientQuota("used up")])
    parts = gateway(budgets=budgets)
    order = {"task": "desk", "origin": "curate", "requests": [{"messages": MESSAGES}] * 2}
    async with http(parts) as session:
        answers = (await session.post("/internal/answers", json=order)).json()["answers"]
        await parts.drain(timeout_s=5)
    assert [answer.get("error") for answer in answers] == [None, "InsufficientQuota"]
    assert budgets.settled == {"r1": 0.01} and [bill.task for bill in budgets.bills] == ["desk", "desk"]


async def test_another_teacher_judges_and_is_recorded_and_paid_as_itself():
    parts = gateway(teachers=frozenset({"big", "referee"}))
    order = {"task": "desk", "origin": "judge", "teacher": "referee", "requests": [{"messages": MESSAGES}]}
    async with http(parts) as session:
        answers = (await session.post("/internal/answers", json=order)).json()["answers"]
        unknown = await session.post("/internal/answers", json={**order, "teacher": "nobody"})
    assert [answer["text"] for answer in answers] == [parts.teacher.text]
    (record,) = parts.spool.records
    assert (record.task, record.origin, record.teacher_reply.teacher, record.eligible) == (
        ("desk", "judge", "referee", False)
    )
    assert [teacher for teacher, _, _ in parts.capacity.asked] == ["referee"]
    assert unknown.status_code == 400 and unknown.json()["error"]["param"] == "teacher"


async def test_an_answer_that_the_teacher_does_not_give_is_an_entry_of_its_own():
    parts = gateway(teacher=FakeTeacher(error=TeacherUnavailable("scripted")))
    order = {"task": "desk", "origin": "probe", "requests": [{"messages": MESSAGES}]}
    async with http(parts) as session:
        answers = (await session.post("/internal/answers", json=order)).json()["answers"]
    assert answers == [{"error": "TeacherUnavailable"}]
    assert [record.teacher_reply.text for record in parts.spool.records] == [None]


async def test_metrics_count_routes_reasons_and_dollars():
    parts = gateway(student=unsure())
    async with http(parts) as session:
        await session.post("/v1/chat/completions", json=BODY)
        text = (await session.get("/metrics")).text
    assert 'tutelage_requests_total{reason="unsure",route="teacher",status="200",task="desk"} 1.0' in text
    assert f'tutelage_release_in_force{{release="{RELEASE.name}",stage="champion",task="desk"}} 1.0' in text
    assert 'tutelage_rows_gathered{kind="rows",task="desk"} 120.0' in text


@pytest.mark.parametrize(
    ("said", "within_s"), [(None, 5.0), ("1", 0.5), ("0.25", 0.125), ("soon", 5.0), ("-1", 5.0), ("nan", 5.0)]
)
async def test_a_scrape_waits_half_of_its_time_for_the_ledger(said, within_s):
    waited = []

    class Patient(FakeReleases):
        async def seen(self, *, within_s):
            waited.append(within_s)
            return await super().seen(within_s=within_s)

    async with http(gateway(releases=Patient())) as session:
        headers = {"x-prometheus-scrape-timeout-seconds": said} if said else {}
        assert (await session.get("/metrics", headers=headers)).status_code == 200
    assert waited == [within_s]


async def test_a_defect_is_a_500_without_detail():
    class Broken(FakeStudent):
        async def draft(self, request, *, model, max_tokens):
            raise ValueError("secret detail")

    async with http(gateway(student=Broken())) as session:
        response = await session.post("/v1/chat/completions", json=BODY)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in response.text


@pytest.mark.parametrize("what", ["drafts", "answers"])
async def test_an_order_that_is_meant_for_other_settings_is_refused(what):
    parts = gateway(tasks={"desk": replace(TASK, binding={"prompt": "p", "max_tokens": "64"})})
    order = {"task": "desk", "release": RELEASE.name, "origin": "probe", "requests": [{"messages": MESSAGES}]}
    async with http(parts) as session:
        for binding, status in (({}, 200), ({"prompt": "p"}, 200), ({"prompt": "q"}, 409), ({"judge": "j"}, 409)):
            response = await session.post(f"/internal/{what}", json={**order, "binding": binding})
            assert response.status_code == status
    assert "serves desk with judge None, and the order is meant for 'j'" in response.json()["error"]["message"]


def writing(*pieces, **fields):
    """A gateway whose student writes on behind an accepted beginning."""
    ongoing = FakeOngoing(draft("The answer", finish_reason=None), follows=pieces, **fields)
    tasks = {"desk": replace(TASK, rho=1.0, prefix=2)}
    return gateway(student=FakeStudent(ongoing=ongoing), tasks=tasks), ongoing


async def test_a_long_answer_streams_on_from_its_accepted_beginning():
    parts, ongoing = writing(" is", " long")
    stream = await client(parts).chat.completions.create(**BODY, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert texts == ["", "The answer", " is", " long", None]
    assert len({chunk.id for chunk in chunks}) == 1 and chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop" and chunks[-1].usage.completion_tokens == 5
    await parts.drain(timeout_s=5)
    exchange, label = parts.spool.records
    assert (exchange.answer, exchange.draft.text, exchange.route) == (*["The answer is long"] * 2, "student")
    assert exchange.reference and label.exchange_id == exchange.id and ongoing.closed == 1


async def test_a_long_answer_that_breaks_off_ends_in_an_error_and_its_reference_is_labelled():
    parts, ongoing = writing(" is", breaks_off=True)
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", json={**BODY, "stream": True})
    *_, last, end = response.text.split("\n\n")
    assert '"code":"answer_broke_off"' in last and end == "" and "[DONE]" not in response.text
    await parts.drain(timeout_s=5)
    exchange, label = parts.spool.records
    assert (exchange.route, exchange.status, exchange.answer) == ("none", 502, None)
    assert exchange.draft.text == "The answer is" and label.reply.text == "delivery" and ongoing.closed == 1


async def test_a_client_that_is_gone_before_the_first_byte_is_recorded_as_well():
    parts, ongoing = writing(" is")
    request = parse_chat(json.dumps({**BODY, "stream": True}).encode())
    ticket = parts.admit(request, task_header=None, priority="normal", caller=ANYBODY)
    verdict = Verdict("accepted", RELEASE, ongoing.draft, 0.9)
    reply = EventStream(_student_stream(parts, ticket, verdict, ongoing=ongoing), {})

    async def gone(*_):
        raise OSError("gone")

    with pytest.raises(ClientDisconnect):
        await reply({"type": "http", "asgi": {"spec_version": "2.4"}}, gone, gone)
    await parts.drain(timeout_s=5)
    assert [record.status for record in parts.spool.records if isinstance(record, Exchange)] == [499]
    assert ongoing.closed == 1


async def test_a_reference_whose_client_leaves_is_read_to_its_end_and_labelled():
    parts, ongoing = writing(*[" and"] * 6)
    verdict = Verdict("accepted", RELEASE, ongoing.draft, 0.9)
    request = parse_chat(json.dumps({**BODY, "stream": True}).encode())
    ticket = parts.admit(request, task_header=None, priority="normal", caller=ANYBODY)
    events = _student_stream(parts, ticket, verdict, ongoing=ongoing)
    await anext(events)
    await anext(events)
    await events.aclose()
    await parts.drain(timeout_s=5)
    exchange, label = parts.spool.records
    assert (exchange.status, exchange.route, exchange.reason) == (499, "none", "accepted")
    assert exchange.draft.text == "The answer" + " and" * 6 and exchange.draft.finish_reason == "stop"
    assert exchange.reference and label.exchange_id == exchange.id and ongoing.closed == 1


async def test_a_long_answer_that_cannot_be_recorded_ends_in_an_error():
    parts, ongoing = writing(" is")
    parts.spool.full = True
    async with http(parts) as session:
        response = await session.post("/v1/chat/completions", json={**BODY, "stream": True})
    assert '"code":"spool_unavailable"' in response.text and "[DONE]" not in response.text and ongoing.closed == 1


class UncountedTeacher(FakeTeacher):
    """One that does not say how many tokens it has counted."""

    def reply(self, teacher, body, *, latency_s):
        told = super().reply(teacher, body, latency_s=latency_s)
        return msgspec.structs.replace(told, usage=Usage(), cost_usd=0.0)


@pytest.mark.parametrize("rationale", ["", "a parcel is on its way"])
async def test_an_answer_that_says_no_usage_is_not_free(rationale):
    parts = gateway(student=unsure(), teacher=UncountedTeacher(body=thinking(rationale).body))
    async with http(parts) as session:
        await session.post("/v1/chat/completions", json=BODY)
    (exchange,) = parts.spool.records
    usage = exchange.teacher_reply.usage
    assert (usage.prompt_tokens > 0, usage.completion_tokens) == (True, len("delivery" + rationale) // 4)
    assert exchange.teacher_reply.cost_usd == parts.teacher.paid("big", usage)
