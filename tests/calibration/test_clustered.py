"""How likely so few errors are where rows stand or fall together."""

import math

import numpy as np
import pytest
from scipy.stats import binom, poisson

from calibration.bounds import binomial_p_value, lower_bound, upper_bound
from calibration.clustered import (
    NO_CLUSTERS,
    Clusters,
    as_of,
    errors_allowed,
    least_share,
    p_value,
    risk_bound,
    rows_in,
    sizes_of,
)

PAIRS, MIXED = {1: 460, 2: 20}, {1: 300, 2: 40, 3: 10, 9: 5}


def test_distinct_rows_are_binomial():
    assert p_value(5, {1: 200}, 0.1) == binomial_p_value(5, 200, 0.1) == p_value(5, {1: 200}, 0.1, before={1: 200})
    assert p_value(0, {}, 0.1) == 1.0
    assert risk_bound(5, {1: 200}, 0.04) == upper_bound(5, 200, 0.04)
    assert least_share(150, {1: 200}, 0.04) == lower_bound(150, 200, 0.04)
    assert least_share(0, {1: 200}, 0.04) == least_share(0, {}, 0.04) == 0.0


def test_rows_before_the_window_are_as_many_as_in_it():
    numbers = ["a", "a", None, "b", "b", "b", *range(12)]
    found = Clusters.of(numbers, before=6)
    assert (found.among, found.before) == ({1: 12}, {1: 2, 2: 2, 3: 2})
    assert Clusters.of(numbers[3:], before=0) == Clusters({3: 1, 1: 12}, {})


def test_where_all_rows_are_pairs_wrong_pairs_are_a_poisson_number():
    assert p_value(9, {2: 300}, 0.05) == pytest.approx(poisson.cdf(4, 15))


@pytest.mark.parametrize("sizes", [PAIRS, MIXED, {1: 80, 30: 2}])
def test_it_grows_with_errors_with_clusters_and_with_what_was_there_before(sizes):
    rows = rows_in(sizes)
    found = [p_value(errors, sizes, 0.1) for errors in range(0, 40)]
    assert found == sorted(found)
    assert all(p_value(errors, sizes, 0.1) > binomial_p_value(errors, rows, 0.1) for errors in range(0, 40, 5))
    assert p_value(20, sizes, 0.12) < p_value(20, sizes, 0.1)
    assert p_value(20, sizes, 0.1, before=sizes) >= p_value(20, sizes, 0.1)
    assert p_value(6, {1: rows}, 0.1, before={2: 9}) > p_value(6, {1: rows}, 0.1)


def chance(errors: int, rates: dict[int, float], *, distinct: int, wrong: float) -> float:
    """P(at most so many errors) of `wrong` expected errors among distinct rows and so many wrong clusters of a size."""
    found = np.zeros(errors + 1)
    found[0] = 1.0
    for size, rate in rates.items():
        added = np.zeros_like(found)
        for number, share in enumerate(poisson.pmf(np.arange(errors // size + 1), rate)):
            added[number * size :] += share * found[: errors + 1 - number * size]
        found = added
    return float((found * binom.cdf(np.arange(errors, -1, -1), distinct, wrong / max(1, distinct))).sum())


def climbed(errors: int, sizes: dict[int, int], *, wrong: float, rng: np.random.Generator) -> float:
    """The most that a search from random ways to spread the risk finds."""
    large, distinct = sorted(size for size in sizes if size > 1), sizes.get(1, 0)
    most = np.array([distinct, *(size * (sizes[size] + math.sqrt(sizes[size])) for size in large)])
    best = 0.0
    for _ in range(3):
        way = rng.dirichlet(np.full(len(most), 0.5)) * wrong
        for _ in range(60):  # what does not fit goes where there is room
            way, over = np.minimum(way, most), np.maximum(0.0, way - most).sum()
            way += over * (most - way) / (most - way).sum()
        found, step = 0.0, 0.3 * wrong
        for _ in range(100):
            source, target = rng.choice(len(most), 2, replace=False)
            moved, part = way.copy(), min(step * rng.random(), way[source], most[target] - way[target])
            moved[source], moved[target] = moved[source] - part, moved[target] + part
            rates = {size: rows / size for size, rows in zip(large, moved[1:], strict=True)}
            likelier = chance(errors, rates, distinct=distinct, wrong=float(moved[0]))
            way, found, step = (moved, likelier, step) if likelier > found else (way, found, step * 0.97)
        best = max(best, found)
    return best


@pytest.mark.parametrize(
    "sizes",
    [
        *(PAIRS, MIXED, {1: 380, 23: 1, 24: 1}, {1: 344, 5: 4, 6: 8, 25: 1}),
        *({20: 17, 21: 17}, {5: 20, 6: 20}, {1: 100, 5: 12, 6: 12}),  # where a smaller one may be wrong once more
        *({2: 60, 3: 40, 4: 20, 5: 10}, {3: 43, 8: 32, 9: 28}, {4: 18, 9: 26}, {1: 251, 5: 7, 7: 15, 8: 23}),
    ],
)
@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_no_way_to_spread_the_risk_is_likelier(sizes, alpha):
    (most,) = errors_allowed([sizes], [alpha], 0.04)
    for errors in {max(0, int(most)), max(0, int(most) - 1)}:
        found = climbed(errors, sizes, wrong=alpha * rows_in(sizes), rng=np.random.default_rng(7))
        assert found <= 1.02 * p_value(errors, sizes, alpha)


def test_many_sizes_count_as_few_larger_ones():
    many = {1: 200, **dict.fromkeys(range(2, 12), 3)}
    few = {1: 200, 2: 3, 3: 3, 5: 6, 7: 6, 9: 6, 11: 6}
    assert p_value(12, many, 200 / rows_in(many) * 0.1) > 0.0
    assert p_value(12, {1: 200}, 0.1, before=many) == pytest.approx(p_value(12, {1: 200}, 0.1, before=few), rel=1e-6)


def test_where_fewer_rows_are_known_there_may_be_more_of_each():
    assert as_of([1, 1, 2, None], rows=10) == {1: 5, 2: 3} and as_of([1, 1], rows=1) == {2: 1}
    assert as_of([], rows=9) == {}


@pytest.mark.parametrize("sizes", [PAIRS, MIXED])
def test_a_bound_is_the_risk_that_is_just_rejected(sizes):
    bound = risk_bound(12, sizes, 0.04, before={2: 3})
    assert upper_bound(12, rows_in(sizes), 0.04) < bound < 0.2
    assert p_value(12, sizes, bound, before={2: 3}) == pytest.approx(0.04, rel=0.01)
    assert risk_bound(0, {50: 2}, 0.04) == 1.0  # nobody knows how many there might have been


def test_of_near_duplicates_none_counts_as_a_hit():
    assert least_share(490, PAIRS, 0.04) == lower_bound(450, 460, 0.04) * 460 / 500
    assert least_share(30, PAIRS, 0.04) == least_share(4, {2: 2}, 0.04) == 0.0


def test_the_most_errors_pass_and_one_more_does_not():
    sizes = [{1: 200}, PAIRS, MIXED, {40: 3}]
    for before in ({}, {2: 5}):
        allowed = errors_allowed(sizes, [0.1] * 4, 0.04, before=before)
        for each, most in zip(sizes, allowed.tolist(), strict=True):
            assert most == -1 or p_value(most, each, 0.1, before=before) <= 0.041  # a forecast
            assert p_value(most + 1, each, 0.1, before=before) > 0.04
        assert allowed[-1] == -1
    assert errors_allowed([{1: 200}, {1: 20}], [0.1, 0.1], 0.04).tolist() == [12, -1]


def test_rows_of_no_cluster_are_distinct():
    assert sizes_of([3, None, 3, 5, None, 4, 4, 4]) == {1: 3, 2: 1, 3: 1}
    assert sizes_of([]) == {} and rows_in({1: 3, 2: 1, 3: 1}) == 8


def test_clusters_are_scaled():
    known = Clusters(PAIRS, {1: 480, 2: 10})
    assert known.effect == pytest.approx((460 + 20 * 4) / 500) and Clusters({25: 4}).effect == 25.0
    assert known.accepted(250, share=0.5) == {1: 230, 2: 10} and known.alike == 40
    assert known.accepted(5, share=0.01) == {1: 3, 2: 1}  # a cluster may be among them
    assert Clusters({40: 1, 3: 5}).accepted(30, share=0.3) == {1: 24, 3: 2}
    assert NO_CLUSTERS.all_distinct and not known.all_distinct and Clusters({1: 9}, {1: 9}).all_distinct
    assert NO_CLUSTERS.effect == 1.0 and NO_CLUSTERS.accepted(7, share=0.5) == {1: 7}
