"""Each measure is an equivalence with a documented notion of the same answer; what is missing disagrees."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement import Measure, disagreement, last_number, normalised

MEASURES = get_args(Measure)
scalars = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
documents = st.recursive(
    scalars | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
texts = st.text(max_size=40) | documents.map(json.dumps)


@pytest.mark.parametrize("other", ["refund", " Refund ", "REFUND.", '"refund"', "\u201crefund\u201d.", "ref\u0075nd\n"])
def test_forms_of_one_answer_agree(other):
    assert disagreement("refund", other) == 0.0


@pytest.mark.parametrize("other", ["refunds", "re fund", "", "ref.und", None])
def test_other_answers_do_not(other):
    assert disagreement("refund", other) == 1.0


@pytest.mark.parametrize("measure", MEASURES)
def test_a_missing_answer_disagrees_even_with_a_missing_one(measure):
    assert disagreement(None, None, measure=measure) == disagreement(None, "", measure=measure) == 1.0


def test_white_space_inside_is_one_space():
    assert normalised("a \t\n b") == "a b"


@given(texts, st.sampled_from(MEASURES))
def test_every_answer_agrees_with_itself(text, measure):
    assert disagreement(text, text, measure=measure) == 0.0


@given(texts, texts, st.sampled_from(MEASURES))
def test_agreement_is_mutual(one, other, measure):
    assert disagreement(one, other, measure=measure) == disagreement(other, one, measure=measure)


@given(texts, st.sampled_from(MEASURES))
def test_white_space_around_an_answer_is_no_part_of_it(text, measure):
    assert disagreement(f"  {text}\n", text, measure=measure) == 0.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The total is 1,234.50 EUR", "1234.5"),
        ("so x = 12.", "12.0"),
        ("-3", "\u22123"),
        ("first 5, then 7", "7"),
        ("1e3", "1000"),
        (".5", "0.50"),
        ("12 %", "12%"),
        ("None of them", "none of them."),
    ],
)
def test_the_last_number_decides(one, other):
    assert disagreement(one, other, measure="number") == 0.0


@pytest.mark.parametrize(
    ("one", "other"), [("12", "13"), ("12%", "12"), ("7, then 5", "7"), ("12", "twelve"), ("", "0")]
)
def test_other_numbers_disagree(one, other):
    assert disagreement(one, other, measure="number") == 1.0


def test_of_reasoning_that_is_served_the_final_number_is_compared_and_by_other_measures_all_of_it():
    one, other = "48 in April, half of it in May.\n#### 72", "48/2 is 24, and 48 + 24 = 72, so it is 72."
    assert disagreement(one, other, measure="number") == 0.0
    assert disagreement(one, other.replace("so it is 72", "so it is 73"), measure="number") == 1.0
    assert disagreement(one, other, measure="exact") == 1.0
    fields = [json.dumps({"why": why, "answer": 72}) for why in (one, other)]
    assert disagreement(*fields, measure="json") == 1.0


def test_digits_are_read_as_one_number():
    assert last_number("order 1,234,567") == last_number("1234567")


@given(st.integers(-(10**12), 10**12))
def test_a_number_is_its_value_however_it_is_grouped(number):
    assert disagreement(f"about {number:,} units", f"{number}.00", measure="number") == 0.0


@given(documents, st.randoms())
def test_fields_have_no_order_and_no_spacing(document, random):
    assert disagreement(json.dumps(document), json.dumps(shuffled(document, random), indent=2), measure="json") == 0.0


def shuffled(document, random):
    if isinstance(document, dict):
        pairs = [(key, shuffled(value, random)) for key, value in document.items()]
        return dict(random.sample(pairs, len(pairs)))
    if isinstance(document, list):
        return [shuffled(value, random) for value in random.sample(document, len(document))]
    return document


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"total": 12.50}', '{"Total": "12.5"}'),
        ('{"total": 1200}', '{"total": "1,200.00"}'),
        ('{"due": "2026-01-05"}', '{"due": "January 5, 2026"}'),
        ('{"due": "2026-01-05T10:00:00Z"}', '{"due": "2026-01-05T11:00:00+01:00"}'),
        ('{"name": "Ann  Lee"}', '{"name": "ann lee"}'),
        ('{"name": "x", "phone": null}', '{"name": "x"}'),
        ('{"paid": true}', '{"paid": "True"}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ("[1, 2]", "[2, 1]"),
        ("[1.50, 1.3]", "[1.3, 1.5]"),
        ("[0]", "[-0.0]"),
    ],
)
def test_equal_fields_agree(one, other):
    assert disagreement(one, other, measure="json") == 0.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1}', '{"a": 1, "b": 2}'),
        ('{"a": 1}', '{"b": 1}'),
        ('{"a": 1}', '{"a": true}'),
        ('{"a": 1}', "1"),
        ('{"a": 1}', '{"a": 1'),
        ('{"a": "12%"}', '{"a": 12}'),
        ('{"due": "01/05/2026"}', '{"due": "2026-01-05"}'),  # or the first of May
        ('{"a": [1, 1]}', '{"a": [1]}'),
        ('{"a": []}', '{"a": {}}'),
        ('{"a": ""}', "{}"),
        ('{"zip": "01234"}', '{"zip": "1234"}'),
        (f'{{"id": {10**40}}}', f'{{"id": {10**40 + 1}}}'),
    ],
)
def test_a_field_that_differs_disagrees(one, other):
    assert disagreement(one, other, measure="json") == 1.0


@pytest.mark.parametrize("text", ['{"a": NaN}', "[" * 100_000, '{"a": 1e999999999}', '"' + "9" * 5000 + '"'])
def test_strange_json_is_compared_as_text_and_breaks_nothing(text):
    assert disagreement(text, text, measure="json") == 0.0
    assert disagreement(text, "{}", measure="json") == 1.0


@given(st.text(max_size=60) | st.from_regex(r"-?[0-9.,:/e+%-]{1,30}"), st.sampled_from(MEASURES))
def test_every_text_can_be_compared(text, measure):
    assert disagreement(text, text, measure=measure) == 0.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3,50 EUR", "7,50 EUR"),
        ("1.234.567", "9.999.567"),
        ("10:30", "11:30"),
        ("2026-01-05", "2025-01-05"),
        ("1,23", "23"),
    ],
)
def test_what_reads_otherwise_than_as_a_number_is_compared_as_it_is(one, other):
    assert disagreement(one, other, measure="number") == 1.0
    assert disagreement(one, f" {one.lower()} ", measure="number") == 0.0


def test_a_number_that_is_none_is_compared_as_text():
    huge = f"1e{'9' * 20}"
    assert disagreement(huge, huge, measure="number") == 0.0
    assert disagreement(huge, "1", measure="number") == 1.0
