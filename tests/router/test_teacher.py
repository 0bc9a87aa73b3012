"""The teacher's side of the wire, over loopback: what it answers, and how it fails."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
import pytest
from aiohttp import web

from ledger.prices import Price
from ledger.records import Usage
from router.errors import TeacherUnavailable, UpstreamRefused
from router.http_client import HttpClient
from router.rationale import MOST
from router.teacher import HttpTeacher
from router.upstream import Endpoint
from router.wire import parse_chat

BODY = {"model": "big", "messages": [{"role": "user", "content": "hi"}], "tools": [], "custom": 1}
REQUEST = parse_chat(orjson.dumps(BODY))
STREAMED = parse_chat(orjson.dumps({**BODY, "stream": True}))
ANSWER = {
    "choices": [{"message": {"content": "refund"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2},
}


PRICE = Price(1e-6, 2e-6)


@dataclass(frozen=True)
class Prices:
    known: Price | None

    def price(self, teacher):
        return self.known

    async def price_soon(self, teacher):
        return self.known


@asynccontextmanager
async def teacher(answer, *, price=PRICE, timeout_s=2.0):
    """An `HttpTeacher` whose upstream answers with `await answer(request)`."""
    app = web.Application()
    app.router.add_post("/v1/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        async with HttpClient() as session:
            endpoint = Endpoint(url, "upstream-name", "sk-secret", timeout_s)
            yield HttpTeacher(session, endpoints={"big": endpoint}, prices=Prices(price))
    finally:
        await runner.cleanup()


def saying(body, *, status=200, headers=None):
    async def answer(_):
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        return web.Response(body=raw, status=status, headers=headers)

    return answer


async def test_the_clients_request_goes_on_whole_under_the_upstreams_name_and_key():
    seen = []

    async def answer(request):
        seen.append((await request.json(), request.headers["authorization"]))
        return web.json_response(ANSWER)

    async with teacher(answer) as asked:
        reply = (await asked.complete(REQUEST, teacher="big")).reply
    assert seen == [({**BODY, "model": "upstream-name"}, "Bearer sk-secret")]
    assert (reply.text, reply.finish_reason, reply.cost_usd) == ("refund", "stop", pytest.approx(14e-6))


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (400, UpstreamRefused, 400),
        (422, UpstreamRefused, 422),
        (429, UpstreamRefused, 429),
        (401, TeacherUnavailable, 502),  # our key, not the client's
        (404, TeacherUnavailable, 502),
        (500, TeacherUnavailable, 502),
        (503, TeacherUnavailable, 503),
    ],
)
async def test_refusals_are_told_as_whose_fault_they_are(status, error, told):
    body = {"error": {"message": "too long", "code": "context_length_exceeded"}}
    async with teacher(saying(body, status=status, headers={"retry-after": "7"})) as asked:
        with pytest.raises(error) as raised:
            await asked.complete(REQUEST, teacher="big")
    assert raised.value.status == told
    assert "sk-secret" not in str(raised.value)
    if error is UpstreamRefused:
        assert (str(raised.value), raised.value.code) == ("too long", "context_length_exceeded")
        assert raised.value.headers == {"retry-after": "7"}


@pytest.mark.parametrize("body", [b"<html>", {}, {"choices": []}, {"choices": [{}]}, b"[]"])
async def test_an_answer_that_is_no_completion_is_the_teachers_fault(body):
    async with teacher(saying(body)) as asked:
        with pytest.raises(TeacherUnavailable, match="no completion"):
            await asked.complete(REQUEST, teacher="big")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_what_it_thought_is_told_beside_its_answer(name):
    def thinking(text):
        message = {"content": "refund", name: text}
        return saying(ANSWER | {"choices": [{"message": message, "finish_reason": "stop"}]})

    found = []
    for text in ("money back", None, {"tokens": 7}, "x" * (MOST + 1)):
        async with teacher(thinking(text)) as asked:
            given = await asked.complete(REQUEST, teacher="big")
        assert given.body["choices"][0]["message"][name] == text and given.reply.text == "refund"
        found.append(given.reply.rationale)
    assert found == ["money back", None, None, None]


async def test_a_teacher_too_slow_is_a_504():
    async def late(_):
        await asyncio.sleep(0.5)

    async with teacher(late, timeout_s=0.1) as asked:
        with pytest.raises(TeacherUnavailable) as raised:
            await asked.complete(REQUEST, teacher="big")
    assert raised.value.status == 504


async def test_a_teacher_that_is_down_is_said():
    async with HttpClient() as session:
        endpoint = Endpoint("http://127.0.0.1:1/v1", "m", None, 2.0)
        with pytest.raises(TeacherUnavailable, match="cannot be reached: ConnectionRefusedError"):
            await HttpTeacher(session, endpoints={"big": endpoint}, prices=Prices(PRICE)).complete(
                REQUEST, teacher="big"
            )


async def test_without_a_price_nothing_is_asked():
    async with teacher(saying(ANSWER), price=None) as asked:
        assert not asked.priced("big")
        with pytest.raises(TeacherUnavailable, match="price"):
            await asked.complete(REQUEST, teacher="big")


END = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def events(*chunks, done=True):
    lines = [b"data: " + (chunk if isinstance(chunk, bytes) else orjson.dumps(chunk)) + b"\n\n" for chunk in chunks]
    return b": a comment\n\n" + b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


async def test_a_stream_asks_for_usage_and_yields_each_chunk():
    seen = []

    async def answer(request):
        seen.append(await request.json())
        return web.Response(body=events({"n": 1}, END), content_type="text/event-stream")

    async with teacher(answer) as asked:
        assert [chunks async for chunks in asked.stream(STREAMED, teacher="big")] == [[{"n": 1}, END]]
    assert seen[0]["stream"] and seen[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (events({"n": 1}, done=False), "broke off its stream"),
        (events({"n": 1}), "broke off its stream"),  # "done" with half an answer
        (events({"n": 1}, b"{"), "not JSON"),
        (events({"n": 1}, b"3"), "a chunk that is none"),
        (events({"n": 1}, {"choices": 3}), "a chunk that is none"),
        (events({"n": 1}, {"choices": [{"delta": "x"}]}), "a chunk that is none"),
        (events({"n": 1}, b'"' + b"x" * 300_000), "broke off its answer"),  # a line without an end
        (events({"n": 1}, {"error": {"message": "overloaded"}}), "broke off: overloaded"),
    ],
)
async def test_a_stream_never_ends_in_silence(body, words, monkeypatch):
    monkeypatch.setattr("router.http_connection.LARGEST_LINE", 100_000)
    async with teacher(saying(body)) as asked:
        chunks = asked.stream(STREAMED, teacher="big")
        assert await anext(chunks) == [{"n": 1}]
        with pytest.raises(TeacherUnavailable, match=words):
            await anext(chunks)


async def test_another_endpoint_is_asked_with_the_same_key_and_name():
    seen = []

    async def answer(request):
        seen.append((request.path, await request.json(), request.headers["authorization"]))
        return web.json_response({"object": "list"})

    async with teacher(answer) as found:
        assert await found.call("embeddings", {"model": "desk", "input": "a", "new": 1}, teacher="big") == {
            "object": "list"
        }
    asked = {"model": "upstream-name", "input": "a", "new": 1}
    assert seen == [("/v1/embeddings", asked, "Bearer sk-secret")]


@pytest.mark.parametrize("body", [b"<html>", b"[1]"])
async def test_what_is_no_object_is_the_teachers_fault(body):
    async with teacher(saying(body)) as found:
        with pytest.raises(TeacherUnavailable):
            await found.call("embeddings", {"input": "a"}, teacher="big")


@pytest.mark.parametrize("end", [b"data: [DONE]\n\n", b""])
async def test_another_endpoints_events_come_to_the_end_of_its_stream(end):
    events = b'event: a\ndata: {"type": "a"}\n\n: a comment\n\ndata: {"type": "b"}\n\n' + end
    async with teacher(saying(events, headers={"content-type": "text/event-stream"})) as found:
        told = [event async for event in found.events("responses", {"input": "a", "stream": True}, teacher="big")]
    assert told == [{"type": "a"}, {"type": "b"}]


async def test_without_a_price_nothing_is_asked_and_nothing_is_free():
    async with teacher(saying({}), price=None) as found:
        with pytest.raises(TeacherUnavailable, match="price"):
            await found.call("embeddings", {"input": "a"}, teacher="big")
        with pytest.raises(TeacherUnavailable, match="price"):
            found.paid("big", Usage(1, 1))
    async with teacher(saying({})) as found:
        assert found.paid("big", Usage(10, 2)) == pytest.approx(14e-6)


async def test_what_its_provider_has_read_before_costs_less():
    cached = {**ANSWER, "usage": {**ANSWER["usage"], "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0}}}
    async with teacher(saying(cached), price=Price(1e-6, 2e-6, 1e-7)) as asked:
        reply = (await asked.complete(REQUEST, teacher="big")).reply
    assert reply.usage == Usage(10, 2, 8)
    assert reply.cost_usd == pytest.approx(2 * 1e-6 + 8 * 1e-7 + 2 * 2e-6)


LOGPROBS = {"content": [{"token": "refund", "logprob": -0.25, "bytes": None, "top_logprobs": []}]}
LOGPROBS["content"][0]["top_logprobs"] = [{"token": "loan", "logprob": -1.6, "bytes": None}]
TOLD = {**ANSWER, "choices": [{**ANSWER["choices"][0], "logprobs": LOGPROBS}]}


def choosy(seen, *, status=400, well=lambda body: True):
    """A teacher that takes no log-probabilities, and nothing at all where it is not well."""

    async def answer(request):
        seen.append(await request.json())
        if "logprobs" in seen[-1] or not well(seen[-1]):
            return web.json_response({"error": {"message": "no such parameter"}}, status=status)
        if seen[-1].get("stream"):
            return web.Response(body=events(END), content_type="text/event-stream")
        return web.json_response(ANSWER)

    return answer


async def test_log_probabilities_are_asked_for_kept_and_not_shown():
    seen = []

    async def answer(request):
        seen.append(await request.json())
        return web.json_response(TOLD)

    async with teacher(answer) as asked:
        found = await asked.complete(REQUEST, teacher="big", top=5)
        plain = await asked.complete(REQUEST, teacher="big")
    assert [body.get("top_logprobs") for body in seen] == [5, None]
    assert found.reply.logprobs == [[("refund", -0.25), ("loan", -1.6)]]
    assert found.body["choices"][0]["logprobs"] is None
    assert plain.reply.logprobs is None and plain.body == TOLD


async def test_a_client_that_asks_for_them_still_gets_what_it_asked_for():
    request = parse_chat(orjson.dumps({**BODY, "logprobs": True}))
    async with teacher(saying(TOLD)) as asked:
        found = await asked.complete(request, teacher="big", top=5)
    assert found.reply.logprobs == [[("refund", -0.25), ("loan", -1.6)]]
    (token,) = found.body["choices"][0]["logprobs"]["content"]
    assert (token["token"], token["logprob"], token["top_logprobs"]) == ("refund", -0.25, [])


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_teacher_that_refuses_them_answers_without_and_is_left_in_peace(status, *, stream, caplog):
    async def ask():
        if stream:
            return [chunk async for chunk in asked.stream(STREAMED, teacher="big", top=5)] == [[END]]
        return (await asked.complete(REQUEST, teacher="big", top=5)).reply.text == "refund"

    seen = []
    async with teacher(choosy(seen, status=status)) as asked:
        assert await ask() and await ask()
        assert ["logprobs" in body for body in seen] == [True, False, False]
    assert caplog.text.count(f"refuses log-probabilities (HTTP {status})") == 1


async def test_for_an_hour(monkeypatch):
    monkeypatch.setattr("router.teacher.WITHOUT_S", 0.0)
    seen = []
    async with teacher(choosy(seen)) as asked:
        for _ in range(2):
            await asked.complete(REQUEST, teacher="big", top=5)
    assert ["logprobs" in body for body in seen] == [True, False] * 2


async def test_a_request_that_is_refused_without_them_too_is_the_clients_and_nothing_is_remembered():
    seen = []
    async with teacher(choosy(seen, well=lambda body: len(seen) > 2)) as asked:
        with pytest.raises(UpstreamRefused, match="no such parameter"):
            await asked.complete(REQUEST, teacher="big", top=5)
        assert (await asked.complete(REQUEST, teacher="big", top=5)).reply.text == "refund"
    assert ["logprobs" in body for body in seen] == [True, False, True, False]


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_other_failures_are_not_asked_again(status):
    seen = []
    async with teacher(choosy(seen, status=status)) as asked:
        with pytest.raises((TeacherUnavailable, UpstreamRefused)):
            await asked.complete(REQUEST, teacher="big", top=5)
    assert len(seen) == 1


async def test_a_client_that_asked_for_them_itself_hears_the_refusal():
    seen = []
    request = parse_chat(orjson.dumps({**BODY, "logprobs": True, "top_logprobs": 5}))
    async with teacher(choosy(seen)) as asked:
        with pytest.raises(UpstreamRefused):
            await asked.complete(request, teacher="big", top=5)
    assert len(seen) == 1
