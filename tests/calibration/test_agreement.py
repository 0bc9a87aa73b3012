"""Exact agreement after normalisation; what is missing disagrees."""

import pytest

from calibration.agreement import disagreement, normalised


@pytest.mark.parametrize("other", ["refund", " Refund ", "REFUND.", '"refund"', "\u201crefund\u201d.", "ref\u0075nd\n"])
def test_forms_of_one_answer_agree(other):
    assert disagreement("refund", other) == 0.0


@pytest.mark.parametrize("other", ["refunds", "re fund", "", "ref.und", None])
def test_other_answers_do_not(other):
    assert disagreement("refund", other) == 1.0


def test_a_missing_answer_disagrees_even_with_a_missing_one():
    assert disagreement(None, None) == disagreement(None, "") == 1.0


def test_white_space_inside_is_one_space():
    assert normalised("a \t\n b") == "a b"
