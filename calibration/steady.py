"""Which requests come steadily, and which in bursts.

A request that was there before the window, and comes as evenly as all others do, will be there after it in about the
same part: each time that it comes is a draw from the traffic like any other, whatever the student makes of it. What is
here now and was not before, or the other way round, may be a burst, whose rows are one coin (`calibration.clustered`).
Labels have no say.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.stats import kstest

UNLIKELY = 0.002  # chance of a steady request to come no more evenly
EVEN = 0.1  # as far from even may come what is steady, however many rows show it: it may double from end to end


def bursts(clusters: Sequence[int | None], *, before: int) -> list[int | None]:
    """The cluster of each row; None where it is like no other, or of a request that comes steadily.

    Rows in the order in which they arrived, the first so many of them `before` the window: half as many at least as in
    it, or nothing is known to be steady. A request is that if it came before the window and in it, and its places
    among all rows, from the beginning and from the middle, are hardly uneven (Kolmogorov's and Smirnov's distance), or
    no more than chance may make them (their test).
    """
    if 2 * before < len(clusters) - before:
        return list(clusters)
    places = defaultdict[int, list[int]](list)
    for place, number in enumerate(clusters):
        if number is not None:
            places[number].append(place)
    steady = {number for number, rows in places.items() if _comes_steadily(rows, before=before, of=len(clusters))}
    return [None if number in steady else number for number in clusters]


def _comes_steadily(places: Sequence[int], *, before: int, of: int) -> bool:
    if not places[0] < before <= places[-1]:
        return False
    even = (np.array(places) + 0.5) / of  # uniform between 0 and 1, if it comes steadily
    from_the_middle = np.abs(2.0 * even - 1.0)  # what comes in the middle alone is as early as it is late
    found = [kstest(each, "uniform") for each in (even, from_the_middle)]
    return bool(max(each.statistic for each in found) < EVEN or 2.0 * min(each.pvalue for each in found) >= UNLIKELY)
