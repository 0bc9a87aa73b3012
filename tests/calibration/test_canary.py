import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from calibration.canary import FALSE_ROLLBACK, Limits, Side, fails_more, is_slower, level, looks, p95

LIMITS = Limits(errors=0.02, slowdown=1.5)


def failing(asked, failed):
    return Side(asked, failed, [])


def quick(n, seconds=1.0):
    return Side(n, 0, [seconds * (1 + i / n) for i in range(n)])


@pytest.mark.parametrize(("most", "sizes"), [(10, [10]), (25, [10, 20, 25]), (80, [10, 20, 40, 80])])
def test_each_look_has_twice_as_many_requests(most, sizes):
    assert list(looks(most)) == sizes


def test_all_looks_at_both_questions_spend_no_more_than_is_said():
    assert 2 * sum(level(look) for look in range(1, 10_000)) <= FALSE_ROLLBACK


def test_a_release_that_answers_nothing_is_found_at_the_first_look():
    trial = failing(10, 10)
    assert fails_more(trial, failing(90, 0), limits=LIMITS, at=level(1))
    assert fails_more(trial, None, limits=LIMITS, at=level(1))


def test_where_all_fail_alike_it_is_not_the_release():
    assert not fails_more(failing(200, 100), failing(1800, 900), limits=LIMITS, at=level(6))
    assert fails_more(failing(200, 100), None, limits=LIMITS, at=level(6))


def test_what_is_borne_is_borne_however_well_the_others_do():
    assert not fails_more(failing(1000, 20), failing(100_000, 0), limits=LIMITS, at=0.05)
    assert fails_more(failing(1000, 21), failing(100_000, 0), limits=LIMITS, at=0.05)


def test_others_of_whom_hardly_any_was_asked_say_nothing():
    assert fails_more(failing(40, 20), failing(9, 9), limits=LIMITS, at=level(3))
    assert not fails_more(failing(40, 20), failing(10, 10), limits=LIMITS, at=level(3))


def test_up_to_the_slowdown_it_may_take_longer():
    assert not is_slower(quick(200, 1.5), quick(1800), limits=LIMITS, at=level(6))
    assert is_slower(quick(200, 3.2), quick(1800), limits=LIMITS, at=level(6))
    assert not is_slower(quick(200, 3.2), quick(1800), limits=Limits(0.02, None), at=level(6))


def test_a_slow_tail_is_slow_although_most_answers_are_quick():
    tail = Side(200, 0, [1.0] * 170 + [20.0] * 30)
    assert is_slower(tail, quick(1800), limits=LIMITS, at=level(6))


@pytest.mark.parametrize(("mine", "others"), [(0, 500), (200, 9), (0, 0)])
def test_without_answers_on_both_sides_nobody_is_slower(mine, others):
    assert not is_slower(quick(mine, 100.0), quick(others), limits=LIMITS, at=0.05)


def test_the_95th_percentile_of_one_answer_is_that_answer():
    assert p95([0.3]) == 0.3


@given(st.data(), st.floats(1e-6, 0.5))
def test_failures_are_compared_by_fishers_exact_test(data, at):
    n, m = data.draw(st.integers(10, 60)), data.draw(st.integers(10, 300))
    mine, theirs = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    p = float(fisher_exact([[mine, n - mine], [theirs, m - theirs]], alternative="greater").pvalue)
    if abs(p - at) > 1e-9:
        found = fails_more(failing(n, mine), failing(m, theirs), limits=Limits(0.0, None), at=at)
        assert found == (p <= at and mine > 0)
