"""What is promised of a release in force, by repetition; `make validity` prints all of it, with more runs."""

import pytest

from bench.limits import allowed
from bench.validity_live import BOUND, DELAYS, MISSES, NEAR, false_alarms, intervals, median_delay

pytestmark = pytest.mark.validity


@pytest.mark.parametrize(("too_sure", "rise"), [(1.0, 1.0), (2.0, 5.0)])
def test_the_interval_is_rarely_wrong_anywhere_on_its_path_and_says_something(too_sure, rise):
    found = intervals(runs=60, too_sure=too_sure, rise=rise)
    assert found.misses <= MISSES * 60
    assert found.half_width < 0.13


def test_false_alarms_within_m_references_are_rarer_than_m_by_bound():
    assert false_alarms(runs=300, within=500) <= allowed(300, 500 / BOUND)


@pytest.mark.parametrize(("risk", "elsewhere"), DELAYS.items())
def test_an_alarm_sounds_about_as_soon_as_measured_elsewhere(risk, elsewhere):
    assert elsewhere / NEAR <= median_delay(risk, runs=60) <= elsewhere * NEAR
