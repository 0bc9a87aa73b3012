"""What rows may fit a calibrator while a champion serves? Its escalations are what it is unsure of, and most of what
its teacher answers.

    python -m bench.fit_rows [--runs 100]

Prints the table of docs/decisions/0008: how often the power gate lets a run look, and a certificate is issued.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from rich.progress import track

from bench.validity import DELTA, FIT_ROWS, WORLDS, draw
from calibration.certificate import Certificate, Contract
from calibration.certify import MIN_POWER, Plan, ScoredRow, certify, frozen_grid, predicted_power

FEASIBLE = WORLDS[0]
ACCEPTED_FROM, RHO = 0.45, 0.05  # what the champion answers itself, and the share of it that the teacher answers too
CELLS = ((0.05, 1000), (0.05, 3000), (0.10, 1000))
Fit = Callable[[np.random.Generator, float], list[ScoredRow]]


def references(rng: np.random.Generator, alpha: float) -> list[ScoredRow]:
    """Rows of traffic as they come."""
    return draw(rng, FIT_ROWS, FEASIBLE, alpha=alpha)


def answered(rng: np.random.Generator, alpha: float) -> list[ScoredRow]:
    """Rows that the teacher has answered: what the champion escalates, and references among the others."""
    found: list[ScoredRow] = []
    while len(found) < FIT_ROWS:
        found += [
            row for row in draw(rng, 1000, FEASIBLE, alpha=alpha) if row.score < ACCEPTED_FROM or rng.random() < RHO
        ]
    return found[-FIT_ROWS:]


def shares(fit: Fit, *, alpha: float, n: int, runs: int) -> tuple[float, float]:
    """Of the runs: let look, and certified."""
    rng, contract, tried, issued = np.random.default_rng(n), Contract(alpha, DELTA), 0, 0
    for _ in range(runs):
        rows = fit(rng, alpha)
        if predicted_power(rows, contract=contract, n=n) < MIN_POWER:
            continue
        tried += 1
        plan = Plan(contract, frozen_grid(rows, contract=contract, n=n), (0.0, 1.0), "f", 0.0)
        issued += isinstance(certify(draw(rng, n, FEASIBLE, alpha=alpha), plan=plan), Certificate)
    return tried / runs, issued / runs


def lines(runs: int) -> Iterator[str]:
    """Of the table."""
    yield "| alpha | n | references: look | certified | answered by the teacher: look | certified |"
    yield "|---|---|---|---|---|---|"
    for alpha, n in track(CELLS, description="cells"):
        figures = (*shares(references, alpha=alpha, n=n, runs=runs), *shares(answered, alpha=alpha, n=n, runs=runs))
        yield f"| {alpha:.0%} | {n} | " + " | ".join(f"{share:.0%}" for share in figures) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.fit_rows")
    parser.add_argument("--runs", type=int, default=100)
    print("\n".join(lines(parser.parse_args().runs)))


if __name__ == "__main__":
    main()
