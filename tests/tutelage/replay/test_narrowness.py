import random

import pytest

from tutelage.replay.narrowness import Narrowness, narrowness

WORDS = ("parcel", "order", "refund", "invoice", "window", "river", "stone", "bread", "music", "winter", "letter")


def prompts(n):
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=14)) for _ in range(n)]


def test_labels_are_counted_whatever_their_case_and_space():
    answers = ["Refund", "refund ", "delivery", "REFUND"] * 25
    found = narrowness(prompts(100), answers)
    assert (found.rows, found.distinct, found.commonest_share) == (100, 2, 1.0)
    assert found.verdict == "narrow" and found.answer_characters == 6.5


def test_prompts_that_differ_in_a_number_only_are_duplicates():
    texts = [f"where is my order {number}, please tell me at once" for number in range(10)]
    assert narrowness(texts, ["a"] * 10).duplicate_share == pytest.approx(0.9)


def test_many_intents_are_narrow_where_each_comes_often():
    answers = [f"intent {number % 77}" for number in range(2000)]
    found = Narrowness(2000, len(set(answers)), 10 / 77, 0.0, 9.0)
    assert found.verdict == "narrow"


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ((49, 1, 1.0, 0.0, 5.0), "too few"),
        ((100, 60, 0.8, 0.0, 900.0), "narrow"),
        ((100, 60, 0.5, 0.0, 900.0), "middling"),
        ((100, 100, 0.1, 0.0, 400.0), "middling"),
        ((100, 100, 0.1, 0.0, 401.0), "broad"),
        ((100, 90, 0.2, 0.9, 401.0), "middling"),
    ],
)
def test_the_word_follows_the_stated_thresholds(facts, verdict):
    assert Narrowness(*facts).verdict == verdict
