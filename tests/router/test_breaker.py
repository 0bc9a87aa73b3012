"""When an upstream is left alone, and when it is tried again."""

from router.breaker import Breaker


def test_the_breaker_lets_one_try_through_after_its_pause():
    now = [0.0]
    breaker = Breaker(failures=2, pause_s=5.0, clock=lambda: now[0])
    breaker.note(ok=False)
    assert not breaker.open and breaker.retry_after_s == 0.0
    breaker.note(ok=False)
    assert breaker.open
    now[0] = 2.0
    assert breaker.retry_after_s == 3.0
    now[0] = 5.0
    assert breaker.retry_after_s == 0.0
    assert not breaker.open  # the one try
    assert breaker.open and breaker.retry_after_s == 5.0
    breaker.note(ok=True)
    assert not breaker.open and breaker.retry_after_s == 0.0


def test_a_success_between_failures_keeps_it_closed():
    breaker = Breaker(failures=2)
    for ok in (False, True, False):
        breaker.note(ok=ok)
    assert not breaker.open


def test_opening_and_closing_are_told_once_each():
    told = []
    breaker = Breaker(failures=2, told=told.append)
    for ok in (False, False, False, True, True, False):
        breaker.note(ok=ok)
    assert told == [True, False]
