"""The Responses API through the official client: a chat on either route, the provider's where state is held."""

import pytest

from router.errors import TeacherUnavailable
from tests.fakes import FakeStudent, FakeTeacher, gateway
from tests.router.test_api import client, http, unsure, writing

ASKED = {"model": "desk", "instructions": "Name the topic.", "input": "my money back, please"}
ROUTES = [(FakeStudent, "student", "refund", 3), (unsure, "teacher", "delivery", 2)]


@pytest.mark.parametrize(("student", "route", "text", "tokens"), ROUTES)
async def test_both_routes_answer(student, route, *, text, tokens):
    parts = gateway(student=student())
    raw = await client(parts).responses.with_raw_response.create(**ASKED, metadata={"a": "b"})
    response = raw.parse()
    assert raw.headers["x-tutelage-route"] == route and raw.headers["x-request-id"]
    assert (response.output_text, response.status, response.model) == (text, "completed", "desk")
    assert response.id == f"resp_{raw.headers['x-tutelage-exchange-id']}" and response.metadata == {"a": "b"}
    assert (response.usage.output_tokens, response.usage.total_tokens) == (tokens, 20 + tokens)
    (exchange,) = parts.spool.records
    said = [{"role": "system", "content": "Name the topic."}, {"role": "user", "content": "my money back, please"}]
    assert (exchange.route, exchange.answer, exchange.messages, exchange.task) == (route, text, said, "desk")


@pytest.mark.parametrize(("student", "route", "text", "tokens"), ROUTES)
async def test_both_routes_stream_what_they_answer(student, route, *, text, tokens):
    parts = gateway(student=student())
    raw = await client(parts).responses.with_raw_response.create(**ASKED, stream=True)
    events = [event async for event in raw.parse()]
    assert raw.headers["x-tutelage-route"] == route and raw.headers["content-type"].startswith("text/event-stream")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == text
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert events[-1].response.output_text == text and events[-1].response.usage.output_tokens == tokens
    assert parts.spool.records[0].stream


async def test_the_official_clients_own_stream_comes_to_the_same_answer():
    async with client(gateway(student=unsure())).responses.stream(**ASKED) as stream:
        assert (await stream.get_final_response()).output_text == "delivery"


async def test_a_prefix_task_streams_on():
    parts, ongoing = writing(" is", " long")
    events = [event async for event in await client(parts).responses.create(**ASKED, stream=True)]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert deltas == ["The answer", " is", " long"] and ongoing.closed == 1
    await parts.drain(timeout_s=5)


async def test_a_teacher_that_breaks_off_ends_in_a_failed_response():
    teacher = FakeTeacher(error=TeacherUnavailable("broke off"), breaks_off=True)
    events = [
        event
        async for event in await client(gateway(student=unsure(), teacher=teacher)).responses.create(
            **ASKED, stream=True
        )
    ]
    assert events[-1].type == "response.failed" and events[-1].response.error.message == "broke off"
    assert teacher.closed == 1


async def test_json_mode_and_log_probabilities_come_through():
    parts = gateway()
    include = ["message.output_text.logprobs"]
    response = await client(parts).responses.create(**ASKED, include=include, top_logprobs=1)
    (part,) = response.output[0].content
    assert [one.token for one in part.logprobs[0].top_logprobs] == ["a"]
    raw = await client(parts).responses.with_raw_response.create(**ASKED, text={"format": {"type": "json_object"}})
    assert raw.headers["x-tutelage-reason"] == "decoding_mode"
    assert parts.teacher.asked[-1].raw["response_format"] == {"type": "json_object"}


async def test_store_says_nothing_of_teaching_here_and_the_header_does():
    parts = gateway()
    await client(parts).responses.create(**ASKED, store=False)
    await client(parts).responses.create(**ASKED, extra_headers={"x-tutelage-train": "false"})
    assert [each.teaches for each in parts.spool.records] == [True, False]


async def test_calls_of_tools_are_items_of_the_output():
    call = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"q": 1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    body = {"created": 1, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": {}}
    tool = {"type": "function", "name": "find", "parameters": {"type": "object"}, "strict": False}
    parts = gateway(teacher=FakeTeacher(body=body))
    raw = await client(parts).responses.with_raw_response.create(**ASKED, tools=[tool])
    (item,) = raw.parse().output
    assert (item.type, item.call_id, item.name, item.arguments) == ("function_call", "call_1", "find", '{"q": 1}')
    assert raw.headers["x-tutelage-reason"] == "tools"
    assert parts.teacher.asked[0].raw["tools"][0]["function"] == {k: v for k, v in tool.items() if k != "type"}


RESPONSE = {
    "id": "resp_theirs",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "stored"}]}],
    "usage": {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9},
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
}
STATE = [
    {"store": True},
    {"previous_response_id": "resp_0"},
    {"conversation": "conv_1"},
    {"background": True},
    {"tools": [{"type": "web_search"}]},
    {"a_field_from_the_future": 1},
]


@pytest.mark.parametrize("state", STATE)
async def test_what_holds_state_is_the_providers_and_is_paid_for(state):
    parts = gateway(teacher=FakeTeacher(body=RESPONSE))
    body = {"model": "desk", "input": "hi", **state}
    async with http(parts) as session:
        reply = await session.post("/v1/responses", json=body)
    assert (reply.headers["x-tutelage-route"], reply.headers["x-tutelage-reason"]) == ("teacher", "responses")
    assert reply.json() == {**RESPONSE, "model": "desk"}
    assert parts.teacher.passed == [("responses", body)] and parts.student.asked == []
    (exchange,) = parts.spool.records
    assert (exchange.task, exchange.origin, exchange.answer, exchange.eligible) == (None, "client", "stored", False)
    assert exchange.teacher_reply.cost_usd == pytest.approx(0.027)


async def test_a_stored_response_streams_under_its_own_id():
    begun = {**RESPONSE, "status": "in_progress", "output": []}
    chunks = [
        {"type": "response.created", "sequence_number": 0, "response": begun},
        {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "i", "delta": "stored"},
        {"type": "response.completed", "sequence_number": 2, "response": RESPONSE},
    ]
    parts = gateway(teacher=FakeTeacher(chunks=chunks))
    stream = await client(parts).responses.create(model="big", input="hi", store=True, stream=True)
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == [0, 1, 2]
    assert (events[-1].response.id, events[-1].response.model) == ("resp_theirs", "big")
    assert (parts.spool.records[0].answer, parts.spool.records[0].stream, parts.teacher.closed) == ("stored", True, 1)


async def test_bad_requests_name_their_field_and_unknown_models_are_unknown():
    async with http(gateway()) as session:
        for body, param in (
            ({"model": "desk"}, "input"),
            ({"input": "hi"}, "model"),
            ({"input": 3, "model": "desk"}, "input"),
        ):
            reply = await session.post("/v1/responses", json=body)
            assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
        for state in ({}, {"store": True}):
            reply = await session.post("/v1/responses", json={"model": "nobody", "input": "hi", **state})
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")
