"""How often a canary that is no worse is rolled back, and how often a worse one is found, by repetition."""

import numpy as np
import pytest

from bench.limits import allowed
from calibration.canary import FALSE_ROLLBACK, Limits, Side, fails_more, is_slower, level, looks

pytestmark = pytest.mark.validity
REQUESTS, SHARE = 200, 0.1
BORNE = 0.02


def stretch(rng, *, slow, failing, n):
    """Latencies as they are seen: a heavy tail, and bad minutes in which everything takes four times as long."""
    busy = np.repeat(rng.random(n // 50 + 1) < 0.2, 50)[:n]
    return slow * rng.lognormal(-1.0, 0.7, n) * np.where(busy, 4.0, 1.0), rng.random(n) < failing


def rolled_back(rng, *, limits, failing=(0.05, 0.05), slow=1.0, champion=True):
    """One trial to its end, conversations drawn by SHARE, with looks as the worker has them."""
    n = int(REQUESTS / SHARE * 1.3)
    is_trial = rng.random(n) < SHARE
    times, broken = stretch(rng, slow=1.0, failing=failing[1], n=n)
    times = np.where(is_trial, slow * times, times)
    broken = np.where(is_trial, rng.random(n) < failing[0], broken)
    places = np.flatnonzero(is_trial)
    for number, size in enumerate(looks(min(REQUESTS, len(places))), 1):
        span = slice(places[0], places[size - 1] + 1)
        sides = []
        for mine in (is_trial[span], ~is_trial[span]):
            fails = broken[span][mine]
            sides.append(Side(int(mine.sum()), int(fails.sum()), times[span][mine][~fails]))
        trial, others = sides
        if fails_more(trial, others if champion else None, limits=limits, at=level(number)):
            return True
        if is_slower(trial, others, limits=limits, at=level(number)):
            return True
    return False


@pytest.mark.parametrize(
    ("limits", "facts"),
    [
        (Limits(BORNE, 1.0), {}),
        (Limits(BORNE, 1.5), {"slow": 1.5}),
        (Limits(BORNE, 1.5), {"failing": (BORNE, 0.0), "champion": False}),
    ],
)
def test_a_canary_that_is_no_worse_is_rarely_rolled_back(limits, facts):
    rng = np.random.default_rng(1)
    runs = 1500
    found = sum(rolled_back(rng, limits=limits, **facts) for _ in range(runs))
    assert found <= allowed(runs, FALSE_ROLLBACK)


@pytest.mark.parametrize(
    "facts",
    [
        {"failing": (0.25, 0.02)},
        {"failing": (0.25, 0.02), "champion": False},
        {"failing": (0.0, 0.0), "slow": 6.0},
    ],
)
def test_a_canary_that_is_much_worse_is_found(facts):
    rng = np.random.default_rng(2)
    found = sum(rolled_back(rng, limits=Limits(BORNE, 1.5), **facts) for _ in range(200))
    assert found >= 190
