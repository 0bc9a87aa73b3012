"""vLLM's answer as it comes, and a student that is down."""

import asyncio
import math
from contextlib import asynccontextmanager

import orjson
import pytest
from aiohttp import web

from ledger.prices import Price
from router.breaker import Breaker
from router.errors import StudentUnavailable, TooLong
from router.http_client import HttpClient
from router.logprobs import ShownDraft
from router.student import VllmStudent
from router.wire import parse_chat

REQUEST = parse_chat(orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stop": ["."]}))
TOKEN = {
    "token": "refund",
    "logprob": -0.1,
    "top_logprobs": [{"token": "refund", "logprob": -0.1}, {"token": "x", "logprob": -3}],
}
ANSWER = {
    "choices": [{"message": {"content": "refund"}, "finish_reason": "stop", "logprobs": {"content": [TOKEN]}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11},
}


async def draft_from(answer, *, status=200, calls=1, timeout_s=2.0, prefix=None, request=REQUEST):
    """Serve one scripted answer on loopback and draft from it; the request body, then the draft."""
    seen = []

    async def handle(http: web.Request) -> web.Response:
        seen.append(await http.json())
        return web.Response(body=answer if isinstance(answer, bytes) else orjson.dumps(answer), status=status)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with HttpClient() as session:
            url = f"http://127.0.0.1:{port}"
            student = VllmStudent(session, url=url, price=Price(1e-6, 2e-6), timeout_s=timeout_s)
            for _ in range(calls - 1):
                with pytest.raises(StudentUnavailable):
                    await student.draft(REQUEST, model="desk--v000001", max_tokens=5)
            return seen, await student.draft(request, model="desk--v000001", max_tokens=5, prefix=prefix)
    finally:
        await runner.cleanup()


async def test_a_draft_carries_evidence_usage_and_cost():
    (body,), draft = await draft_from(ANSWER)
    assert (draft.text, draft.finish_reason) == ("refund", "stop")
    assert draft.evidence["first_logprob"] == -0.1
    assert draft.cost_usd == pytest.approx(12e-6)
    assert (body["model"], body["temperature"], body["max_tokens"], body["stop"]) == ("desk--v000001", 0, 5, ["."])


def asking(**fields):
    return parse_chat(orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}))


async def test_the_engine_is_asked_in_the_clients_mode_in_plain_text():
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    said = [{"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    request = asking(messages=said, response_format=wanted, seed=3, user="u", metadata={"a": "b"}, tools=[])
    (body,), _ = await draft_from(ANSWER, request=request)
    assert body["messages"] == [{"role": "system", "content": "a\nb"}]
    assert body["response_format"] == wanted and body["top_logprobs"] == 5
    assert not body.keys() & {"seed", "user", "metadata", "tools", "stop"}


async def test_more_alternatives_are_asked_for_where_a_client_wants_them_and_change_no_evidence():
    (body,), told = await draft_from(ANSWER, request=asking(logprobs=True, top_logprobs=20))
    assert body["top_logprobs"] == 20 and isinstance(told, ShownDraft)
    assert [one["token"] for one in told.logprobs[0]["top_logprobs"]] == ["refund", "x"]
    (body,), plain = await draft_from(ANSWER, request=asking(logprobs=True))
    assert body["top_logprobs"] == 5 and plain.logprobs[0]["top_logprobs"] == []
    assert told.evidence == plain.evidence == (await draft_from(ANSWER))[1].evidence


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 64 tokens. However, you requested 80 tokens",
        "The decoder prompt (length 80) is longer than the maximum model length of 64.",
        "max_tokens=64 is greater than max_model_len=32",
    ],
)
async def test_what_does_not_fit_has_a_reason_of_its_own(words):
    with pytest.raises(TooLong):
        await draft_from({"error": {"message": words}}, status=400)
    with pytest.raises(StudentUnavailable) as other:
        await draft_from({"error": {"message": "a grammar that cannot be compiled"}}, status=400)
    assert not isinstance(other.value, TooLong)


async def test_without_logprobs_there_is_no_evidence():
    choice = {**ANSWER["choices"][0], "logprobs": None}
    _, draft = await draft_from({**ANSWER, "choices": [choice]})
    assert draft.evidence == {}


@pytest.mark.parametrize(("answer", "status"), [(b"<html>", 200), ({"choices": []}, 200), (ANSWER, 404), (ANSWER, 500)])
async def test_anything_else_is_unavailable(answer, status):
    with pytest.raises(StudentUnavailable):
        await draft_from(answer, status=status)


async def test_a_dead_student_is_not_waited_for():
    async with HttpClient() as session:
        student = VllmStudent(
            session, url="http://127.0.0.1:1", price=Price(0.0, 0.0), timeout_s=2.0, breaker=Breaker()
        )
        for _ in range(3):
            with pytest.raises(StudentUnavailable, match="Unreachable"):
                await student.draft(REQUEST, model="m", max_tokens=5)
        with pytest.raises(StudentUnavailable, match="not asked"):
            await student.draft(REQUEST, model="m", max_tokens=5)


def chunk(text, *, tokens, finish_reason=None):
    logprobs = {"content": [{**TOKEN, "token": text}]} if text else None
    choice = {"delta": {"content": text}, "finish_reason": finish_reason, "logprobs": logprobs}
    return {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": tokens}}


CHUNKS = [
    {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
    *(chunk(f" w{n}", tokens=n) for n in range(1, 6)),
    chunk(" end", tokens=6, finish_reason="stop"),
    {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 6}},
]


@asynccontextmanager
async def writing(chunks, *, done=True, status=200, timeout_s=2.0, pause_s=0.01, breaker=None):
    """A student whose vLLM streams these; and what it was asked, and whether the connection was closed early."""
    seen, left = [], asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(await request.json())
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        try:
            for one in chunks:
                await response.write(b"data: " + orjson.dumps(one) + b"\n\n")
                await asyncio.sleep(pause_s)
            if done:
                await response.write(b"data: [DONE]\n\n")
        except ConnectionError:
            left.set()
            raise
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with HttpClient() as session:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            price = Price(1e-6, 2e-6)
            yield VllmStudent(session, url=url, price=price, timeout_s=timeout_s, breaker=breaker), seen, left
    finally:
        await runner.cleanup()


async def begin(student, prefix=3):
    return await student.begin(REQUEST, model="desk--v000001", max_tokens=50, prefix=prefix)


async def test_a_draft_is_judged_by_its_first_tokens_and_goes_on_from_there():
    async with writing(CHUNKS) as (student, seen, _):
        ongoing = await begin(student)
        assert (ongoing.draft.text, ongoing.draft.finish_reason) == (" w1 w2 w3", None)
        assert ongoing.draft.evidence["log_tokens"] == pytest.approx(math.log(3))
        assert ongoing.draft.can_be_accepted(3) and not ongoing.draft.can_be_accepted(4)
        assert [piece async for piece in ongoing.pieces()] == [" w4", " w5", " end"]
        await ongoing.close()
    assert (ongoing.draft.text, ongoing.draft.finish_reason) == (" w1 w2 w3 w4 w5 end", "stop")
    assert ongoing.draft.usage.completion_tokens == 6 and ongoing.draft.cost_usd == pytest.approx(22e-6)
    assert seen[0]["stream_options"]["continuous_usage_stats"] and seen[0]["stop"] == ["."]


async def test_a_streamed_and_a_whole_draft_have_the_same_evidence():
    tokens = [{**TOKEN, "token": text} for text in (" w1", " w2", " w3", " w4", " w5", " end")]
    choice = {"message": {"content": "w"}, "finish_reason": "stop", "logprobs": {"content": tokens}}
    body = {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 6}}
    _, whole = await draft_from(body, prefix=3)
    async with writing(CHUNKS) as (student, *_):
        ongoing = await begin(student)
        await ongoing.close()
    assert whole.evidence == ongoing.draft.evidence


async def test_a_draft_that_ends_before_the_prefix_is_whole():
    async with writing([CHUNKS[0], chunk(" no", tokens=1, finish_reason="stop")]) as (student, *_):
        ongoing = await begin(student)
        assert ongoing.draft.can_be_accepted(3)
        assert [piece async for piece in ongoing.pieces()] == []
        await ongoing.close()


async def test_a_stream_that_breaks_off_is_told_and_one_that_never_got_far_is_not_judged():
    async with writing(CHUNKS[:5], done=False) as (student, *_):
        ongoing = await begin(student)
        with pytest.raises(StudentUnavailable, match="broke off"):
            [piece async for piece in ongoing.pieces()]
        await ongoing.close()
    async with writing(CHUNKS[:2], done=False) as (student, *_):
        with pytest.raises(StudentUnavailable, match="broke off"):
            await begin(student)


async def test_whoever_leaves_half_way_ends_it():
    async with writing([*CHUNKS[:5], *CHUNKS[1:5] * 200]) as (student, _, left):
        ongoing = await begin(student)
        await ongoing.close()
        await asyncio.wait_for(left.wait(), 2)


async def test_another_reads_on_where_one_was_cancelled():
    async with writing([*CHUNKS[:5], *[chunk(" more", tokens=5)] * 20, CHUNKS[-2]]) as (student, *_):
        ongoing = await begin(student)

        async def read() -> None:
            async for _ in ongoing.pieces():
                pass

        reader = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        await read()
        await ongoing.close()
    assert ongoing.draft.text == " w1 w2 w3 w4" + " more" * 20 + " end"


@pytest.mark.parametrize(("chunks", "why"), [([], "broke off"), ([{"choices": "nonsense"}], "a chunk that is none")])
async def test_a_stream_of_something_else_is_no_draft(chunks, why):
    async with writing(chunks) as (student, *_):
        with pytest.raises(StudentUnavailable, match=why):
            await begin(student)


async def test_a_stream_has_time_beyond_that_of_its_prefix_and_a_stalled_one_opens_the_breaker():
    slow = [*CHUNKS[:5], *[chunk(" more", tokens=5)] * 30, CHUNKS[-2]]
    async with writing(slow, timeout_s=0.15) as (student, *_):  # 36 chunks, ten milliseconds apart
        ongoing = await begin(student)
        assert len([piece async for piece in ongoing.pieces()]) == 32
        await ongoing.close()
    async with writing(CHUNKS, timeout_s=0.05, pause_s=0.5, breaker=Breaker(failures=2)) as (student, seen, _):
        for _ in range(4):
            with pytest.raises(StudentUnavailable):
                await begin(student)
        assert len(seen) == 2


async def test_a_refused_stream_is_no_draft():
    async with writing([], status=503) as (student, *_):
        with pytest.raises(StudentUnavailable, match="HTTP 503"):
            await begin(student)
