"""How likely so few errors are at a true risk, among rows of which some stand or fall together.

Near-duplicates are one coin: all rows of a cluster are wrong, or none. How the risk is spread over small and large
clusters nobody knows, so the worst of all ways counts. Distinct rows have one risk, which is their worst (Hoeffding
1956). Wrong clusters of a size come as a Poisson number, so that it is chance too how many of them a window has; of
all ways to give them some of the risk those are worst that give it to the largest first, since that is what maximises
Chernoff's bound, whatever its parameter. So one number is left: how much of the risk is theirs
(docs/decisions/0052-every-reference-counts.md).
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom

from calibration.bounds import binomial_p_value, upper_bound

Sizes = Mapping[int, int]  # rows of a cluster -> how many clusters have so many
NONE: Sizes = {}
SPREADS = 33  # ways to divide the risk between near-duplicates and distinct rows


@dataclass(frozen=True)
class Clusters:
    """Near-duplicates `among` the rows of a window, and among as many rows `before` it. No clusters: all are distinct,
    however many there are."""

    among: Sizes = field(default_factory=dict)
    before: Sizes = field(default_factory=dict)

    @property
    def all_distinct(self) -> bool:
        """Whether no two rows are near-duplicates."""
        return not _large(self.among, self.before)

    @property
    def effect(self) -> float:
        """How many rows among these tell about as much as one distinct row (the design effect of Kish 1965)."""
        rows = rows_in(self.among)
        return sum(size * size * count for size, count in self.among.items()) / rows if rows else 1.0

    def accepted(self, rows: int, *, share: float) -> Sizes:
        """Of so many rows, which are a share of the window: its clusters in this share, and the others distinct."""
        large = {size: round(count * share) for size, count in self.among.items() if size > 1}
        distinct = max(0, rows - rows_in(large))
        return {1: distinct, **{size: count for size, count in large.items() if count}}


NO_CLUSTERS = Clusters()


def sizes_of(clusters: Iterable[Hashable]) -> Counter[int]:
    """Of rows, by the cluster of each; one of None is like no other."""
    found = Counter(clusters)
    distinct = found.pop(None, 0)
    sizes = Counter(found.values())
    if distinct:
        sizes[1] += distinct
    return sizes


def rows_in(sizes: Sizes) -> int:
    """How many rows there are."""
    return sum(size * count for size, count in sizes.items())


def p_value(errors: int, sizes: Sizes, alpha: float, *, before: Sizes = NONE) -> float:
    """The largest P(at most so many errors) at a true risk of alpha; 1 for no rows.

    `before`: the clusters of as many rows before these. Of a size as many clusters may be wrong as were seen in both
    together, and a standard error more: a burst that was there lately and is not here is no merit of the student's.
    """
    large = _large(sizes, before)
    rows = rows_in(sizes)
    if not large or not rows:
        return binomial_p_value(errors, rows, alpha)
    most = {size: _and_more(sizes.get(size, 0) + before.get(size, 0)) for size in large}
    distinct, wrong = sizes.get(1, 0), alpha * rows
    theirs = np.linspace(
        max(0.0, wrong - distinct), min(wrong, sum(size * most[size] for size in large)), SPREADS
    )  # (S,) wrong rows that lie in clusters
    risks = np.clip((wrong - theirs) / max(1, distinct), 0.0, 1.0)
    of_distinct = binom.cdf(np.arange(errors, -1, -1)[None, :], distinct, risks[:, None])  # (S, errors + 1)
    return float((_in_clusters(errors, theirs, most) * of_distinct).sum(axis=1).max())


def risk_bound(errors: int, sizes: Sizes, delta: float, *, before: Sizes = NONE) -> float:
    """One-sided upper confidence bound on the risk at level 1 - delta: the least that `p_value` rejects."""
    rows, almost_all = rows_in(sizes), 1.0 - 1e-9
    if errors >= rows or not _large(sizes, before):
        return upper_bound(errors, rows, delta)
    if p_value(errors, sizes, almost_all, before=before) > delta:
        return 1.0
    least = errors / rows
    if p_value(errors, sizes, least, before=before) <= delta:
        return least
    return float(brentq(lambda risk: p_value(errors, sizes, risk, before=before) - delta, least, almost_all, xtol=1e-6))


def least_share(hits: int, sizes: Sizes, delta: float, *, before: Sizes = NONE) -> float:
    """One-sided lower confidence bound on a share at level 1 - delta. 0 for no hits."""
    return 1.0 - risk_bound(rows_in(sizes) - hits, sizes, delta, before=before) if hits else 0.0


def errors_allowed(
    sizes: Sequence[Sizes], alphas: Sequence[float], p_wanted: float, *, before: Sizes = NONE
) -> NDArray[np.int_]:
    """The most errors with which rows in such clusters pass the test against alpha, one by one; -1 where none do."""
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
    return -1 + bisect_right(
        range(math.ceil(alpha * rows_in(sizes))),
        p_wanted,
        key=lambda errors: p_value(errors, sizes, alpha, before=before),
    )


def _large(*sizes: Sizes) -> list[int]:
    """The sizes of more than one row, largest first."""
    return sorted({size for each in sizes for size in each if size > 1}, reverse=True)


def _and_more(count: int) -> float:
    return count + math.sqrt(count)


def _in_clusters(errors: int, theirs: NDArray[np.float64], most: Mapping[int, float]) -> NDArray[np.float64]:
    """P(e errors in clusters) for e up to `errors`, where so many wrong rows are expected there, in the largest first.

    `most`: how many clusters of a size may be wrong, largest first. Shape (S, errors + 1). A compound Poisson
    distribution by its characteristic function, over a range beyond which next to nothing of it lies.
    """
    largest = max(most)
    beyond = errors + theirs.max() + 12.0 * (math.sqrt(largest * theirs.max()) + largest)
    length = 2 ** math.ceil(math.log2(beyond))
    around = np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length)  # (L / 2 + 1,)
    left, exponents = theirs.copy(), np.zeros((len(theirs), len(around)), dtype=complex)
    for size, limit in most.items():
        rates = np.minimum(left / size, limit)
        left = left - rates * size
        exponents += rates[:, None] * (around**size - 1.0)
    found: NDArray[np.float64] = np.fft.irfft(np.exp(exponents), length)[:, : errors + 1]
    return np.maximum(0.0, found)
