from dataclasses import replace

import pytest

from calibration.question import Judge
from distill.align import Aligned, nothing_of
from distill.pattern import MIN_PAIRS, NoPairs, NoRationales, NoTargets, Pair, choose, pairs
from distill.rows import Targets
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


def test_a_wrong_answer_of_which_something_was_taken_out_is_none():
    assert not found(replace(tiny.row("a", "refund"), draft="write to <email:3f2a>"))


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


def reasoned(count, *, told):
    """Rows of the first so many of which it is known what the teacher thought."""
    return [replace(row, rationale="because" if n < told else None) for n, row in enumerate(tiny.rows(count))]


@pytest.mark.parametrize(("told", "pattern"), [(5, "reasoning"), (4, "response"), (0, "response")])
def test_auto_learns_from_rationales_where_half_of_the_rows_have_one_and_says_why(told, pattern):
    chosen = choose("auto", reasoned(10, told=told), by="exact")
    assert chosen.pattern == pattern
    assert (f"recorded of {told} of 10 rows, and 50% are" in chosen.because) == (told > 0)


def test_what_is_too_long_is_told_and_does_not_count():
    chosen = choose("auto", reasoned(10, told=4), by="exact", too_long=6)
    assert chosen.pattern == "response"
    assert "of 4 of 10 rows (too long for the student of 6 others), and 50% are needed" in chosen.because
    assert "of 0 of 10 rows (too" in choose("auto", reasoned(10, told=0), by="exact", too_long=6).because
    with pytest.raises(NoRationales, match=r"too long for the student in all 6 rows .*max_context_tokens, or set"):
        choose("reasoning", reasoned(10, told=0), by="exact", too_long=6)


def test_what_auto_has_too_few_of_leaves_it_to_the_other():
    rows = [replace(row, rationale="because" if n < 3 else None) for n, row in enumerate(drafted(MIN_PAIRS))]
    chosen = choose("auto", rows, by="exact")
    assert chosen.pattern == "preference" and "3 of 64 rows, and 50% are needed; 64 wrong answers" in chosen.because
    both = [replace(row, rationale="because") for row in rows]
    assert (choose("auto", both, by="exact").pattern, choose("auto", both, by="exact").pairs) == ("reasoning", ())


def test_rationales_are_learned_from_where_that_is_set_and_refused_with_what_to_do_where_there_are_none():
    chosen = choose("reasoning", reasoned(10, told=1), by=JUDGE)
    assert (chosen.pattern, chosen.pairs) == ("reasoning", ()) and "of 1 of 10 rows" in chosen.because
    assert choose("response", reasoned(10, told=10), by="exact").pattern == "response"
    for none in (reasoned(10, told=0), []):
        with pytest.raises(NoRationales, match=r"none of \d+ rows .*reasoning_content.* Set it to auto or response"):
            choose("reasoning", none, by="exact")


def told(count, *, of):
    """What a teacher has told of so many rows, in the student's tokens of some."""
    targets = {str(n): Targets.of([[1]], [[-0.1]], length=2) for n in range(count)}
    return Aligned(of, targets, {"in other tokens": of - count} if of > count else {})


@pytest.mark.parametrize(
    ("count", "of", "pattern"), [(MIN_PAIRS, MIN_PAIRS, "logit"), (MIN_PAIRS - 1, MIN_PAIRS - 1, "response")]
)
def test_auto_learns_from_log_probabilities_where_there_are_enough_and_says_why(count, of, *, pattern):
    choice = choose("auto", drafted(of, right=of), by="exact", told=told(count, of=of))
    assert choice.pattern == pattern and f"{count} of {of} rows have log-probabilities" in choice.because
    assert f"{MIN_PAIRS} are {'enough' if pattern == 'logit' else 'needed'}" in choice.because


def test_and_where_half_of_the_rows_have_them():
    many = 4 * MIN_PAIRS
    few = choose("auto", drafted(many, right=many), by="exact", told=told(2 * MIN_PAIRS - 1, of=many))
    assert few.pattern == "response" and f"({2 * MIN_PAIRS + 1} in other tokens), and 128 are needed" in few.because
    assert choose("auto", drafted(many), by="exact", told=told(2 * MIN_PAIRS, of=many)).pattern == "logit"
    paired = choose("auto", drafted(many), by="exact", told=told(9, of=many))
    assert (paired.pattern, len(paired.pairs)) == ("preference", many) and "128 are needed" in paired.because


def test_where_none_are_recorded_auto_does_not_speak_of_them():
    rows = drafted(5)
    assert choose("auto", rows, by="exact", told=nothing_of(rows)).because.startswith("5 wrong answers")


def test_of_a_teacher_that_thinks_auto_takes_its_thoughts():
    rows = reasoned(MIN_PAIRS, told=MIN_PAIRS)
    assert choose("auto", rows, by="exact", told=told(MIN_PAIRS, of=MIN_PAIRS)).pattern == "reasoning"


def test_log_probabilities_that_are_asked_for_are_used_however_few_and_refused_with_what_to_do_where_none_can_be():
    choice = choose("logit", drafted(5), by="exact", told=told(1, of=5))
    assert (choice.pattern, choice.pairs) == ("logit", ()) and "1 of 5 rows" in choice.because
    with pytest.raises(NoTargets, match=r"none of 5 rows has .*record_logprobs.*auto or response"):
        choose("logit", drafted(5), by="exact", told=nothing_of(drafted(5)))
    with pytest.raises(NoTargets, match=r"0 of 5 rows .*5 in other tokens"):
        choose("logit", drafted(5), by="exact", told=told(0, of=5))
