import io
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration import familiar
from calibration.familiar import LONGEST, MOST, Familiar

LESSONS = ["Where is my card?", "How do I change my PIN?", "My transfer has not arrived yet"]
BANK = Familiar.with_all_of(LESSONS, seed=0)


@pytest.mark.parametrize("text", [*LESSONS, "where is  MY card", "Where is my\ncard?!"])
def test_a_lesson_in_whatever_case_and_space_is_as_like_as_can_be(text):
    assert BANK.likeness(text) == pytest.approx(1.0, abs=0.15)
    assert BANK.likeness(LESSONS[0]) == 1.0


def test_what_shares_words_is_like_and_what_shares_none_is_not():
    assert BANK.likeness("Is my card here?") > BANK.likeness("Play some jazz") == 0.0
    assert BANK.likeness("") == 0.0


def test_numbers_are_alike():
    orders = Familiar.with_all_of(["Order 4711 has not come"], seed=0)
    assert orders.likeness("Order 1234 has not come") == 1.0


def test_the_likeness_is_the_cosine_of_the_two_sets():
    lessons = [" ".join(random.Random(n).sample("abcdefghij", 6)) for n in range(50)]
    known = Familiar.with_all_of(lessons, seed=0)
    for text in ("a b c d", "j i h g f", "x y z a b c"):
        asked = familiar._grams(text)
        by_hand = max(len(asked & other) / (len(asked) * len(other)) ** 0.5 for other in map(familiar._grams, lessons))
        assert known.likeness(text) == pytest.approx(by_hand, abs=1e-6)


def test_the_share_that_is_left_out_is_that_of_the_least_like():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 5)) for _ in range(60)]
    texts = [" ".join(rng.choice(words, 6)) for _ in range(400)]
    known = Familiar.with_all_of(texts[:200], seed=0)
    assert all(known.has(text) for text in texts)  # nothing is left out before it is said
    some = known.but(0.05, of=texts[200:])
    out = [text for text in texts[200:] if not some.has(text)]
    assert 0 < len(out) <= 0.05 * 200
    assert max(map(some.likeness, out)) < min(some.likeness(text) for text in texts[200:] if text not in out)


def test_where_many_are_equally_like_none_of_them_is_left_out():
    assert all(BANK.but(0.5, of=LESSONS * 10).has(text) for text in LESSONS)


@given(st.lists(st.text(max_size=80), min_size=1, max_size=8), st.text(max_size=80))
def test_what_is_kept_says_the_same(lessons, text):
    known = Familiar.with_all_of(lessons, seed=1).but(0.1, of=[*lessons, text])
    again = Familiar.from_bytes(known.to_bytes())
    assert [each.tolist() for each in again.lessons] == [each.tolist() for each in known.lessons]
    assert (again.least, again.likeness(text)) == (known.least, known.likeness(text))
    assert 0.0 <= known.likeness(text) <= 1.0 and all(known.likeness(each) == 1.0 for each in lessons)


def test_of_many_lessons_some_are_drawn_and_of_a_long_text_its_beginning_counts():
    rng = random.Random(0)
    many = ["".join(rng.choices("abcdefgh", k=12)) for _ in range(2 * MOST)]
    drawn = [Familiar.with_all_of(many, seed=seed) for seed in (3, 3, 4)]
    assert {len(each.lessons) for each in drawn} == {MOST}
    first, same, other = ([each.likeness(text) for text in many[:100]] for each in drawn)
    assert first == same != other
    long = Familiar.with_all_of(["word " * LONGEST], seed=0)
    assert long.likeness("word " * LONGEST + "never heard") == 1.0
    assert len(Familiar.with_all_of(LESSONS * 3, seed=0).lessons) == len(LESSONS)


def test_what_most_lessons_have_tells_nothing_and_what_has_nothing_else_is_familiar():
    template = "Please answer politely: "
    few = Familiar.with_all_of([f"{template}{word}" for word in ("card", "pin", "transfer", "refund")], seed=0)
    many = Familiar.with_all_of([f"{template}{a}{b}" for a in "abcdefghijk" for b in "lmnopqrstuv"], seed=0)
    strange = f"{template}zzzzzzzzz"
    assert few.likeness(strange) > many.likeness(strange) == 0.0
    assert many.likeness(template) == 1.0


def test_nothing_teaches_nothing_and_what_was_before_is_familiar_too():
    assert Familiar.with_all_of([], seed=0) is None
    assert Familiar.with_all_of([], seed=0, before=BANK).likeness(LESSONS[0]) == 1.0
    both = Familiar.with_all_of(["play some jazz"], seed=0, before=BANK)
    assert both.likeness(LESSONS[2]) == both.likeness("play some jazz") == 1.0 and len(both.lessons) == 4


@pytest.mark.parametrize("text", ["\ud800", "\x00", "a", "", " ", "\u0130" * 600, "1" * 1000, "\U0001f600 \u200d"])
def test_odd_texts_have_a_likeness(text):
    assert 0.0 <= BANK.likeness(text) <= 1.0
    assert Familiar.with_all_of([text], seed=0).likeness(text) == 1.0


def test_hashes_alone_are_kept():
    with np.load(io.BytesIO(BANK.to_bytes()), allow_pickle=False) as kept:
        assert {name: kept[name].dtype.kind for name in kept} == {"grams": "u", "sizes": "u", "least": "f"}
        assert len(kept["grams"]) == kept["sizes"].sum()


def test_what_was_kept_by_another_version_says_what_it_said():
    """If this fails, certificates of before would hold for other requests than they were tested on."""
    grams = [5027, 9606, 12425, 22954, 26558, 28983, 32995, 34594]
    grams += [35356, 43365, 52582, 55073, 55807, 59512, 59723, 63333]
    kept = Familiar([np.array(grams, np.uint16)], least=0.5)
    assert kept.likeness("where IS  my card?") == 1.0
    assert kept.likeness("Is my card on its way?") == 0.436436
    assert not kept.has("Is my card on its way?")
