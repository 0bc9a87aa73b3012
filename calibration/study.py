"""What drafts that exist already would be certified for: a look before anything is served, at several contracts.

Rows in the order of their requests: the first ones fit the calibrator, the later ones are tested, thinned as for a
release where it is known which are near-duplicates. Each contract's answer holds by itself, for whoever has chosen it
beforehand; to pick the best of them by these answers is to look twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibration.calibrator import Calibrator
from calibration.certificate import Certificate, Contract, Refusal
from calibration.certify import (
    MIN_POWER,
    Kept,
    Plan,
    ScoredRow,
    certify,
    cluster_cap,
    frozen_grid,
    predicted_power,
    rows_needed,
    thin,
    weigh,
)
from calibration.fit import fit_calibrator

FIT_SHARE = 1 / 3


@dataclass(frozen=True)
class Drafted:
    """A draft's evidence, empty or None where it has none, and d in {0, 1} against the teacher's answer."""

    evidence: Mapping[str, float] | None
    disagreement: float


@dataclass(frozen=True)
class Study:
    """`agreement`: of all drafts; `tested`: the rows behind the fit rows, so many of them `independent`; what each
    contract comes to on them."""

    rows: int
    agreement: float
    tested: tuple[ScoredRow, ...]
    independent: int
    outcomes: tuple[tuple[Contract, Certificate | Refusal], ...]


def study(rows: Sequence[Drafted], contracts: Sequence[Contract], *, clusters: Sequence[int] | None = None) -> Study:
    """`clusters`: which rows are near-duplicates of each other, by number; None: all are taken as independent.

    Raises CannotFit where too few rows have evidence.
    """
    cut = round(FIT_SHARE * len(rows))
    usable = [row for row in rows[:cut] if row.evidence]
    calibrator = fit_calibrator([row.evidence or {} for row in usable], [not row.disagreement for row in usable])
    fit, tested = ([_scored(row, calibrator) for row in part] for part in (rows[:cut], rows[cut:]))
    agreement = 1.0 - sum(row.disagreement for row in rows) / len(rows)
    kept = _kept(clusters if clusters is not None else range(len(rows)), cut=cut)
    outcomes = tuple((contract, _outcome(fit, tested, kept=kept, contract=contract)) for contract in contracts)
    return Study(len(rows), agreement, tuple(tested), len(kept or ()), outcomes)


def _kept(clusters: Sequence[int], *, cut: int) -> list[Kept] | None:
    """What is independent of the rows behind the cut; all of them where no two are near-duplicates."""
    behind = clusters[cut:]
    if len(set(behind)) == len(behind):
        return [Kept(index, 1) for index in range(len(behind))]
    return thin(behind, cap=cluster_cap(clusters[:cut][-len(behind) :]), seed=0)


def _scored(row: Drafted, calibrator: Calibrator) -> ScoredRow:
    return ScoredRow(calibrator.score(row.evidence) if row.evidence else -1.0, row.disagreement)


def _outcome(
    fit: Sequence[ScoredRow], tested: Sequence[ScoredRow], *, kept: Sequence[Kept] | None, contract: Contract
) -> Certificate | Refusal:
    if kept is None:
        return Refusal("one request comes far more often than it did before", len(tested), None, labels_seen=False)
    n = len(kept)
    power = predicted_power(fit, contract=contract, n=n)
    if power < MIN_POWER:
        reason = f"{n} rows would certify with a chance of {power:.0%}"
        return Refusal(reason, n, rows_needed(fit, contract=contract), labels_seen=False)
    grid = frozen_grid(fit, contract=contract, n=n)
    rows = weigh([tested[one.index] for one in kept], kept)
    return certify(rows, plan=Plan(contract, grid, (0.0, 0.0), "study", issued_at=0.0))
