from dataclasses import replace

import pytest

from calibration.question import Judge
from distill.pattern import MIN_PAIRS, NoPairs, Pair, choose, pairs
from tests.distill import tiny

JUDGE = Judge("referee", "openai/referee", "")


def drafted(count, *, right=0):
    """Rows with a student's draft; the first so many are right."""
    return [replace(row, draft=row.completion if n < right else "maybe") for n, row in enumerate(tiny.rows(count))]


def found(row, by="exact"):
    return [(pair.chosen, pair.rejected) for pair in pairs(row, by=by)]


def test_a_draft_that_disagrees_makes_a_pair_and_one_that_agrees_none():
    row = tiny.row("total?", "The total is 12.")
    assert list(pairs(replace(row, draft="13"), by="exact")) == [Pair("x", row.messages, "The total is 12.", "13")]
    assert not found(row)
    assert not found(replace(row, draft="the  total is 12"))
    assert found(replace(row, draft="12"))  # other words
    assert not found(replace(row, draft="12"), by="number")


def test_the_word_of_people_is_chosen_over_the_answer_that_they_call_wrong():
    corrected = replace(tiny.row("a", "refund"), correction="delivery", disowned="refund").corrected
    assert found(corrected) == [("delivery", "refund")]
    right = replace(tiny.row("a", "refund"), correction="delivery", disowned="refund", draft="Delivery").corrected
    assert found(right) == [("delivery", "refund")]  # the student was right, and its teacher wrong
    both = replace(tiny.row("a", "refund"), draft="loan", disowned="loan")
    assert found(both) == [("refund", "loan")]


def test_no_rule_says_that_a_draft_of_a_judged_task_is_wrong_but_people_do():
    row = replace(tiny.row("a", "in five days"), draft="within five days")
    assert not found(row, by=JUDGE)
    assert found(replace(row, disowned="in six days"), by=JUDGE) == [("in five days", "in six days")]


def test_auto_learns_from_pairs_where_there_are_enough_and_says_why():
    enough = choose("auto", drafted(MIN_PAIRS + 5, right=5), by="exact")
    assert (enough.pattern, len(enough.pairs)) == ("preference", MIN_PAIRS)
    few = choose("auto", drafted(MIN_PAIRS + 4, right=5), by="exact")
    assert (few.pattern, few.pairs) == ("response", ())
    assert f"{MIN_PAIRS - 1} wrong answers" in few.because and f"{MIN_PAIRS} are needed" in few.because
    assert "judged" in choose("auto", drafted(9), by=JUDGE).because


def test_what_is_set_is_done():
    assert choose("response", drafted(2 * MIN_PAIRS), by="exact").pairs == ()
    one = choose("preference", drafted(5, right=4), by="exact")
    assert (one.pattern, len(one.pairs)) == ("preference", 1)


def test_preferences_without_any_pair_are_refused_with_what_to_do():
    with pytest.raises(NoPairs, match=r"none of 5 rows has .* set it to auto or response"):
        choose("preference", drafted(5, right=5), by="exact")
    with pytest.raises(NoPairs, match="judged task"):
        choose("preference", drafted(5), by=JUDGE)
