"""Which requests come all the time, and which in bursts."""

import random

import pytest

from calibration.steady import bursts

N = 400  # rows before the window, and in it


def traffic(places, *, n=2 * N):
    """One request at these places, number 0, and distinct ones elsewhere."""
    there = set(places)
    return [0 if place in there else place + 1 for place in range(n)]


def steady(places, *, before=N):
    numbers = bursts(traffic(places, n=N + before), before=before)
    assert all(number == place + 1 for place, number in enumerate(numbers) if number)  # others stay what they are
    assert numbers.count(0) in (0, len(places))  # all of a request or nothing
    return numbers.count(0) == 0


@pytest.mark.parametrize("share", [0.02, 0.05, 0.3, 1.0])
def test_a_request_that_comes_all_the_time_is_no_burst(share):
    found = [steady(random.Random(seed).sample(range(2 * N), int(share * 2 * N))) for seed in range(50)]
    assert sum(found) >= 47  # one in a hundred is too uneven by chance


@pytest.mark.parametrize(
    "span",
    [(N, 2 * N), (0, N), (N, N + 40), (N - 40, N + 40), (N // 2, 3 * N // 2)],
    ids=["in the window alone", "before it alone", "a part of it", "around its beginning", "half of the time"],
)
def test_what_comes_for_a_time_only_is_a_burst(span):
    assert not any(steady(random.Random(seed).sample(range(*span), 30)) for seed in range(50))


@pytest.mark.parametrize("places", [(300, 500), (0, 300, 500)])
def test_a_few_rows_are_steady_where_one_was_there_before(places):
    assert steady(places)


def test_what_was_not_there_before_or_is_not_in_the_window_may_be_a_burst():
    """However evenly it comes there."""
    assert not steady(range(0, N, 200)) and not steady(range(N, 2 * N, 200))
    assert not steady(range(0, N + 150, 10), before=150)  # too little is known of the time before
    assert not bursts([0] * 50, before=0).count(None)


@pytest.mark.parametrize("n", [500, 5000, 50_000])
def test_what_grows_slowly_is_steady_however_many_rows_show_it(n):
    """A third more often in the window than before it; six times as often is a burst."""
    growing, new = (sorted({int(n * (x / n) ** power) for x in range(0, n, 8)}) for power in (0.8, 0.35))
    assert bursts([0 if place in set(growing) else None for place in range(n)], before=n // 2).count(0) == 0
    assert bursts([0 if place in set(new) else None for place in range(n)], before=n // 2).count(0) > 0


def test_rows_of_no_cluster_stay_so():
    assert bursts([None] * 50, before=25) == [None] * 50
    assert bursts([], before=0) == []
