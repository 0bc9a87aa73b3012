import random

import numpy as np
import pytest

from distill import suspicion
from distill.clusters import cluster
from distill.suspicion import Noise, NoLabels
from tests.distill.written import WORDS, written


def suspect(texts, answers, **others):
    usual = {"clusters": cluster(texts), "sure": frozenset(), "seed": 0, "progress": lambda done, total: None}
    return suspicion.suspect(texts, answers, **{**usual, **others})


def world(*, rows, errors, labels=tuple(WORDS), seed=0):
    """Texts, the labels given, and where they are wrong."""
    rng = random.Random(seed)
    right = [rng.choice(labels) for _ in range(rows)]
    wrong = set(rng.sample(range(rows), round(errors * rows)))
    other = {label: [each for each in labels if each != label] for label in labels}
    given = [rng.choice(other[label]) if n in wrong else label for n, label in enumerate(right)]
    return written(right, seed=seed), given, wrong


@pytest.mark.parametrize("seed", range(3))
def test_errors_are_found_and_their_share_is_estimated(seed):
    texts, given, wrong = world(rows=400, errors=0.08, seed=seed)
    found = suspect(texts, given)
    assert len(found.suspected & wrong) >= 0.8 * len(wrong)
    assert len(found.suspected - wrong) <= 2
    assert found.estimate == pytest.approx(0.08, abs=0.02)
    assert (found.rows, found.labels, found.doubt) == (400, 3, None)


def test_a_teacher_without_errors_is_hardly_suspected():
    texts, given, _ = world(rows=400, errors=0.0)
    found = suspect(texts, given)
    assert len(found.suspected) <= 2 and found.estimate < 0.01


def test_the_same_rows_and_seed_give_the_same():
    texts, given, _ = world(rows=300, errors=0.1)
    assert suspect(texts, given, seed=3) == suspect(texts, given, seed=3)


def test_near_duplicates_do_not_vouch_for_each_other():
    texts, given, _ = world(rows=300, errors=0.05)
    again = [f"money refund charge overpaid receipt, case number {number} of this week" for number in range(12)]
    found = suspect([*texts, *again], [*given, *["delivery"] * 12])
    assert found.suspected >= set(range(300, 312))


def test_what_is_sure_is_not_suspected_and_still_counts():
    texts, given, _ = world(rows=300, errors=0.1)
    free = suspect(texts, given)
    some = set(sorted(free.suspected)[:10])
    held = suspect(texts, given, sure=some)
    assert held.suspected == free.suspected - some and held.estimate == free.estimate


def test_rare_answers_are_neither_looked_at_nor_in_the_way():
    texts, given, _ = world(rows=300, errors=0.0)
    once = ["never seen before", "something else", *[f"order {number} is late" for number in range(10, 20)]]
    found = suspect([*texts, *once], [*given, "x", "y", *["fraud"] * 10])
    assert (found.rows, found.labels) == (300, 3)
    assert found.suspected.isdisjoint(range(300, 312))


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (["refund"] * 60, "1 of 1 different ones"),
        ([f"Dear customer {n}" for n in range(60)], "0 of 60 different ones"),
        ([("refund", "delivery")[n % 2] if n < 40 else f"text {n}" for n in range(60)], "in 40 of 60 rows"),
        ([], "in 0 of 0 rows"),
    ],
)
def test_answers_that_are_no_labels_are_told(answers, words):
    found = suspect(written(["refund"] * len(answers)), answers)
    assert isinstance(found, NoLabels) and words in found.reason and found.facts == {"words": found.words}


def test_more_labels_than_memory_allows_are_told(monkeypatch):
    monkeypatch.setattr(suspicion, "MOST_LABELS", 2)
    texts, given, _ = world(rows=100, errors=0.0)
    assert "3 labels are more than the 2" in suspect(texts, given).reason


def test_labels_that_the_texts_do_not_tell_are_not_believed_to_be_errors():
    texts, given, _ = world(rows=400, errors=0.0)
    random.Random(0).shuffle(given)
    found = suspect(texts, given)
    assert found.doubt and found.words.endswith("labelled rows, too many to be believed: all stay")


def test_a_classifier_that_is_surer_than_it_is_right_is_not_believed():
    rng = random.Random(0)  # whether two kinds of words are alike is too much for a sum over words
    texts, given = [], []
    for _ in range(100):
        kinds = rng.choices(["refund", "delivery"], k=2)
        texts.append(" ".join(word for kind in kinds for word in rng.sample(WORDS[kind], 3)))
        given.append(str(kinds[0] == kinds[1]))
    found = suspect(texts, given)
    assert found.surer > 0.03 and found.doubt


def test_facts_and_words():
    found = Noise(rows=1000, labels=77, estimate=0.0812, surer=-0.05, suspected=frozenset(range(40)))
    assert found.words == "the teacher errs in an estimated 8.1% of 1,000 labelled rows, 40 suspected"
    counts = {"rows": 1000, "labels": 77, "suspected": 40}
    assert found.facts == {**counts, "estimate": 0.0812, "surer": -0.05, "words": found.words}


@pytest.mark.parametrize(
    ("estimate", "surer", "doubt"),
    [
        (0.25, 0.03, None),
        (0.26, -0.1, "too many to be believed: all stay"),
        (0.1, 0.04, "by a classifier that is surer than it is right: all stay"),
    ],
)
def test_when_suspicion_is_not_believed(estimate, surer, doubt):
    found = Noise(rows=1000, labels=77, estimate=estimate, surer=surer, suspected=frozenset(range(40)))
    assert found.doubt == doubt and found.words.endswith(doubt or "40 suspected")


def test_progress_ends_where_all_is_done():
    told = []
    suspect(*world(rows=100, errors=0.0)[:2], progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 6) for done in range(1, 7)]


def test_a_label_that_is_probable_enough_is_never_suspected():
    probable = np.array([[0.6, 0.4], [0.2, 0.8], [0.05, 0.95], [0.9, 0.1]] * 20)
    given = np.array([1, 0, 0, 0] * 20)
    doubted = suspicion._doubted(given, probable)
    assert doubted and {row % 4 for row in doubted} <= {1, 2}


def test_a_row_whose_label_none_of_the_others_has_is_not_judged():
    probable = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0]] * 20 + [[0.95, 0.05, 0.0]] * 5)
    given = np.array([0, 1] * 20 + [2] * 5)
    assert suspicion.find_label_issues(given, probable, filter_by="both", n_jobs=1).any()
    assert not suspicion._doubted(given, probable)


def test_the_surest_suspicion_comes_first_with_what_is_expected():
    probable = np.array([[0.6, 0.4], [0.4, 0.6], [0.1, 0.9], [0.02, 0.98]] * 20)
    doubted = suspicion._doubted(np.array([0, 1, 0, 0] * 20), probable)
    assert {row % 4 for row in doubted[:5]} == {3} and 2 in {row % 4 for row in doubted}
    texts, given, wrong = world(rows=400, errors=0.08)
    found = suspect(texts, given)
    right = world(rows=400, errors=0.0)[1]
    assert set(found.expected) == found.suspected
    assert all(found.expected[n] == right[n] for n in found.suspected & wrong)


def test_of_a_long_text_both_ends_are_read():
    middle = "x" * 100_000
    assert suspicion._bounded(f"begin {middle} end").startswith("begin")
    assert suspicion._bounded(f"begin {middle} end").endswith("end")
    assert len(suspicion._bounded(middle)) == 1001
