"""Limits of keys with the library's own windows in memory, on a clock that the tests move."""

import pytest

from ledger.keys import Grant
from router.errors import RateLimited
from router.limits import STREAM_S, KeyLimits
from router.metrics import Metrics
from router.ports import Caller
from router.windows import Windows
from tests.router.test_windows import NOWHERE, Clock, clock

__all__ = ["clock"]  # a fixture


def limits(url="async+memory://", *, metrics=None) -> KeyLimits:
    metrics = metrics or Metrics()
    return KeyLimits(Windows(url, metrics=metrics), metrics=metrics)


def caller(account="key-1", **grant) -> Caller:
    return Caller(account, account, Grant("shop", **grant))


async def refusal(parts, who, *, tokens=1, stream=False) -> RateLimited:
    with pytest.raises(RateLimited) as refused:
        await parts.admit(who, tokens=tokens, stream=stream)
    error = refused.value
    assert (error.status, error.type, error.code) == (429, "rate_limit_error", "rate_limit_exceeded")
    return error


async def test_requests_a_minute_are_counted_by_account(clock: Clock):
    metrics = Metrics()
    parts, who = limits(metrics=metrics), caller(rpm=2)
    for _ in range(2):
        await parts.admit(who, tokens=1, stream=False)
    error = await refusal(parts, Caller("key-2", "key-1", who.grant))  # its successor
    assert "rpm" in error.message and 0 < int(error.headers["retry-after"]) <= 120
    await parts.admit(caller("key-9", rpm=2), tokens=1, stream=False)
    clock.now += 121
    await parts.admit(who, tokens=1, stream=False)
    assert metrics.registry.get_sample_value("tutelage_key_refused_total", {"limit": "rpm"}) == 1


async def test_tokens_a_minute_and_what_is_refused_counts_nowhere(clock: Clock):
    parts, who = limits(), caller(rpm=3, tpm=100)
    await parts.admit(who, tokens=60, stream=False)
    assert "tpm" in (await refusal(parts, who, tokens=60)).message
    await parts.admit(who, tokens=40, stream=False)
    await refusal(parts, who, tokens=1)
    clock.now += 121
    await parts.admit(who, tokens=1000, stream=False)  # as much as a minute has: the teacher judges the size


async def test_streams_at_once(clock: Clock):
    parts, who = limits(), caller(streams=2)
    first = await parts.admit(who, tokens=1, stream=True)
    await parts.admit(who, tokens=1, stream=True)
    assert (await refusal(parts, who, stream=True)).headers == {"retry-after": "1"}
    await parts.admit(who, tokens=1, stream=False)
    await first()
    last = await parts.admit(who, tokens=1, stream=True)
    await refusal(parts, who, stream=True)
    await last()


async def test_a_stream_that_rpm_refuses_is_not_counted(clock: Clock):
    parts, who = limits(), caller(rpm=1, streams=1)
    free = await parts.admit(who, tokens=1, stream=True)
    await free()
    assert "rpm" in (await refusal(parts, who, stream=True)).message
    clock.now += 121
    await (await parts.admit(who, tokens=1, stream=True))()


async def test_streams_of_a_killed_process_end_by_themselves(clock: Clock):
    parts, who = limits(), caller(streams=1)
    await parts.admit(who, tokens=1, stream=True)
    clock.now += STREAM_S + 1
    await parts.admit(who, tokens=1, stream=True)


async def test_a_store_that_does_not_answer_limits_nobody_and_is_counted():
    metrics = Metrics()
    parts, who = limits(NOWHERE, metrics=metrics), caller(rpm=1, streams=1)
    for _ in range(3):
        await (await parts.admit(who, tokens=1, stream=True))()
    assert metrics.registry.get_sample_value("tutelage_capacity_errors_total") >= 1
