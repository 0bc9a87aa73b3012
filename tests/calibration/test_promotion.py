"""A new release beside the best one, row by row."""

import math

import pytest

from calibration.promotion import BETS, Given, compare

RIGHT, WRONG, PASSED = Given(True, False), Given(True, True), Given(False, True)


def beside(*counted, alpha=0.1):
    """Of (new, old, how many rows)."""
    new = [mine for mine, _, count in counted for _ in range(count)]
    old = [other for _, other, count in counted for _ in range(count)]
    return compare(new, old, alpha=alpha)


def test_equal_releases_are_told_equal_by_enough_rows():
    few, many = beside((RIGHT, RIGHT, 20)), beside((RIGHT, RIGHT, 200))
    assert not few.not_worse(0.05) and many.not_worse(0.05)
    assert (many.coverage, many.differs, many.fewer, many.allowed) == (1.0, 0.0, 0.0, pytest.approx(0.05))


def test_the_evidence_is_the_mean_of_the_bets():
    found = beside((RIGHT, RIGHT, 7), (WRONG, RIGHT, 2), (RIGHT, WRONG, 1), (PASSED, PASSED, 5))
    bets = [bet / (1 - found.allowed) for bet in BETS]
    wealth = [
        (1 + bet * found.allowed) ** 12 * (1 + bet * (found.allowed - 1)) ** 2 * (1 + bet * (found.allowed + 1))
        for bet in bets
    ]
    assert found.evidence == pytest.approx(sum(wealth) / len(wealth))


def test_what_differs_where_it_does_not_answer_counts_for_nothing():
    assert beside((PASSED, PASSED, 50), (RIGHT, RIGHT, 50)).evidence == beside((RIGHT, RIGHT, 100)).evidence


def test_a_worse_one_is_never_shown_to_be_no_worse():
    assert beside((RIGHT, RIGHT, 900), (WRONG, RIGHT, 100)).evidence < 1e-3


def test_who_answers_more_may_differ_on_as_much_as_the_contract_allows_for_it():
    more = beside((RIGHT, PASSED, 380), (WRONG, PASSED, 20), (RIGHT, RIGHT, 600))
    assert more.allowed == pytest.approx(0.1 * 0.4 + 0.05) and more.not_worse(0.05) and more.worth
    assert not beside((RIGHT, RIGHT, 940), (WRONG, RIGHT, 60)).not_worse(0.05)


def test_who_answers_clearly_less_is_not_worth_it():
    assert not beside((PASSED, RIGHT, 30), (RIGHT, RIGHT, 270)).worth
    assert beside((PASSED, RIGHT, 16), (RIGHT, PASSED, 14), (RIGHT, RIGHT, 270)).worth  # as likely by chance


def test_thousands_of_rows_are_no_overflow():
    found = beside((RIGHT, WRONG, 5000))
    assert math.isfinite(found.evidence) and found.not_worse(1e-9)


def test_it_says_both_beside_each_other():
    words = beside((RIGHT, RIGHT, 90), (WRONG, PASSED, 10)).words
    assert "answers 100.0% and the one before 90.0%" in words and "10.0% against 0.0%" in words


def test_near_duplicates_are_one_bet():
    """Of ten rows in two clusters, one of which the new one gets wrong: as two bets of five rows, and smaller ones."""
    new, old = [RIGHT] * 5 + [WRONG] * 5, [RIGHT] * 10
    found = compare(new, old, alpha=0.1, clusters=[1] * 5 + [2] * 5)
    bets = [min(bet, 0.9 / 5) / (1 - found.allowed) for bet in BETS]
    wealth = [(1 + bet * 5 * found.allowed) * (1 + bet * 5 * (found.allowed - 1)) for bet in bets]
    assert found.evidence == pytest.approx(sum(wealth) / len(wealth))
    assert compare(new, old, alpha=0.1, clusters=[None] * 10) == compare(new, old, alpha=0.1)
    fewer = compare([PASSED] * 5 + [RIGHT] * 45, [RIGHT] * 50, alpha=0.1, clusters=[0] * 5 + list(range(1, 46)))
    assert fewer.worth and not compare([PASSED] * 5 + [RIGHT] * 45, [RIGHT] * 50, alpha=0.1).worth


def test_bets_are_no_larger_where_a_burst_happens_to_be_missing():
    new = old = [RIGHT] * 200
    plain, after = (compare(new, old, alpha=0.1, before=before) for before in ({}, {1: 180, 20: 1}))
    bets = [bet / (1 - after.allowed) for bet in (0.9 / 20, 0.9 / 20)]
    assert after.evidence == pytest.approx(sum((1 + bet * after.allowed) ** 200 for bet in bets) / 2)
    assert after.evidence < plain.evidence
