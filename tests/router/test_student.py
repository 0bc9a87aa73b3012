"""vLLM's answer as it comes, and a student that is down."""

import aiohttp
import orjson
import pytest
from aiohttp import web

from ledger.prices import Price
from router.errors import StudentUnavailable
from router.student import Breaker, VllmStudent
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


async def draft_from(answer, *, status=200, calls=1, timeout_s=2.0):
    """Serve one scripted answer on loopback and draft from it; the request body, then the draft."""
    seen = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(await request.json())
        return web.Response(body=answer if isinstance(answer, bytes) else orjson.dumps(answer), status=status)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}"
            student = VllmStudent(session, url=url, price=Price(1e-6, 2e-6), timeout_s=timeout_s)
            for _ in range(calls - 1):
                with pytest.raises(StudentUnavailable):
                    await student.draft(REQUEST, model="desk--v000001", max_tokens=5)
            return seen, await student.draft(REQUEST, model="desk--v000001", max_tokens=5)
    finally:
        await runner.cleanup()


async def test_a_draft_carries_evidence_usage_and_cost():
    (body,), draft = await draft_from(ANSWER)
    assert (draft.text, draft.finish_reason) == ("refund", "stop")
    assert draft.evidence["first_logprob"] == -0.1
    assert draft.cost_usd == pytest.approx(12e-6)
    assert (body["model"], body["temperature"], body["max_tokens"], body["stop"]) == ("desk--v000001", 0, 5, ["."])


async def test_without_logprobs_there_is_no_evidence():
    choice = {**ANSWER["choices"][0], "logprobs": None}
    _, draft = await draft_from({**ANSWER, "choices": [choice]})
    assert draft.evidence == {}


@pytest.mark.parametrize(("answer", "status"), [(b"<html>", 200), ({"choices": []}, 200), (ANSWER, 404), (ANSWER, 500)])
async def test_anything_else_is_unavailable(answer, status):
    with pytest.raises(StudentUnavailable):
        await draft_from(answer, status=status)


async def test_a_dead_student_is_not_waited_for():
    async with aiohttp.ClientSession() as session:
        student = VllmStudent(
            session, url="http://127.0.0.1:1", price=Price(0.0, 0.0), timeout_s=2.0, breaker=Breaker()
        )
        for _ in range(3):
            with pytest.raises(StudentUnavailable, match="ClientConnector"):
                await student.draft(REQUEST, model="m", max_tokens=5)
        with pytest.raises(StudentUnavailable, match="not asked"):
            await student.draft(REQUEST, model="m", max_tokens=5)


def test_the_breaker_lets_one_try_through_after_its_pause():
    now = [0.0]
    breaker = Breaker(failures=2, pause_s=5.0, clock=lambda: now[0])
    breaker.note(ok=False)
    assert not breaker.open
    breaker.note(ok=False)
    assert breaker.open
    now[0] = 5.0
    assert not breaker.open  # the one try
    assert breaker.open
    breaker.note(ok=True)
    assert not breaker.open
