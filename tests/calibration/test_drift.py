import numpy as np
import pytest

from calibration.drift import Signals

RUNS, LENGTH = 20, 2000


def scores(rng, mean, size):
    return rng.beta(8 * mean, 8 * (1 - mean), size)


def shifts(values, lengths):
    signals = Signals()
    return [
        (number, shift)
        for number, (score, tokens) in enumerate(zip(values, lengths, strict=True))
        for shift in signals.add(score=float(score), prompt_tokens=int(tokens))
    ]


def test_steady_traffic_hardly_ever_draws_attention():
    rng = np.random.default_rng(1)
    noticed = [bool(shifts(scores(rng, 0.85, LENGTH), rng.poisson(48, LENGTH))) for _ in range(RUNS)]
    assert sum(noticed) <= 1


def test_more_that_is_unfamiliar_is_noticed_and_as_much_is_not():
    rng, signals, found = np.random.default_rng(3), Signals(), []
    for number in range(1600):
        unfamiliar = rng.random() < (0.05 if number < 1000 else 0.25)
        score, tokens = float(scores(rng, 0.85, 1)[0]), int(rng.poisson(48))
        shifts = signals.add_unfamiliar() if unfamiliar else signals.add(score=score, prompt_tokens=tokens)
        found += [(number, shift) for shift in shifts]
    assert {shift.signal for _, shift in found} == {"unfamiliarity"}
    number, first = found[0]
    assert 1000 <= number < 1400 and first.after > first.before
    assert first.words.startswith("the mean unfamiliarity has gone from 0.0")


@pytest.mark.parametrize("signal", ["score", "prompt length"])
def test_a_shift_is_noticed_soon_and_told_in_numbers(signal):
    rng = np.random.default_rng(2)
    after = 0.65 if signal == "score" else 0.85
    longer = 48 if signal == "score" else 90
    values = np.concatenate([scores(rng, 0.85, 500), scores(rng, after, 300)])
    found = shifts(values, np.concatenate([rng.poisson(48, 500), rng.poisson(longer, 300)]))
    assert {shift.signal for _, shift in found} == {signal}
    number, first = found[0]
    assert 500 <= number < 700
    assert signal in first.words and (first.after < first.before) == (signal == "score")
