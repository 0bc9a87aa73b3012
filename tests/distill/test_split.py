from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.split import split_by_cluster

SHARES = {"train": 0.7, "validate": 0.1, "fit": 0.2}


def split(clusters, *, seed=0, shares=SHARES):
    return split_by_cluster(clusters, shares=shares, seed=seed)


@given(st.lists(st.integers(0, 20), max_size=80), st.integers(0, 5))
def test_every_row_is_in_one_part_and_every_cluster_too(clusters, seed):
    parts = split(clusters, seed=seed)
    assert sorted(index for part in parts.values() for index in part) == list(range(len(clusters)))
    homes = {(clusters[index], name) for name, part in parts.items() for index in part}
    assert len(homes) == len(set(clusters))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=80), st.integers(0, 5))
def test_shares_are_met_within_a_cluster(clusters, seed):
    largest = max(Counter(clusters).values())
    for name, part in split(clusters, seed=seed).items():
        excess = len(part) - SHARES[name] * len(clusters)
        assert -2 * largest < excess < largest


def test_the_seed_decides():
    clusters = list(range(100))
    assert split(clusters, seed=3) == split(clusters, seed=3)
    assert split(clusters, seed=3) != split(clusters, seed=4)


def test_a_part_is_a_sample_of_the_whole():
    held_out = split(list(range(1000)))["fit"]
    assert len(held_out) == 200
    assert 400 < sum(held_out) / len(held_out) < 600


def test_wrong_shares_are_refused():
    with pytest.raises(ValueError, match="sum to 1"):
        split([0, 1], shares={"train": 0.5, "fit": 0.4})
