import pytest

from ledger.live import DAY_S, Live, alarm_days, pace

LIVE = Live(since=100.0, answers=900, references=50, errors=2, agreement=0.96, low=0.9, high=0.99, alarm=0.25)


def test_the_pace_is_of_references_a_day_since_the_release_is_in_force():
    assert LIVE.pace(now=100.0 + DAY_S / 2) == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("references", "until"), [(9, DAY_S), (50, 3599.0), (50, -1.0)], ids=["few", "young", "a clock set back"]
)
def test_a_few_references_or_a_short_time_tell_no_pace(references, until):
    assert pace(references, since=0.0, until=until) is None


def test_false_alarms_of_all_tasks_come_as_often_as_their_rates_add_up_to():
    bounds = {"desk": 5000.0, "mail": 1000.0, "chat": 10.0}
    assert alarm_days({"desk": 100.0}, bounds) == pytest.approx(50.0)
    assert alarm_days({"desk": 100.0, "mail": 10.0}, bounds) == pytest.approx(1 / (1 / 50 + 1 / 100))
    assert alarm_days({}, bounds) is None
