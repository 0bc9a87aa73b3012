"""The guarantee on real drafts of a real student: certified again and again on windows drawn anew from them.

    python -m bench.resplits DRAFTS.json [--runs 500]

DRAFTS.json is what `tutelage replay` keeps in its work folder: evidence and agreement of every draft. One row of each
cluster of near-duplicates is the pool. In each run rows of its older third, drawn without replacement, fit calibrator
and grid; a window of n rows is drawn *with replacement* from the others, so that their own risk above a threshold is
the truth. The share of runs that certify a threshold whose risk exceeds alpha is at most delta = 5 %. Beside it the
naive way: the loosest threshold whose observed risk is at most alpha.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from rich.progress import track

from bench.validity import by_observed_risk
from calibration.calibrator import Calibrator
from calibration.certificate import Certificate, Contract
from calibration.certify import MIN_POWER, Plan, ScoredRow, certify, frozen_grid, predicted_power, score_grid
from calibration.fit import fit_calibrator
from tutelage.replay.trial import DraftedRow, Trial

DELTA, FIT_ROWS = 0.05, 300
ALPHAS, SIZES = (0.02, 0.05, 0.10, 0.15), (300, 1000, 3000)


@dataclass(frozen=True)
class Pool:
    """Rows that fit, and rows that windows are drawn from."""

    fit: Sequence[DraftedRow]
    window: Sequence[DraftedRow]

    @property
    def agreement(self) -> float:
        """Of all drafts that windows are drawn from."""
        return 1.0 - float(np.mean([row.disagreement for row in self.window]))


def pool_of(trial: Trial) -> Pool:
    """One row a cluster, in the order of the log."""
    first = list({row.cluster: row for row in reversed(trial.rows)}.values())[::-1]
    third = max(FIT_ROWS, len(first) // 3)
    return Pool(first[:third], first[third:])


@dataclass(frozen=True)
class Truth:
    """The risk of what a threshold accepts of the pool, and the share of the pool that it accepts."""

    scores: np.ndarray  # of the pool, ascending
    wrong: np.ndarray  # aligned

    def at(self, threshold: float) -> tuple[float, float]:
        """(risk, coverage)."""
        accepted = self.wrong[np.searchsorted(self.scores, threshold, side="left") :]
        return (float(accepted.mean()) if len(accepted) else 0.0), len(accepted) / len(self.wrong)

    def best(self, alpha: float) -> float:
        """What an oracle could accept: the largest coverage with a risk of at most alpha."""
        found = (self.at(threshold) for threshold in np.unique(self.scores[self.scores >= 0]))
        return max((coverage for risk, coverage in found if risk <= alpha), default=0.0)


@dataclass
class Cell:
    """Counts over the runs of one alpha and n."""

    runs: int = 0
    issued: int = 0
    false: int = 0
    coverage: float = 0.0
    oracle: float = 0.0
    naive_false: int = 0
    naive_coverage: float = 0.0


def measure(pool: Pool, *, alpha: float, n: int, runs: int) -> Cell:
    """One cell of the table; means of coverage are over all runs, a refusal counting 0."""
    rng, contract, cell = np.random.default_rng(int(1e4 * alpha) + n), Contract(alpha, DELTA), Cell()
    for _ in range(runs):
        fit_rows = [pool.fit[i] for i in rng.choice(len(pool.fit), FIT_ROWS, replace=False)]
        calibrator = _calibrator(fit_rows)
        fit, whole = (scored(rows, calibrator) for rows in (fit_rows, pool.window))
        order = sorted(whole, key=lambda row: row.score)
        truth = Truth(np.array([row.score for row in order]), np.array([row.disagreement for row in order]))
        window = [whole[i] for i in rng.integers(len(whole), size=n)]
        _count(cell, truth, fit=fit, window=window, contract=contract)
    return cell


def _count(
    cell: Cell, truth: Truth, *, fit: Sequence[ScoredRow], window: Sequence[ScoredRow], contract: Contract
) -> None:
    cell.runs += 1
    cell.oracle += truth.best(contract.alpha)
    every = score_grid([row.score for row in fit if row.score >= 0])
    if (naive := by_observed_risk(window, every, alpha=contract.alpha)) is not None:
        risk, coverage = truth.at(naive)
        cell.naive_false += risk > contract.alpha
        cell.naive_coverage += coverage
    if predicted_power(fit, contract=contract, n=len(window)) < MIN_POWER:
        return
    grid = frozen_grid(fit, contract=contract, n=len(window))
    found = certify(window, plan=Plan(contract, grid, (0.0, 1.0), "resplit", 0.0))
    if isinstance(found, Certificate):
        risk, coverage = truth.at(found.threshold)
        cell.issued += 1
        cell.false += risk > contract.alpha
        cell.coverage += coverage


def _calibrator(rows: Sequence[DraftedRow]) -> Calibrator:
    usable = [row for row in rows if row.evidence]
    return fit_calibrator([row.evidence or {} for row in usable], [not row.disagreement for row in usable])


def scored(rows: Sequence[DraftedRow], calibrator: Calibrator) -> list[ScoredRow]:
    """As the certificate sees them."""
    return [ScoredRow(calibrator.score(row.evidence) if row.evidence else -1.0, row.disagreement) for row in rows]


def row_of(cell: Cell, *, alpha: float, n: int) -> str:
    """Of the table."""
    shares = [count / cell.runs for count in (cell.issued, cell.false)]
    covered = [total / cell.runs for total in (cell.coverage, cell.oracle)]
    naive = (cell.naive_false / cell.runs, cell.naive_coverage / cell.runs)
    words = [f"{share:.1%}" for share in shares] + [f"{each:.3f}" for each in covered]
    return f"| {alpha:.0%} | {n} | {' | '.join(words)} | {naive[0]:.1%} | {naive[1]:.3f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.resplits")
    parser.add_argument("drafts", type=Path)
    parser.add_argument("--runs", type=int, default=500)
    options = parser.parse_args()
    pool = pool_of(msgspec.json.decode(options.drafts.read_bytes(), type=Trial))
    print(f"{len(pool.fit)} rows fit, {len(pool.window)} are the pool: {pool.agreement:.1%} of its drafts agree\n")
    lines = [
        "| alpha | n | issued | false | coverage | oracle | naive: false | naive: coverage |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for alpha, n in track([(alpha, n) for alpha in ALPHAS for n in SIZES], description=f"{options.runs} runs each"):
        lines.append(row_of(measure(pool, alpha=alpha, n=n, runs=options.runs), alpha=alpha, n=n))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
