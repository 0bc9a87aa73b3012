"""Legacy completions and embeddings through the official client; every dollar of them is in the ledger."""

import base64
import struct
from dataclasses import replace

import openai
import pytest

from router.errors import TeacherUnavailable, UpstreamRefused
from router.ports import Shortage
from tests.fakes import TASK, FakeCapacity, FakeTeacher, MemorySpool, gateway
from tests.router.test_api import client, http

USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
CHOICE = {"index": 0, "text": "a refund", "finish_reason": "stop", "logprobs": None}
COMPLETION = {
    "id": "theirs",
    "object": "text_completion",
    "created": 1,
    "model": "m",
    "choices": [CHOICE],
    "usage": USAGE,
}


def vectors(*found):
    data = [{"object": "embedding", "index": n, "embedding": one} for n, one in enumerate(found)]
    return {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 5, "total_tokens": 5}}


def piece(text, **fields):
    return {**COMPLETION, "choices": [{**CHOICE, "text": text, "finish_reason": None}], "usage": None, **fields}


PIECES = [piece("a "), {**COMPLETION, "usage": None, "choices": [{**CHOICE, "text": "refund"}]}]
COUNTED = {**COMPLETION, "choices": [{"index": 0, "text": None}]}


@pytest.mark.parametrize("model", ["big", "desk"])
async def test_a_legacy_completion_is_the_teachers(model):
    parts = gateway(teacher=FakeTeacher(body=COMPLETION), tasks={"desk": replace(TASK, rho=1.0)})
    raw = await client(parts).completions.with_raw_response.create(model=model, prompt="say", extra_body={"new": 1})
    answer = raw.parse()
    assert (raw.headers["x-tutelage-route"], raw.headers["x-tutelage-reason"]) == ("teacher", "completions")
    assert (answer.choices[0].text, answer.model, answer.usage.total_tokens) == ("a refund", model, 9)
    assert answer.id == f"cmpl-{raw.headers['x-tutelage-exchange-id']}" and raw.headers["x-request-id"]
    assert parts.teacher.passed == [("completions", {"model": model, "prompt": "say", "new": 1})]
    (exchange,) = parts.spool.records
    assert (exchange.task, exchange.origin, exchange.eligible, exchange.reference) == (None, "client", False, False)
    assert exchange.answer == "a refund" and exchange.teacher_reply.cost_usd == pytest.approx(0.027)
    assert [teacher for teacher, *_ in parts.capacity.asked] == ["big"]


@pytest.mark.parametrize("include_usage", [True, False])
async def test_its_stream_is_the_same_text_and_is_paid_for(include_usage):
    parts = gateway(teacher=FakeTeacher(chunks=[*PIECES, COUNTED]))
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    async with http(parts) as session:
        body = {"model": "big", "prompt": "say", "stream": True, **options}
        response = await session.post("/v1/completions", json=body)
    assert response.text.endswith("data: [DONE]\n\n") and "theirs" not in response.text
    stream = await client(parts).completions.create(model="big", prompt="say", stream=True, **options)
    chunks = [chunk async for chunk in stream]
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "a refund"
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [9] * include_usage
    assert parts.spool.records[1].answer == "a refund"
    assert parts.spool.records[1].teacher_reply.cost_usd == pytest.approx(0.027) and parts.teacher.closed == 2


async def test_embeddings_are_numbers_or_base64_as_the_client_wants_them():
    encoded = base64.b64encode(struct.pack("<2f", 0.5, 0.25)).decode()
    parts = gateway(teacher=FakeTeacher(body=vectors(encoded)))
    raw = await client(parts).embeddings.with_raw_response.create(model="big", input=["a"])
    assert raw.parse().data[0].embedding == [0.5, 0.25]  # the official client asks for base64 by itself
    assert parts.teacher.passed[0][1]["encoding_format"] == "base64"
    assert (raw.headers["x-tutelage-route"], raw.headers["x-tutelage-reason"]) == ("teacher", "embeddings")
    parts.teacher.body = vectors([0.5, 0.25])
    plain = await client(parts).embeddings.create(model="big", input="a", encoding_format="float")
    assert plain.data[0].embedding == [0.5, 0.25] and plain.usage.prompt_tokens == 5
    costs = [(exchange.task, exchange.messages, exchange.teacher_reply.cost_usd) for exchange in parts.spool.records]
    assert costs == [(None, [], 0.005)] * 2


@pytest.mark.parametrize("path", ["completions", "embeddings"])
async def test_an_unknown_model_is_unknown_in_openais_words(path):
    async with http(gateway()) as session:
        response = await session.post(f"/v1/{path}", json={"model": "nobody", "prompt": "a", "input": "a"})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_provider_refuses_is_told_in_its_words_and_recorded(stream):
    parts = gateway(teacher=FakeTeacher(error=UpstreamRefused("no such thing", status=400, code="odd")))
    async with http(parts) as session:
        response = await session.post("/v1/completions", json={"model": "big", "prompt": "a", "stream": stream})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "odd")
    assert response.headers["x-tutelage-reason"] == "completions"
    assert [exchange.status for exchange in parts.spool.records] == [400]


async def test_a_stream_that_breaks_off_ends_in_an_error_event():
    for error in (TeacherUnavailable("broke off"), None):
        parts = gateway(teacher=FakeTeacher(chunks=PIECES[:1], error=error))
        async with http(parts) as session:
            response = await session.post("/v1/completions", json={"model": "big", "prompt": "a", "stream": True})
        assert "broke off" in response.text.strip().splitlines()[-1] and "[DONE]" not in response.text
        assert [exchange.status for exchange in parts.spool.records] == [502]


async def test_without_room_or_record_nothing_is_given():
    short = FakeCapacity([Shortage("teachers.big.capacity_rpm", 7)])
    parts = gateway(capacity=short, teacher=FakeTeacher(body=vectors([1.0])))
    with pytest.raises(openai.RateLimitError):
        await client(parts).embeddings.create(model="big", input="a")
    assert parts.teacher.passed == []
    unrecorded = gateway(spool=MemorySpool(full=True), teacher=FakeTeacher(body=COMPLETION))
    async with http(unrecorded) as session:
        response = await session.post("/v1/completions", json={"model": "big", "prompt": "a"})
    assert response.status_code == 503 and "refund" not in response.text
