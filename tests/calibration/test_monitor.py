import math

import numpy as np
import pytest

from calibration.monitor import Alarm, delay, exposure, rise

ALPHA = 0.05


def watch(disagreements, *, bound=5000.0):
    """The detector where it sounds, or after all of them."""
    alarm = Alarm(ALPHA, bound)
    for disagreement in disagreements:
        alarm = alarm.after(disagreement)
        if alarm.raised:
            break
    return alarm


def references(rng, risk, n):
    return (rng.random(n) < risk).astype(float).tolist()


def test_an_alarm_starts_silent_and_counts():
    alarm = Alarm(ALPHA, 5000.0).after(0.0).after(1.0)
    assert (alarm.references, alarm.errors, alarm.raised) == (2, 1, False)
    assert 0 < alarm.level < 1


def test_no_statistic_is_ever_negative():
    alarm = Alarm(ALPHA, 5000.0)
    for disagreement in [0.0] * 200 + [1.0] * 5 + [0.5]:
        alarm = alarm.after(disagreement)
        assert min(alarm.sums) >= 0


def test_a_run_of_errors_sounds_soon():
    assert watch([1.0] * 1000).references < 10


@pytest.mark.parametrize("bad", [{"alpha": 0.0}, {"alpha": 1.0}, {"bound": 1.0}, {"bound": math.nan}])
def test_nonsense_is_refused(bad):
    with pytest.raises(ValueError):
        Alarm(**{"alpha": ALPHA, "bound": 100.0} | bad)
    with pytest.raises(ValueError):
        Alarm(ALPHA, 100.0).after(1.5)


@pytest.mark.parametrize(("risk", "measured"), [(0.10, 190), (0.15, 75), (0.25, 28)])
def test_the_delay_told_is_the_detectors_own(risk, measured):
    """Risk 3 % before; `measured` elsewhere with the same bets, in references."""
    rng, delays = np.random.default_rng(1), []
    for _ in range(60):
        alarm = watch(references(rng, 0.03, 500) + references(rng, risk, 4000))
        delays.append(alarm.references - 500)
    told = delay(alpha=ALPHA, bound=5000.0, risk=risk)
    assert told == pytest.approx(float(np.median(delays)), rel=0.35)
    assert told == pytest.approx(measured, rel=0.35)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [([0.0] * 90, [1.0] * 9, 9), ([0.0] * 90, [1.0, 0.0, 1.0, 1.0], 4), ([], [1.0] * 3, 3)],
)
def test_a_rise_is_found_where_it_began(before, after, expected):
    assert rise(before + after, alpha=0.1) == expected


def test_exposure_counts_answers_beyond_the_contract():
    assert exposure(alpha=ALPHA, bound=5000.0, risk=0.05, rho=0.05) == math.inf
    waited = delay(alpha=ALPHA, bound=5000.0, risk=0.15)
    assert exposure(alpha=ALPHA, bound=5000.0, risk=0.15, rho=0.05) == pytest.approx(waited / 0.05 * 0.10)
