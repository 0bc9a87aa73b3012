import pytest

from distill.worth import Costs
from ledger.prices import Price, dollars
from router.settings import ConfigError
from tutelage.replay.money import (
    DEARER,
    RHO,
    Way,
    costs_something,
    parse_price,
    payback_words,
    usd_a_request,
    ways,
)

COSTS = Costs(teacher_usd=1.0, draft_usd=0.1, draftable=1.0, rho=RHO)


def by_name(costs=COSTS, *, coverages=None, training_usd=10.0, cheaper=None):
    found = ways(costs, coverages=coverages or {}, training_usd=training_usd, cheaper=cheaper or {})
    return {way.name: way for way in found}


def test_drafts_escalations_and_references_cost():
    assert COSTS.with_student(0.0) == pytest.approx(1.1)
    assert COSTS.with_student(1.0) == pytest.approx(0.1 + 0.05)
    assert COSTS.with_student(0.6) == pytest.approx(0.1 + 0.4 + 0.05 * 0.6)


def test_what_cannot_be_drafted_is_the_teachers():
    half = Costs(1.0, 0.1, draftable=0.5, rho=RHO)
    assert half.with_student(1.0) == pytest.approx(0.05 + 0.5 + 0.5 * 0.05)
    assert by_name(half, coverages={0.05: 0.8})["student at 5%"].taken == pytest.approx(0.4)


@pytest.mark.parametrize("taken", [0.2, 0.4])
def test_the_share_that_matches_a_cost_is_the_inverse_of_the_cost(taken):
    half = Costs(1.0, 0.1, draftable=0.5, rho=RHO)
    assert half.share_to_match(half.with_student(taken / 0.5)) == pytest.approx(taken)


def test_where_no_share_would_do_there_is_none():
    assert COSTS.share_to_match(0.01) is None
    assert Costs(1.0, 0.1, draftable=0.0, rho=RHO).share_to_match(1.0) is None
    assert COSTS.share_to_match(1.2) == 0.0  # dearer than a student that takes nothing


def test_the_ways_are_compared_with_the_teacher_and_marked():
    found = by_name(coverages={0.05: 0.6}, cheaper={"mini": 0.06})
    assert list(found) == ["teacher only", "student at 5%", "mini for everything", "teacher in batches"]
    student = found["student at 5%"]
    assert student.payback == pytest.approx(10.0 / 0.47) and student.usd_a_million == pytest.approx(530_000)
    assert found["mini for everything"].note == "its agreement is not known"
    assert found["teacher in batches"].usd == 0.5 and "within a day" in found["teacher in batches"].note


def test_a_student_that_saves_nothing_is_never_paid_back():
    student = by_name(coverages={0.05: 0.05})["student at 5%"]
    assert student.payback is None and payback_words(student, monthly=100.0) == DEARER


def test_the_payback_is_told_in_months_where_requests_a_month_are_known():
    student = Way("student", 0.5, "", taken=0.6, payback=149.2)
    assert payback_words(student, monthly=100.0) == "after 150 requests, 1.5 months"
    assert payback_words(student, monthly=None) == "after 150 requests"


def test_a_price_is_two_numbers_per_million_tokens():
    assert parse_price("2.50,10", option="--x") == Price(2.5e-6, 1e-5)
    for text in ("2.5", "a,b", "1,2,3", "-1,2", "nan,1", ""):
        with pytest.raises(ConfigError, match=r"--x is IN,OUT in US dollars per million tokens"):
            parse_price(text, option="--x")


def test_a_request_costs_its_tokens():
    assert usd_a_request(Price(1e-6, 4e-6), prompt_tokens=100, answer_tokens=10) == pytest.approx(0.00014)
    assert not costs_something(Price(0.0, 0.0)) and costs_something(Price(0.0, 1e-9))


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (0.0, "$0"),
        (1234.5, "$1,234"),
        (12.345, "$12.35"),
        (0.12345, "$0.12"),
        (0.00012345, "$0.00012"),
    ],
)
def test_dollars_have_as_many_digits_as_say_something(usd, words):
    assert dollars(usd) == words
