"""How an upstream is asked again, over loopback. What clients are told of its failures is in test_teacher."""

from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from router import upstream
from router.http_client import HttpClient, Patience
from router.http_connection import Unreachable
from router.upstream import Endpoint, ask


@asynccontextmanager
async def server(*statuses, headers=None):
    """An endpoint that answers with these, one after another, and the requests it has had."""
    left, seen = list(statuses), []

    async def answer(request):
        seen.append(await request.json())
        return web.json_response({}, status=left.pop(0), headers=headers)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with HttpClient() as session:
            yield session, f"http://127.0.0.1:{runner.addresses[0][1]}/v1", seen
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(upstream, "BACKOFF_S", 0.001)


@pytest.mark.parametrize(
    ("statuses", "retries", "status"),
    [
        ([200], 2, 200),
        ([503, 200], 2, 200),
        ([500, 429, 200], 2, 200),
        ([500, 500, 500], 2, 500),
        ([500], 0, 500),
        ([400], 2, 400),
        ([401], 2, 401),
    ],
)
async def test_it_is_tried_again_as_often_as_is_set_where_that_may_help(statuses, retries, status):
    async with server(*statuses) as (session, url, seen):
        endpoint = Endpoint(url, "m", None, 2.0, retries=retries)
        async with await ask(session, endpoint, {"x": 1}) as response:
            assert response.status == status
    assert seen == [{"x": 1, "model": "m"}] * len(statuses)


async def test_a_pause_longer_than_anybody_waits_is_passed_on_at_once():
    async with server(429, 200, headers={"retry-after": "60"}) as (session, url, seen):
        response = await ask(session, Endpoint(url, "m", None, 2.0, retries=2), {})
        response.close()
        assert (response.status, response.header("retry-after")) == (429, "60")
    assert len(seen) == 1


async def test_nobody_there_is_told_after_the_last_try():
    async with HttpClient() as session:
        with pytest.raises(Unreachable):
            await ask(session, Endpoint("http://127.0.0.1:1/v1", "m", None, 2.0, retries=1), {})


def test_only_a_stream_has_a_first_token_to_wait_for():
    endpoint = Endpoint("u", "m", None, 60.0, connect_s=1.0, first_token_s=7.0)
    assert endpoint.patience(stream=True) == Patience(total_s=60.0, connect_s=1.0, pause_s=7.0)
    assert endpoint.patience(stream=False) == Patience(total_s=60.0, connect_s=1.0, pause_s=None)
