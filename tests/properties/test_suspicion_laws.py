"""Whatever texts and answers there are: suspicion ends in numbers or in a reason, and suspects only what is a label."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from distill.clusters import cluster
from distill.suspicion import NoLabels, suspect

TEXTS = st.lists(st.text("abc de1é", max_size=12), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_it_ends_in_numbers_or_in_a_reason(data):
    some = data.draw(TEXTS)
    size = data.draw(st.integers(0, 60))
    texts = data.draw(st.lists(st.sampled_from(some), min_size=size, max_size=size))
    answers = data.draw(st.lists(st.sampled_from("xyz"), min_size=size, max_size=size))
    sure = frozenset(range(0, size, 2))
    found = suspect(texts, answers, clusters=cluster(texts), sure=sure, seed=0, progress=lambda done, total: None)
    if isinstance(found, NoLabels):
        assert found.reason
        return
    assert 0.0 <= found.estimate <= 1.0 and found.labels >= 2 and found.rows <= size
    often = {answer for answer, count in Counter(answers).items() if count >= 5}
    assert found.suspected.isdisjoint(sure) and {answers[i] for i in found.suspected} <= often
