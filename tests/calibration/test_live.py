import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.live import LiveAgreement, boundary

RATE, THRESHOLD = 0.2, 0.6
scores = st.floats(THRESHOLD, 1.0)
labels = st.sampled_from([None, None, None, 0.0, 1.0])


def live(**changes):
    return LiveAgreement(**{"rate": RATE, "threshold": THRESHOLD} | changes)


def replay(pairs, **changes):
    found = live(**changes)
    for score, disagreement in pairs:
        found = found.after(score, rate=RATE, disagreement=disagreement)
    return found


def test_nothing_is_known_before_the_first_answer():
    assert live().estimate is None and live().interval == (0.0, 1.0)


def test_where_every_answer_is_labelled_the_estimate_is_the_count():
    found = live(rate=1.0)
    for disagreement in [0.0] * 90 + [1.0] * 10:
        found = found.after(0.9, rate=1.0, disagreement=disagreement)
    assert found.estimate == pytest.approx(0.9)
    assert (found.answers, found.references, found.errors) == (100, 100, 10)


def test_answers_without_a_label_count_by_their_score():
    assert replay([(0.9, None)] * 50).estimate == pytest.approx(0.9)
    assert replay([(0.9, None)] * 50).variance == 0.0


@given(st.lists(st.tuples(scores, labels), max_size=60))
def test_the_interval_holds_the_estimate_and_lies_within_0_and_1(pairs):
    found = replay(pairs)
    low, high = found.interval
    assert 0 <= low <= (found.estimate or 0.5) <= high <= 1


@given(st.lists(st.tuples(scores, st.sampled_from([0.0, 1.0])), min_size=1, max_size=40), st.randoms())
def test_the_mean_over_all_draws_is_the_agreement_of_all_answers(pairs, random):
    """Drawn for one answer at a time: the mean of both outcomes by their probabilities is 1 - d, whatever the score."""
    score, wrong = random.choice(pairs)
    drawn = live().after(score, rate=RATE, disagreement=wrong).total
    passed_over = live().after(score, rate=RATE, disagreement=None).total
    assert RATE * drawn + (1 - RATE) * passed_over == pytest.approx(1 - wrong)


@given(st.tuples(st.floats(0.01, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0)), st.sampled_from([None, 0.0, 1.0]))
def test_no_term_leaves_the_range_that_the_boundary_is_made_for(numbers, disagreement):
    rate, threshold, above = numbers
    score = min(1.0, threshold + above * (1 - threshold))
    one = LiveAgreement(rate, threshold).after(score, rate=rate, disagreement=disagreement)
    least = 1.0 - 1.0 / rate  # of a certain draft that is wrong
    assert least - 1e-9 <= one.total <= least + one._range + 1e-9


def test_a_boundary_grows_with_the_variance_and_with_the_confidence():
    assert boundary(0.0, scale=5.0, level=0.025) == boundary(400.0, scale=5.0, level=0.025)  # where it is tuned for
    assert boundary(4000.0, scale=5.0, level=0.025) > boundary(2000.0, scale=5.0, level=0.025)
    assert boundary(4000.0, scale=5.0, level=0.001) > boundary(4000.0, scale=5.0, level=0.025)


@pytest.mark.parametrize("bad", [{"rate": 0.0}, {"rate": 1.1}, {"threshold": -0.1}, {"threshold": math.nan}])
def test_nonsense_is_refused(bad):
    with pytest.raises(ValueError):
        live(**bad)


@pytest.mark.parametrize(
    "answer",
    [
        {"score": THRESHOLD - 0.01, "rate": RATE, "disagreement": None},
        {"score": math.nan, "rate": RATE, "disagreement": None},
        {"score": 0.9, "rate": RATE / 2, "disagreement": None},
        {"score": 0.9, "rate": RATE, "disagreement": 1.5},
    ],
)
def test_what_the_interval_is_not_made_for_is_refused(answer):
    with pytest.raises(ValueError):
        live().after(**answer)
