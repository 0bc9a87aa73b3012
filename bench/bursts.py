"""What requests that come again cost a certificate: who counts every row, who takes every cluster for a coin, and ours.

    python -m bench.bursts [--runs 200]

Some requests of the traffic are popular and come all the time: the student is right on each of them, or wrong, and the
traffic has the same ones for ever. Or topics come up and go, each a coin, and last for a part of the window or longer.
The risk over all traffic is 1.01 alpha (a certificate is false) or half of alpha (it is right); as much of it as they
hold is the popular requests' or the topics'. Each run draws a window of n rows and as many before it, and tests one
threshold that accepts all (docs/decisions/0053).
"""

import argparse
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.limits import allowed
from calibration.certificate import Certificate, Contract
from calibration.certify import Plan, ScoredRow, certify
from calibration.clustered import Clusters
from calibration.steady import bursts

DELTA, CONTRACTS = 0.05, ((0.1, 250), (0.05, 1000))
IN_TOPICS = 0.15  # of the traffic
KINDS, WAYS = ("false", "right"), ("every row", "coins", "ours")
Drawn = tuple[NDArray[np.int_], NDArray[np.bool_]]  # of each row in turn: which request it is, and whether it is wrong
World = Callable[[np.random.Generator, int, float], Drawn]  # of so many rows at a risk


def popular(shares: Sequence[float]) -> World:
    """Requests with these shares of the traffic, and distinct ones beside."""

    def drawn(rng: np.random.Generator, rows: int, risk: float) -> Drawn:
        wrong, left = np.zeros(len(shares) + 1), risk
        for place in rng.permutation(len(shares)):
            if shares[place] <= left:
                wrong[place], left = 1.0, left - shares[place]
        wrong[-1] = left / (1.0 - sum(shares))
        requests = rng.choice(len(shares) + 1, size=rows, p=[*shares, 1.0 - sum(shares)])
        distinct = len(shares) + np.arange(rows)
        return np.where(requests < len(shares), requests, distinct), rng.random(rows) < wrong[requests]

    return drawn


def topics(*, size: int, lasting: float) -> World:
    """Topics of so many rows, each spread over a time in which a window comes so many times, and distinct requests
    beside."""

    def drawn(rng: np.random.Generator, rows: int, risk: float) -> Drawn:
        span, of_topic = lasting * rows / 2, min(1.0, risk / IN_TOPICS)
        begins = rng.uniform(-span, rows, size=rng.poisson(IN_TOPICS * (rows + span) / size))
        times = (begins[:, None] + rng.random((len(begins), size)) * span).ravel()
        coins = np.repeat(rng.random(len(begins)) < of_topic, size)
        here = (times >= 0) & (times < rows)
        others = rng.random(rng.binomial(rows, 1.0 - IN_TOPICS)) * rows
        wrong = rng.random(len(others)) < (risk - of_topic * IN_TOPICS) / (1.0 - IN_TOPICS)
        numbers = np.concatenate([np.repeat(np.arange(len(begins)), size)[here], len(begins) + np.arange(len(others))])
        order = np.argsort(np.concatenate([times[here], others]))
        return numbers[order], np.concatenate([coins[here], wrong])[order]

    return drawn


def zipf(count: int, share: float) -> list[float]:
    """The shares of so many requests, the second half as popular as the first, the third a third."""
    parts = 1.0 / np.arange(1, count + 1)
    return [float(each) for each in share * parts / parts.sum()]


WORLDS: Mapping[str, World] = {
    "one popular request, 3 %": popular([0.03]),
    "three, 6, 4 and 2 %": popular([0.06, 0.04, 0.02]),
    "40, Zipf, half of all": popular(zipf(40, 0.5)),
    "400, Zipf, four fifths": popular(zipf(400, 0.8)),
    **{
        f"topics of {size}, {lasting:g} windows": topics(size=size, lasting=lasting)
        for size in (8, 25)
        for lasting in (0.02, 0.5, 1.0, 2.0)
    },
}


def issued(drawn: Drawn, *, contract: Contract) -> dict[str, bool]:
    """Whether each way certifies the second half of these rows."""
    requests, before = drawn[0].tolist(), len(drawn[0]) // 2
    ways = ([None] * len(requests), requests, bursts(requests, before=before))
    return {way: _certified(numbers, drawn[1], contract=contract) for way, numbers in zip(WAYS, ways, strict=True)}


def _certified(numbers: Sequence[int | None], wrong: NDArray[np.bool_], *, contract: Contract) -> bool:
    before = len(numbers) // 2
    clusters = Clusters.of(numbers, before=before)
    behind = zip(wrong[before:], numbers[before:], strict=True)
    rows = [ScoredRow(0.9, float(each), cluster=number) for each, number in behind]
    return isinstance(
        certify(rows, plan=Plan(contract, (0.5,), (0.0, 1.0), "f", 0.0, before=clusters.before)), Certificate
    )


def measure(name: str, *, alpha: float, n: int, runs: int) -> tuple[Counter[str], Counter[str]]:
    """Of so many runs those that certify at a risk of 1.01 alpha, which is false, and at half of alpha: by each way."""
    rng, contract, found = np.random.default_rng(n), Contract(alpha, DELTA), (Counter[str](), Counter[str]())
    for counted, risk in zip(found, (1.01 * alpha, 0.5 * alpha), strict=True):
        for _ in range(runs):
            counted.update(issued(WORLDS[name](rng, 2 * n, risk), contract=contract))
    return found


def main() -> None:
    """Print the table, row by row, and mark what exceeds delta and two standard errors."""
    parser = argparse.ArgumentParser(prog="python -m bench.bursts")
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    heads = ["traffic", "alpha", "rows", *(f"{what}: {way}" for what in KINDS for way in WAYS)]
    print(f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", sep="\n", flush=True)
    for name, (alpha, n) in itertools.product(WORLDS, CONTRACTS):
        false, right = measure(name, alpha=alpha, n=n, runs=runs)
        marks = [f"{false[way] / runs:.1%}{'*' if false[way] > allowed(runs, DELTA) else ''}" for way in WAYS]
        cells = [name, f"{alpha:.0%}", str(n), *marks, *(f"{right[way] / runs:.0%}" for way in WAYS)]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
