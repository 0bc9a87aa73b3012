"""Windows and slots on a clock that the tests move; what capacity and keys make of them is in their own tests."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.metrics import Metrics
from router.windows import WINDOW_S, Demand, Window, Windows

NOWHERE = "async+redis://127.0.0.1:1"  # nothing listens there


class Clock:
    """Seconds since the epoch, at the beginning of a minute."""

    def __init__(self) -> None:
        self.now = 60.0 * 30_000_000

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("limits.aio.storage.memory.time", SimpleNamespace(time=clock.time))
    return clock


WINDOWS = st.builds(Window, st.integers(0, 1000), st.integers(0, 1000), st.floats(0.0, 60.0))


@given(window=WINDOWS, allowed=st.integers(0, 999))
def test_the_wait_ends_where_the_window_is_down(window, allowed):
    wait_s = window.retry_after_s(allowed)

    def used_after(seconds: float) -> int:
        left_s = window.left_s - seconds
        if left_s > 0:
            return replace(window, left_s=left_s).used
        return Window(window.current, 0, max(0.0, WINDOW_S + left_s)).used  # the next minute has begun

    assert 0 <= wait_s <= 2 * WINDOW_S + 1
    assert used_after(wait_s) <= allowed
    assert wait_s == 0 or used_after(wait_s - 1.002) > allowed


async def test_what_one_limit_refuses_is_counted_in_none(clock):
    windows = Windows("async+memory://", metrics=Metrics())
    wide, narrow = Demand("wide", 2, 1), Demand("narrow", 1, 1)
    assert await windows.take([wide, narrow]) is None
    shortage = await windows.take([wide, narrow])
    assert shortage is not None and shortage.setting == "narrow"
    assert await windows.take([wide]) is None and await windows.take([]) is None


async def test_slots_are_as_many_as_there_are_and_free_again(clock):
    windows = Windows("async+memory://", metrics=Metrics())
    held = [await windows.hold("x", most=2, lease_s=60) for _ in range(3)]
    assert held == ["x/0", "x/1", None]
    await windows.free("x/0")
    assert await windows.hold("x", most=2, lease_s=60) == "x/0"
    clock.now += 61
    assert await windows.hold("x", most=2, lease_s=60) == "x/0"
