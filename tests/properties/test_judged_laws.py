"""The corrected level never promises more than the judge's true rates allow."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from calibration.certificate import Certificate, Contract, JudgeRates
from calibration.certify import Plan, ScoredRow, certify, score_grid
from calibration.judged import Labelled, level, rates

shares = st.floats(0.0, 1.0)
alphas = st.floats(0.01, 0.5)


@st.composite
def judges(draw):
    caught = draw(st.floats(0.01, 1.0))
    spared = draw(st.floats(0.0, 1.0))
    assume(caught + spared > 1.0)
    return JudgeRates(caught, spared)


def flag_rate(risk: float, *, caught: float, spared: float, asked: float) -> float:
    """What a judge with these true rates flags; who differs is asked."""
    return risk * caught + (asked - risk) * (1.0 - spared)


@given(judges(), st.tuples(alphas, alphas), shares)
def test_the_level_grows_with_alpha(judge, pair, asked):
    low, high = sorted(pair)
    assert level(judge, low, asked=asked) <= level(judge, high, asked=asked) + 1e-12


@given(judges(), alphas, st.tuples(shares, shares))
def test_the_level_grows_with_what_is_asked_and_is_least_without_credit(judge, alpha, pair):
    low, high = sorted(pair)
    assert alpha * judge.caught - 1e-12 <= level(judge, alpha, asked=low) <= level(judge, alpha, asked=high) + 1e-12


@given(judges(), alphas, st.data())
def test_it_is_never_above_the_true_flag_rate_at_alpha_or_beyond(judge, alpha, data):
    """Where the true rates lie within their bounds, whatever they are."""
    caught = data.draw(st.floats(judge.caught, 1.0))
    spared = data.draw(st.floats(0.0, judge.spared))
    risk = data.draw(st.floats(alpha, 1.0))
    asked = data.draw(st.floats(risk, 1.0))  # who differs is not equal, and so is asked
    known = data.draw(st.floats(0.0, asked))  # the lower bound on it
    truth = flag_rate(risk, caught=caught, spared=spared, asked=asked)
    assert level(judge, alpha, asked=known) <= truth + 1e-9


@st.composite
def windows(draw):
    """Rows of which a flagged one was asked."""
    kinds = draw(st.lists(st.sampled_from([(0.0, False), (0.0, True), (1.0, True)]), min_size=1, max_size=300))
    scores = draw(st.lists(st.integers(0, 20), min_size=len(kinds), max_size=len(kinds)))
    return [ScoredRow(score / 20, d, asked=asked) for score, (d, asked) in zip(scores, kinds, strict=True)]


@given(windows(), judges(), st.floats(0.05, 0.5))
def test_a_judged_certificate_never_claims_more_than_its_test(rows, judge, alpha):
    plan = Plan(Contract(alpha, 0.05, judge=judge), score_grid([row.score for row in rows]), (0.0, 1.0), "f", 0.0)
    found = certify(rows, plan=plan)
    if isinstance(found, Certificate):
        share = sum(row.asked for row in rows if row.score >= found.threshold) / found.accepted
        assert found.upper_bound <= found.tested_at + 1e-9
        assert found.tested_at <= level(judge, alpha, asked=share) + 1e-9
        assert 0.025 < found.delta_spent <= 0.05


@given(alphas, shares)
def test_of_a_perfect_judge_it_is_alpha_in_the_limit_of_many_labels(alpha, asked):
    assert level(JudgeRates(1.0, 1.0), alpha, asked=asked) == pytest.approx(alpha)
    many = rates(Labelled(10**7, 10**7, 10**7, 10**7), delta=0.05)
    assert level(many, alpha, asked=asked) == pytest.approx(alpha, abs=1e-5)


@given(st.tuples(st.integers(1, 300), st.integers(0, 300)), st.floats(0.01, 0.2), st.data())
def test_more_labels_of_the_same_kind_never_loosen_a_bound(sizes, delta, data):
    different, same = sizes
    caught, spared = (data.draw(st.integers(0, n)) for n in (different, same))
    once, twice = (rates(Labelled(k * different, k * caught, k * same, k * spared), delta=delta) for k in (1, 2))
    if isinstance(once, JudgeRates) and isinstance(twice, JudgeRates):  # they may show that it is no better than chance
        assert twice.caught >= once.caught - 1e-9 and twice.spared <= once.spared + 1e-9
