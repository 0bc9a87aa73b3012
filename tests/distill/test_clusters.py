import random
import time

from hypothesis import given
from hypothesis import strategies as st

from distill.clusters import Known, cluster, normalise

LONG = "Good morning, I would like to know when the parcel that I ordered last week will arrive at my home address"


def test_digits_case_and_space_make_no_difference():
    assert cluster(["Order 12345 is late", "order  98765 is late", "order 1 is late"]) == [0, 0, 1]


def test_one_changed_word_in_a_long_text_is_a_near_duplicate():
    assert cluster([LONG, LONG + ", please", "My card was stolen"]) == [0, 0, 1]


def test_similar_through_a_third_is_one_cluster():
    chain = [LONG[start : start + 80] for start in (0, 4, 8, 12, 16)]
    ends = [chain[0], chain[-1]]
    assert cluster(ends) == [0, 1]
    assert cluster(chain) == [0] * 5


def test_an_instruction_around_what_changes_makes_no_two_texts_alike():
    rng = random.Random(0)
    asked = [" ".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=10)) for _ in range(60)]
    around = [f"{LONG} {LONG[::-1]} {each} {LONG[::2]}" for each in asked]
    repeated = [*around, around[7], around[7] + "!", *around[:2]]
    assert cluster(repeated) == [*range(60), 7, 7, 0, 1]
    assert cluster(around[:5]) == [0] * 5  # of a few texts nobody can say what they have in common


def test_numbers_are_by_first_appearance_and_short_texts_are_texts():
    assert cluster(["b", "a", "", "b", "a"]) == [0, 1, 2, 0, 1]
    assert cluster([]) == []


@given(st.lists(st.text(alphabet="abc 12", max_size=30), max_size=12))
def test_equal_texts_share_a_cluster_and_order_only_renumbers(texts):
    numbers = cluster(texts)
    assert sorted(set(numbers)) == list(range(len(set(numbers))))
    backwards = cluster(texts[::-1])[::-1]
    for i, one in enumerate(texts):
        for j, other in enumerate(texts):
            assert (numbers[i] == numbers[j]) == (backwards[i] == backwards[j])
            assert numbers[i] == numbers[j] or normalise(one) != normalise(other)


@given(st.lists(st.sampled_from([LONG[at : at + 80] for at in range(0, 20, 2)] + ["b 1", "b 2", ""]), max_size=8))
def test_what_is_new_is_like_nothing_before_it(texts):
    known = Known([LONG[:80], "c"])
    kept = [LONG[:80], "c"]
    for text, is_new in zip(texts, known.take(texts), strict=True):
        assert is_new == all(len(set(cluster([text, other]))) == 2 for other in kept)
        kept += [text] if is_new else []
    assert not any(known.take(texts))


def test_of_many_texts_each_is_known_afterwards():
    draw = random.Random(0)
    texts = ["".join(draw.choices("abcdefghijklmnop ", k=40)) for _ in range(300)]
    known = Known(texts[:100])
    assert known.take(texts) == [False] * 100 + [True] * 200
    assert not any(known.take([text.upper() for text in texts]))


def test_thousands_of_texts_take_seconds():
    draw = random.Random(0)
    words = [LONG.split()[i % 20] + str(draw.choice("abcdefgh")) for i in range(200)]
    texts = [" ".join(draw.choices(words, k=12)) for _ in range(1000)]
    started = time.process_time()
    cluster(texts)
    assert time.process_time() - started < 10
