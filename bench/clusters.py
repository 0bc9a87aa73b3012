"""What near-duplicates cost a certificate: who counts every row as if it were distinct, who thins them, and ours.

    python -m bench.clusters [--runs 200]

Traffic comes in clusters that stand or fall together, distinct requests among them; the risk over all rows is 1.01
alpha (a certificate is false) or half of alpha (it is right), half of it, or all, in the largest clusters as
far as they hold it. Each run draws a window of some n rows and as many before it, and tests one threshold
that accepts all. `thinned`: one row of a cluster of m with probability m / M, M the largest cluster before the window,
at least 2 (the rule of before, docs/decisions/0052).
"""

import argparse
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bench.limits import allowed
from calibration.certificate import Certificate, Contract
from calibration.certify import Plan, ScoredRow, certify
from calibration.clustered import Sizes, sizes_of

DELTA = 0.05
SPREADS: Mapping[str, Mapping[int, float]] = {  # size of a cluster -> how many of all clusters have it
    "distinct": {1: 1.0},
    "a few pairs": {1: 0.995, 2: 0.005},
    "pairs": {1: 0.95, 2: 0.05},
    "many pairs": {1: 0.7, 2: 0.3},
    "up to five": {1: 0.8, 2: 0.12, 3: 0.05, 5: 0.03},
    "rare ones of eight": {1: 0.997, 8: 0.003},
    "rare ones of 25": {1: 0.995, 25: 0.005},
}
CONTRACTS, LARGE = ((0.1, 250), (0.05, 1000)), (0.5, 1.0)
KINDS, WAYS = ("false", "right"), ("every row", "thinned", "ours")


def traffic(
    rng: np.random.Generator, n: int, spread: Mapping[int, float], *, risk: float, large: float
) -> list[ScoredRow]:
    """Some n rows; `large`: how much of the risk lies in the largest clusters, as far as they hold it."""
    sizes, chances = np.array(list(spread)), np.array(list(spread.values()))
    shares = sizes * chances / (sizes @ chances)
    risks, left = np.full(len(sizes), (1.0 - large) * risk), large * risk
    for place in np.argsort(-sizes):
        risks[place] += (added := min(left / shares[place], 1.0 - risks[place]))
        left -= added * shares[place]
    kinds = rng.choice(len(sizes), size=n, p=chances)
    kinds = kinds[: int(np.searchsorted(sizes[kinds].cumsum(), n)) + 1]
    wrong = rng.random(len(kinds)) < risks[kinds]
    clusters = np.repeat(np.arange(len(kinds)), sizes[kinds])
    return [ScoredRow(0.9, float(wrong[number]), cluster=number) for number in clusters.tolist()]


def thinned(rng: np.random.Generator, rows: list[ScoredRow], *, before: Sizes) -> list[ScoredRow] | None:
    """One row of a cluster of m with probability m / M. One somewhat above M counts m times if it disagrees; None where
    one is larger than 2 M."""
    first = {row.cluster: row for row in rows}
    members, most = Counter(row.cluster for row in rows), max((2, *before))
    if max(members.values()) > 2 * most:
        return None
    kept = []
    for cluster, size in members.items():
        if rng.random() < size / most:
            times = size if size > most and first[cluster].disagreement else 1
            kept += [replace(first[cluster], cluster=None)] * times
    return kept


def issued(
    rng: np.random.Generator, spread: Mapping[int, float], *, contract: Contract, n: int, risk: float, large: float
) -> dict[str, bool]:
    """Whether each way certifies one window."""
    before = sizes_of(row.cluster for row in traffic(rng, n, spread, risk=0.0, large=0.0))
    rows = traffic(rng, n, spread, risk=risk, large=large)
    ours = Plan(contract, (0.5,), (0.0, 1.0), "f", 0.0, before=before)
    plain = replace(ours, before={})
    ways = ([replace(row, cluster=None) for row in rows], thinned(rng, rows, before=before))
    found = [kept is not None and isinstance(certify(kept, plan=plain), Certificate) for kept in ways]
    return dict(zip(WAYS, [*found, isinstance(certify(rows, plan=ours), Certificate)], strict=True))


def measure(name: str, *, alpha: float, n: int, large: float, runs: int) -> tuple[Counter[str], Counter[str]]:
    """Of so many runs those that certify at a risk of 1.01 alpha, which is false, and at half of alpha: by each way."""
    rng, contract, found = np.random.default_rng(n), Contract(alpha, DELTA), (Counter[str](), Counter[str]())
    for counted, risk in zip(found, (1.01 * alpha, 0.5 * alpha), strict=True):
        for _ in range(runs):
            counted.update(issued(rng, SPREADS[name], contract=contract, n=n, risk=risk, large=large))
    return found


def main() -> None:
    """Print the table, row by row, and mark what exceeds delta and two standard errors."""
    parser = argparse.ArgumentParser(prog="python -m bench.clusters")
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    heads = ["clusters", "alpha", "rows", "in the largest", *(f"{what}: {way}" for what in KINDS for way in WAYS)]
    print(f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", sep="\n", flush=True)
    for name, (alpha, n), large in itertools.product(SPREADS, CONTRACTS, LARGE):
        if name == "distinct" and large != LARGE[0]:
            continue  # there is nothing larger
        false, right = measure(name, alpha=alpha, n=n, large=large, runs=runs)
        marks = [f"{false[way] / runs:.1%}{'*' if false[way] > allowed(runs, DELTA) else ''}" for way in WAYS]
        cells = [name, f"{alpha:.0%}", str(n), f"{large:.0%}", *marks, *(f"{right[way] / runs:.0%}" for way in WAYS)]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
