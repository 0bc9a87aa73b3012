"""A request on its way in."""

import asyncio
import re

import pytest
from starlette.requests import Request

from router.errors import BadRequest, BodyTooLarge, ClientLeft, WrongContentType
from router.intake import DEEPEST, WATCHED_AFTER_S, Attended, read_body, refuse_deep


def request(*messages, **headers):
    """A request whose server says these messages, and then nothing more."""
    coming = list(messages)

    async def receive():
        return coming.pop(0) if coming else await asyncio.Event().wait()

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": named}, receive)


def part(body, *, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


async def read(http):
    return await read_body(http, limit=10)


async def test_a_body_comes_in_parts():
    assert await read(request(part(b"12345", more=True), part(b"67890"))) == b"1234567890"


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"])
async def test_json_by_any_of_its_names_is_read(kind):
    assert await read(request(part(b"{}"), content_type=kind)) == b"{}"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "text/x+json"])
async def test_anything_else_is_refused_by_name(kind):
    with pytest.raises(WrongContentType, match=re.escape(repr(kind))):
        await read(request(part(b"{}"), content_type=kind))


@pytest.mark.parametrize(
    "http", [request(part(b"", more=True), content_length="11"), request(part(b"x" * 11, more=True))]
)
async def test_too_large_is_said_before_the_rest_is_waited_for(http):
    with pytest.raises(BodyTooLarge, match="10 bytes"):
        await read(http)


async def test_a_client_that_leaves_half_way_is_told_apart():
    with pytest.raises(ClientLeft):
        await read(request(part(b"123", more=True), {"type": "http.disconnect"}))


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"]":[', b'{"\\"]":'])
def test_what_is_nested_too_deep_is_refused_and_what_only_looks_so_is_not(opening):
    closing = {b"[": b"]", b'{"a":': b"}", b'{"]":[': b"]}", b'{"\\"]":': b"}"}[opening]
    levels = 2 if opening.endswith(b":[") else 1
    refuse_deep(opening * (DEEPEST // levels) + b"1" + closing * (DEEPEST // levels))
    refuse_deep(b"[" + b",".join([opening + b"1" + closing] * 500) + b"]")
    refuse_deep(b'{"text": "' + b"[{" * 500 + b'"}')
    with pytest.raises(BadRequest, match="levels deep"):
        refuse_deep(opening * (DEEPEST + 1) + b"1" + closing * (DEEPEST + 1))


async def leave():
    await asyncio.sleep(0.01)
    return {"type": "http.disconnect"}


async def stay():
    await asyncio.Event().wait()


async def test_work_for_a_client_that_leaves_is_cancelled():
    ended = []
    with pytest.raises(ClientLeft), Attended(leave):
        try:
            await asyncio.sleep(10)
        finally:
            ended.append(True)
    assert ended == [True]
    assert asyncio.current_task().cancelling() == 0


async def test_work_that_is_wanted_anyway_goes_on():
    with Attended(leave, anyway=True):
        await asyncio.sleep(0.05)


async def test_nobody_looks_in_the_first_moment():
    before = asyncio.all_tasks()
    with Attended(leave):
        await asyncio.sleep(0.03)
        assert asyncio.all_tasks() == before


async def test_work_for_a_client_that_stays_leaves_no_task_behind():
    before = asyncio.all_tasks()
    with Attended(stay):
        await asyncio.sleep(2 * WATCHED_AFTER_S)
        assert len(asyncio.all_tasks()) == len(before) + 1
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_being_cancelled_by_somebody_else_is_no_client_that_left():
    async def work():
        with Attended(stay):
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
