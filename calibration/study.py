"""What drafts that exist already would be certified for: a look before anything is served, at several contracts.

Rows in the order of their requests: the first ones fit the calibrator, the later ones are tested, as for a release
where it is known which are near-duplicates. Each contract's answer holds by itself, for whoever has chosen it
beforehand; to pick the best of them by these answers is to look twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibration.calibrator import Calibrator
from calibration.certificate import Certificate, Contract, Refusal
from calibration.certify import (
    MIN_POWER,
    Plan,
    ScoredRow,
    certify,
    frozen_grid,
    predicted_power,
    rows_needed,
)
from calibration.clustered import Clusters
from calibration.fit import fit_calibrator
from calibration.steady import bursts

FIT_SHARE = 1 / 3


@dataclass(frozen=True)
class Drafted:
    """A draft's evidence, empty or None where it has none, and d in {0, 1} against the teacher's answer."""

    evidence: Mapping[str, float] | None
    disagreement: float


@dataclass(frozen=True)
class Study:
    """`agreement`: of all drafts; `tested`: the rows behind the fit rows, so many of them near-duplicates of another
    that do not come steadily; what each contract comes to on them."""

    rows: int
    agreement: float
    tested: tuple[ScoredRow, ...]
    near_duplicates: int
    outcomes: tuple[tuple[Contract, Certificate | Refusal], ...]


def study(rows: Sequence[Drafted], contracts: Sequence[Contract], *, clusters: Sequence[int] | None = None) -> Study:
    """`clusters`: which rows are near-duplicates of each other, by number; None: none are.

    Raises CannotFit where too few rows have evidence.
    """
    cut = round(FIT_SHARE * len(rows))
    usable = [row for row in rows[:cut] if row.evidence]
    calibrator = fit_calibrator([row.evidence or {} for row in usable], [not row.disagreement for row in usable])
    before = min(cut, len(rows) - cut)
    numbers = bursts((range(len(rows)) if clusters is None else clusters)[cut - before :], before=before)
    known = Clusters.of(numbers, before=before)
    fit = [_scored(row, calibrator) for row in rows[:cut]]
    behind = zip(rows[cut:], numbers[before:], strict=True)
    tested = [_scored(row, calibrator, cluster=number) for row, number in behind]
    agreement = 1.0 - sum(row.disagreement for row in rows) / len(rows)
    outcomes = tuple((contract, _outcome(fit, tested, clusters=known, contract=contract)) for contract in contracts)
    return Study(len(rows), agreement, tuple(tested), known.alike, outcomes)


def _scored(row: Drafted, calibrator: Calibrator, *, cluster: int | None = None) -> ScoredRow:
    return ScoredRow(calibrator.score(row.evidence) if row.evidence else -1.0, row.disagreement, cluster=cluster)


def _outcome(
    fit: Sequence[ScoredRow], tested: Sequence[ScoredRow], *, clusters: Clusters, contract: Contract
) -> Certificate | Refusal:
    n = len(tested)
    power = predicted_power(fit, contract=contract, n=n, clusters=clusters)
    if power < MIN_POWER:
        reason = f"{n} rows would certify with a chance of {power:.0%}"
        return Refusal(reason, n, rows_needed(fit, contract=contract, clusters=clusters), labels_seen=False)
    grid = frozen_grid(fit, contract=contract, n=n, clusters=clusters)
    return certify(tested, plan=Plan(contract, grid, (0.0, 0.0), "study", issued_at=0.0, before=clusters.before))
