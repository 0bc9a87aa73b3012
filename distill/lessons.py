"""What becomes of harvested rows: some teach, some stop the training in time, the newest fit the calibrator."""

from collections.abc import Set
from dataclasses import dataclass

from calibration.certify import cluster_cap
from distill.clusters import cluster
from distill.curate import curate
from distill.harvest import Harvest
from distill.rows import TrainingRow
from distill.split import split_by_cluster


@dataclass(frozen=True)
class Lessons:
    """Rows that teach; rows of other clusters that stop the training in time; the newest ones, which fit the
    calibrator. `cap` is the M of the window's thinning."""

    train: tuple[TrainingRow, ...]
    validate: tuple[TrainingRow, ...]
    fit: tuple[TrainingRow, ...]
    cap: int


def divide(found: Harvest, *, fit_share: float, validation_share: float, seed: int) -> tuple[Lessons, dict[str, int]]:
    """The lessons, and how many rows curation rejects of those that would teach, by reason.

    The newest rows are fit rows, as they came: they stand for traffic, as the window does, and are to the rows that
    teach what the window is (docs/decisions/0008).
    """
    clusters = cluster([row.variable_text for row in found.older])
    taught = len(found.older) - max(1, round(fit_share * len(found.older)))
    validate = validation_share / (1.0 - fit_share)
    parts = split_by_cluster(clusters[:taught], shares={"train": 1.0 - validate, "validate": validate}, seed=seed)
    curated = {name: curate([found.older[i] for i in members]) for name, members in parts.items()}
    lessons = Lessons(
        train=curated["train"].kept,
        validate=curated["validate"].kept,
        fit=found.older[taught:],
        cap=_cap(clusters, found),
    )
    return lessons, curated["train"].summary()


def untaught(found: Harvest, *, taught: Set[str], most: int) -> Lessons:
    """Nothing teaches: for an adapter that exists, the newest rows that have not taught it are fit rows."""
    clusters = cluster([row.variable_text for row in found.older])
    fit = tuple(row for row in found.older if row.exchange_id not in taught)[-most:]
    return Lessons((), (), fit, cap=_cap(clusters, found))


def _cap(clusters: list[int], found: Harvest) -> int:
    return cluster_cap(clusters[-max(1, len(found.window)) :])
