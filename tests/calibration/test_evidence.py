"""Features of a draft, and the drafts that have none."""

import math

import pytest

from calibration.evidence import LONG, MARGIN_LIMIT, SHORT, Alternative, TokenLogprob, evidence


def told(text: str, logprob: float, *top: float) -> TokenLogprob:
    return TokenLogprob(text, logprob, [Alternative(each) for each in top])


def token(text: str, logprob: float, *others: float) -> TokenLogprob:
    return told(text, logprob, logprob, *others)


END = token("<|im_end|>", -0.2, -2.0)


def test_every_feature_is_there_and_finite():
    found = evidence([token("ref", -0.1, -3.0), token("und", -0.5, -1.0), END], prompt_tokens=40)
    assert found is not None and set(found) == {*SHORT, *LONG}
    assert all(map(math.isfinite, found.values()))


def test_the_end_of_the_text_is_part_of_the_answer():
    found = evidence([token("refund", -0.1, -3.0), END], prompt_tokens=40)
    assert found is not None
    assert found["first_logprob"] == -0.1
    assert found["min_logprob"] == -0.2
    assert found["sum_logprob"] == pytest.approx(-0.3)
    assert found["first_margin"] == pytest.approx(2.9)
    assert found["min_margin"] == pytest.approx(1.8)


def test_punctuation_space_and_keys_are_not_values():
    texts = ['{"', "int", "ent", '":', ' "', "ref", "und", '"}']
    tokens = [token(text, -float(i + 1), -20.0) for i, text in enumerate(texts)]
    found = evidence(tokens, prompt_tokens=40)
    assert found is not None
    assert found["first_logprob"] == -6.0  # "ref", the first token of the value
    assert found["min_logprob"] == -8.0  # the last token ends the answer


def test_a_colon_inside_a_value_does_not_make_it_a_key():
    texts = ['{"a', '": "', "b", ': c"', "}"]
    found = evidence([token(text, -float(i + 1), -20.0) for i, text in enumerate(texts)], prompt_tokens=1)
    assert found is not None and found["first_logprob"] == -3.0


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [told("a", 0.0, 0.0, -9.0), told("b", 0.0, 0.0)],
        [told("a", float("nan"), -1.0)],
        [told("a", -1.0, float("-inf"))],
        [told("a", -1.0)],
        [told("a", -1.0, 800.0)],
        [told("a", -1.7e308, -1.0)],
    ],
)
def test_nothing_to_judge_is_none(tokens):
    assert evidence(tokens, prompt_tokens=10) is None


def test_a_lone_alternative_has_the_largest_margin_and_a_tie_none():
    lone = evidence([told("a", -0.1, -0.1)], prompt_tokens=1)
    tie = evidence([told("a", -0.7, -0.7, -0.7)], prompt_tokens=1)
    assert lone is not None and lone["min_margin"] == MARGIN_LIMIT
    assert tie is not None and tie["min_margin"] == 0.0


def test_entropy_counts_what_was_not_reported():
    found = evidence([token("a", math.log(0.5), math.log(0.25))], prompt_tokens=1)
    assert found is not None
    assert found["first_mass"] == pytest.approx(0.75)
    assert found["first_entropy"] == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(4))


def test_a_weak_stretch_of_a_long_text_is_found_wherever_it_is():
    sure, weak = [token(" word", -0.01, -6.0)] * 60, [token(" word", -2.0, -2.5)] * 16
    texts = (sure + weak + sure, weak + sure * 2, sure * 2 + weak)
    found = [evidence(tokens, prompt_tokens=1) or {} for tokens in texts]
    assert [each["window_logprob"] for each in found] == pytest.approx([-2.0] * 3)
    assert [each["tail_logprob"] for each in found] == pytest.approx([-0.01, -0.01, -2.0])
    assert [each["unlikely_share"] for each in found] == pytest.approx([16 / 136] * 3)
    assert (found[0]["q00"], found[0]["q10"], found[0]["q25"]) == (-2.0, -2.0, -0.01)


def test_a_text_shorter_than_a_window_is_one():
    found = evidence([token("a", -1.0, -2.0), token("b", -3.0, -4.0)], prompt_tokens=1) or {}
    assert (found["window_logprob"], found["tail_logprob"], found["q50"]) == (-2.0, -2.0, -3.0)
