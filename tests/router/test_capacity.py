"""Capacity with the library's own windows in memory, on a clock that the tests move."""

import logging
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.capacity import Allowance, SlidingCapacity
from router.metrics import Metrics
from router.windows import STORE_REST_S, WARN_EVERY_S, Windows
from tests.router.test_windows import NOWHERE, Clock, clock

__all__ = ["clock"]  # a fixture


def capacity(url="async+memory://", *, clock=None, metrics=None, **allowance) -> SlidingCapacity:
    chosen = {"clock": clock.time} if clock else {}
    allowances = {"big": Allowance(**allowance), "free": Allowance()}
    return SlidingCapacity(Windows(url, metrics=metrics or Metrics(), **chosen), allowances=allowances)


async def admitted(parts, number, *, tokens=1, priority="high") -> int:
    taken = [await parts.take("big", tokens=tokens, priority=priority) for _ in range(number)]
    return taken.count(None)


async def test_a_teacher_without_capacity_is_never_short(clock):
    parts = capacity(rpm=1)
    assert [await parts.take("free", tokens=10**9, priority="low") for _ in range(50)] == [None] * 50


@pytest.mark.parametrize(("priority", "number"), [("high", 100), ("normal", 91), ("low", 71)])
async def test_who_gives_way_first(clock, priority, number):
    # With 100 - 90 = 10 left, 10 % are left: not less than 10 %, so that one more is admitted.
    parts = capacity(rpm=100)
    assert await admitted(parts, 150, priority=priority) == number
    assert await admitted(parts, 150, priority="high") == 100 - number


async def test_the_smallest_capacity_admits_any_priority(clock):
    assert await admitted(capacity(rpm=1), 3, priority="low") == 1


async def test_tokens_are_limited_beside_requests_and_the_shorter_setting_is_named(clock):
    parts = capacity(rpm=100, tpm=1000)
    assert await admitted(parts, 10, tokens=300) == 3
    assert (await parts.take("big", tokens=300, priority="high")).setting == "teachers.big.capacity_tpm"
    assert await admitted(parts, 1, tokens=100) == 1  # what was refused has not been counted
    parts = capacity(rpm=1, tpm=1000)
    await admitted(parts, 1)
    assert (await parts.take("big", tokens=300, priority="high")).setting == "teachers.big.capacity_rpm"


async def test_a_request_larger_than_the_capacity_takes_an_empty_window(clock):
    parts = capacity(tpm=1000)
    assert await admitted(parts, 2, tokens=5000) == 1
    assert (await parts.take("big", tokens=5000, priority="high")).retry_after_s == 120
    clock.now += 120
    assert await admitted(parts, 2, tokens=5000) == 1


@pytest.mark.parametrize("elapsed_s", [0.0, 40.0, 75.0, 110.0])
@pytest.mark.parametrize("rpm", [1, 7, 60])
async def test_after_the_time_it_says_there_is_room_and_not_before(clock, rpm, elapsed_s):
    parts = capacity(rpm=rpm)
    await admitted(parts, rpm // 2)
    clock.now += elapsed_s
    await admitted(parts, rpm)
    shortage = await parts.take("big", tokens=1, priority="high")
    clock.now += shortage.retry_after_s - 1.002
    assert await admitted(parts, 1) == 0
    clock.now += 1.002
    assert await admitted(parts, 1) == 1


@given(
    rpm=st.integers(1, 30),
    tpm=st.integers(1, 500),
    arrivals=st.lists(
        st.tuples(st.floats(0.0, 20.0), st.integers(1, 600), st.sampled_from(["high", "normal", "low"])), max_size=120
    ),
)
async def test_no_minute_of_the_clock_holds_more_than_the_capacity(rpm, tpm, arrivals):
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("limits.aio.storage.memory.time", SimpleNamespace(time=clock.time))
        parts = capacity(rpm=rpm, tpm=tpm)
        counted: dict[int, list[int]] = {}
        for pause, tokens, priority in arrivals:
            clock.now += pause
            if await parts.take("big", tokens=tokens, priority=priority) is None:
                counted.setdefault(int(clock.now // 60), []).append(min(tokens, tpm))
    assert all(len(minute) <= rpm and sum(minute) <= tpm for minute in counted.values())


async def test_a_store_that_does_not_answer_admits_all_warns_once_a_minute_and_is_counted(caplog):
    clock, metrics = Clock(), Metrics()
    parts = capacity(NOWHERE, clock=clock, metrics=metrics, rpm=1)
    failures = []
    for pause in (0.0, 1.0, STORE_REST_S, WARN_EVERY_S):
        clock.now += pause
        with caplog.at_level(logging.WARNING):
            assert await admitted(parts, 3) == 3
        failures.append(metrics.registry.get_sample_value("tutelage_capacity_errors_total"))
    assert failures == [1, 1, 2, 3]  # once, then it rests
    assert [record.message.startswith("teachers and keys are not limited") for record in caplog.records] == [True] * 2
    assert "server.limits_url" in caplog.text
