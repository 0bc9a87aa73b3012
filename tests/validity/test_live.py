"""What is promised of a release in force, by repetition; `make validity` prints all of it, with more runs."""

import math

import pytest

from bench.validity_live import BOUND, DELAYS, false_alarms, intervals, median_delay

pytestmark = pytest.mark.validity


def allowed(runs: int, rate: float) -> float:
    """So many runs, and two standard errors."""
    return runs * rate + 2 * math.sqrt(runs * rate * (1 - rate))


@pytest.mark.parametrize(("too_sure", "rise"), [(1.0, 1.0), (2.0, 5.0)])
def test_the_interval_is_rarely_wrong_anywhere_on_its_path_and_says_something(too_sure, rise):
    found = intervals(runs=100, too_sure=too_sure, rise=rise)
    assert found.misses <= allowed(100, 0.05)
    assert found.half_width < 0.13


def test_false_alarms_within_m_references_are_rarer_than_m_by_bound():
    assert false_alarms(runs=300, within=500) <= allowed(300, 500 / BOUND)


@pytest.mark.parametrize(("risk", "elsewhere"), DELAYS.items())
def test_an_alarm_sounds_about_as_soon_as_measured_elsewhere(risk, elsewhere):
    assert elsewhere / 1.5 <= median_delay(risk, runs=60) <= elsewhere * 1.5
