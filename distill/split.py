"""Parts of a data set that share no near-duplicate: a row that was trained on may not, reworded, judge the training."""

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence


def split_by_cluster(clusters: Sequence[int], *, shares: Mapping[str, float], seed: int) -> dict[str, list[int]]:
    """Row indices of each part, ascending, so that no cluster lies in two parts.

    Clusters come in an order drawn from `seed`, and each goes to the part that lacks the most rows. So a part exceeds
    its share by less than the largest cluster, and falls short by no more than the other parts exceed theirs.
    `shares` lie in [0, 1] and sum to 1; raises ValueError otherwise.
    """
    if min(shares.values()) < 0 or not math.isclose(sum(shares.values()), 1.0):
        raise ValueError(f"shares must be non-negative and sum to 1: {dict(shares)}")
    lacking = {part: share * len(clusters) for part, share in shares.items()}
    parts: dict[str, list[int]] = {part: [] for part in shares}
    for members in _shuffled(clusters, seed):
        neediest = max(lacking, key=lambda part: lacking[part])
        parts[neediest] += members
        lacking[neediest] -= len(members)
    return {part: sorted(members) for part, members in parts.items()}


def _shuffled(clusters: Sequence[int], seed: int) -> list[list[int]]:
    members: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(clusters):
        members[number].append(index)
    groups = list(members.values())
    random.Random(seed).shuffle(groups)
    return groups
