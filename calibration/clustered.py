"""How likely so few errors are at a true risk, among rows of which some stand or fall together.

Near-duplicates are one coin: all rows of a cluster are wrong, or none. Distinct rows have one risk. Wrong clusters of a
size come as a Poisson number, so that it is chance too how many of them a window has. How the risk is spread over small
and large clusters nobody knows, so the worst way counts. What maximises Chernoff's bound, whatever its parameter, is to
give clusters their part of the risk largest first; but the tail itself has steps, and a smaller size may let one wrong
cluster more pass. So each size is tried as the first, and mixtures of two, with parts of all sizes; from the worst of
these risk is moved as long as that is worse (docs/decisions/0052-every-reference-counts.md).
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom

from calibration.bounds import binomial_p_value, lower_bound, upper_bound

Floats = NDArray[np.float64]
Sizes = Mapping[int, int]  # rows of a cluster -> how many clusters have so many
NONE: Sizes = {}
PARTS = 25  # ways to divide the risk between near-duplicates and distinct rows
MOST_SIZES = 6  # of clusters, that are told apart
MIXTURES = (0.2, 0.4, 0.6, 0.8)  # of two of them
STEPS = (0.25, 0.01)  # of the risk, that are moved at first and at last


@dataclass(frozen=True)
class Clusters:
    """Near-duplicates `among` the rows of a window, and among as many rows `before` it. No clusters: all are distinct,
    however many there are."""

    among: Sizes = field(default_factory=dict)
    before: Sizes = field(default_factory=dict)

    @classmethod
    def of(cls, numbers: Sequence[Hashable], *, before: int) -> "Clusters":
        """By the cluster of each row, None: it is like no other; the first so many rows are `before` the window."""
        window = numbers[before:]
        return cls(sizes_of(window), as_of(numbers[:before], rows=len(window)))

    @property
    def all_distinct(self) -> bool:
        """Whether no two rows are near-duplicates."""
        return not _large(self.among, self.before)

    @property
    def alike(self) -> int:
        """How many rows of the window are near-duplicates of another."""
        return rows_in(self.among) - self.among.get(1, 0)

    @property
    def effect(self) -> float:
        """How many rows among these tell about as much as one distinct row (the design effect of Kish 1965)."""
        rows = rows_in(self.among)
        return sum(size * size * count for size, count in self.among.items()) / rows if rows else 1.0

    def accepted(self, rows: int, *, share: float) -> Sizes:
        """Of so many rows, which are a share of the window: its clusters in this share at least, where they find room,
        and the others distinct."""
        found, left = dict[int, int](), rows
        for size in _large(self.among):
            found[size] = min(left // size, math.ceil(self.among[size] * share))
            left -= found[size] * size
        return {1: left, **{size: count for size, count in found.items() if count}}


NO_CLUSTERS = Clusters()


def sizes_of(clusters: Iterable[Hashable]) -> Counter[int]:
    """Of rows, by the cluster of each; one of None is like no other."""
    found = Counter(clusters)
    distinct = found.pop(None, 0)
    sizes = Counter(found.values())
    if distinct:
        sizes[1] += distinct
    return sizes


def as_of(clusters: Sequence[Hashable], *, rows: int) -> dict[int, int]:
    """`sizes_of`, as there would be of each size among so many rows where there are fewer."""
    scale = max(1.0, rows / max(1, len(clusters)))
    return {size: math.ceil(count * scale) for size, count in sizes_of(clusters).items()}


def rows_in(sizes: Sizes) -> int:
    """How many rows there are."""
    return sum(size * count for size, count in sizes.items())


def p_value(errors: int, sizes: Sizes, alpha: float, *, before: Sizes = NONE) -> float:
    """The largest P(at most so many errors) at a true risk of alpha; 1 for no rows.

    `before`: the clusters of as many rows before these. Of a size as many clusters may be wrong as were seen in both
    together, and a standard error more: a burst that was there lately and is not here is no merit of the student's.
    """
    spread = _Spread(sizes, before)
    if spread.plain:
        return binomial_p_value(errors, rows_in(sizes), alpha)
    way, found = spread.worst(errors, alpha * rows_in(sizes), mixtures=MIXTURES)
    return spread.moved(errors, way, found) if len(spread.large) > 1 else found


def risk_bound(errors: int, sizes: Sizes, delta: float, *, before: Sizes = NONE) -> float:
    """One-sided upper confidence bound on the risk at level 1 - delta: the least that `p_value` rejects."""
    rows, almost_all = rows_in(sizes), 1.0 - 1e-9
    if errors >= rows or not _large(sizes, before):
        return upper_bound(errors, rows, delta)
    if p_value(errors, sizes, almost_all, before=before) > delta:
        return 1.0
    return float(brentq(lambda risk: p_value(errors, sizes, risk, before=before) - delta, 0.0, almost_all, xtol=1e-6))


def least_share(hits: int, sizes: Sizes, delta: float) -> float:
    """One-sided lower confidence bound on a share at level 1 - delta, as if no near-duplicate were a hit."""
    distinct, rows = sizes.get(1, 0), rows_in(sizes)
    sure = max(0, hits - (rows - distinct))
    return lower_bound(sure, distinct, delta) * distinct / rows if rows else 0.0


def errors_allowed(
    sizes: Sequence[Sizes], alphas: Sequence[float], p_wanted: float, *, before: Sizes = NONE
) -> NDArray[np.int_]:
    """The most errors with which rows in such clusters pass the test against alpha, one by one; -1 where none do. A
    forecast: where there are several sizes of clusters, it may be one too many."""
    if not _large(*sizes, before):
        n = np.array([rows_in(each) for each in sizes])
        errors = binom.ppf(p_wanted, n, alphas).astype(int)
        passing: NDArray[np.int_] = np.where(binom.cdf(errors, n, alphas) <= p_wanted, errors, errors - 1)
        return passing
    return np.array(
        [_most_errors(each, alpha, p_wanted, before=before) for each, alpha in zip(sizes, alphas, strict=True)],
        dtype=int,
    )


def _most_errors(sizes: Sizes, alpha: float, p_wanted: float, *, before: Sizes) -> int:
    spread, wrong = _Spread(sizes, before), alpha * rows_in(sizes)
    if spread.plain:
        return int(errors_allowed([sizes], [alpha], p_wanted)[0])
    return -1 + bisect_right(range(math.ceil(wrong)), p_wanted, key=lambda errors: spread.worst(errors, wrong)[1])


def _large(*sizes: Sizes) -> list[int]:
    """The sizes of more than one row, largest first."""
    return sorted({size for each in sizes for size in each if size > 1}, reverse=True)


def _at_most(sizes: Sizes, before: Sizes) -> dict[int, float]:
    """How many clusters of a size there may be in the mean, largest first. Where there are many sizes, those that are
    nearest to each other count as the larger one."""
    seen = {size: sizes.get(size, 0) + before.get(size, 0) for size in _large(sizes, before)}
    while len(seen) > MOST_SIZES:
        larger, smaller = min(pairwise(seen), key=lambda pair: pair[0] / pair[1])
        seen[larger] += seen.pop(smaller)
    return {size: count + math.sqrt(count) for size, count in seen.items()}


class _Spread:
    """Ways to spread wrong rows: a column for the distinct ones, and one for each size, largest first."""

    def __init__(self, sizes: Sizes, before: Sizes) -> None:
        most = _at_most(sizes, before)
        self.distinct = sizes.get(1, 0)
        self.large = np.array(list(most))
        self.room = np.array([self.distinct, *(size * limit for size, limit in most.items())], dtype=float)
        self.plain = not (most and rows_in(sizes))

    def worst(self, errors: int, wrong: float, *, mixtures: Sequence[float] = ()) -> tuple[Floats, float]:
        """Of many ways to spread so many wrong rows the likeliest to have so few errors, and how likely that is.
        `mixtures`: of two of them, in which parts."""
        theirs = np.linspace(max(0.0, wrong - self.distinct), min(wrong, float(self.room[1:].sum())), PARTS)
        places, ways = range(1, len(self.room)), []
        for first in places:
            way = np.zeros((PARTS, len(self.room)))
            left = theirs.copy()
            for place in (*places[first - 1 :], *reversed(places[: first - 1])):  # the smaller ones, then the larger
                way[:, place] = np.minimum(left, self.room[place])
                left = left - way[:, place]
            way[:, 0] = wrong - theirs
            ways.append(way)
        mixed = [(1.0 - t) * one + t * other for one, other in combinations(ways, 2) for t in mixtures]
        return self._likeliest(errors, np.concatenate([*ways, *mixed]))

    def moved(self, errors: int, way: Floats, found: float) -> float:
        """How likely so few errors are after moving risk from size to size, as long as that makes them likelier."""
        step, last = (share * way.sum() for share in STEPS)
        while step > last:
            moves = self._moves(way, step)
            tried, likelier = self._likeliest(errors, moves) if len(moves) else (way, 0.0)
            if likelier > found * 1.001:
                way, found = tried, likelier
            else:
                step /= 2.0
        return found

    def _moves(self, way: Floats, step: float) -> Floats:
        places = range(len(way))
        fits = np.minimum(step, np.minimum(way[:, None], np.maximum(0.0, self.room - way)[None, :]))  # (from, to)
        unit = np.eye(len(way))
        return np.array(
            [way + fits[i, j] * (unit[j] - unit[i]) for i in places for j in places if i != j and fits[i, j]]
        )

    def _likeliest(self, errors: int, ways: Floats) -> tuple[Floats, float]:
        tails = self._tails(errors, ways)
        at = int(tails.argmax())
        return ways[at], min(1.0, float(tails[at]))

    def _tails(self, errors: int, ways: Floats) -> Floats:
        """P(at most so many errors) of each way: binomial and compound Poisson, the latter by its characteristic
        function over a range beyond which next to nothing of it lies. Shape (W,)."""
        expected, largest = float(ways[:, 1:].sum(axis=1).max()), int(self.large[0])
        beyond = math.ceil(expected + 9.0 * (math.sqrt(largest * expected) + largest))
        length, counts = 2 ** math.ceil(math.log2(beyond)), np.arange(min(errors, beyond - 1) + 1)  # (E,) in clusters
        around = np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length)  # (L / 2 + 1,)
        exponents = (ways[:, 1:] / self.large) @ (around[None, :] ** self.large[:, None] - 1.0)
        in_clusters = np.maximum(0.0, np.fft.irfft(np.exp(exponents), length)[:, : len(counts)])
        risks, place = np.unique(np.clip(ways[:, 0] / max(1, self.distinct), 0.0, 1.0), return_inverse=True)
        of_distinct = binom.cdf((errors - counts)[None, :], self.distinct, risks[:, None])[place]
        return np.asarray((in_clusters * of_distinct).sum(axis=1))
