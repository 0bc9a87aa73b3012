"""Exact bounds against closed forms."""

import pytest

from calibration.bounds import binomial_interval, binomial_p_value, smallest_sample, upper_bound


def test_p_values_in_closed_form():
    assert binomial_p_value(0, 10, 0.1) == pytest.approx(0.9**10)
    assert binomial_p_value(1, 2, 0.5) == pytest.approx(0.75)
    assert binomial_p_value(0, 0, 0.1) == 1.0


def test_the_upper_bound_inverts_the_p_value():
    assert binomial_p_value(3, 100, upper_bound(3, 100, 0.05)) == pytest.approx(0.05)
    assert upper_bound(0, 0, 0.05) == upper_bound(5, 5, 0.05) == 1.0


def test_the_smallest_sample_is_the_smallest():
    n = smallest_sample(0.05, 0.05)
    assert n == 59
    assert binomial_p_value(0, n, 0.05) <= 0.05 < binomial_p_value(0, n - 1, 0.05)


def test_intervals_hold_the_rate_and_nothing_means_everything():
    low, high = binomial_interval(5, 100)
    assert low < 0.05 < high
    assert binomial_interval(0, 0) == (0.0, 1.0)
    assert binomial_interval(0, 20)[0] == 0.0
