"""What becomes of harvested rows: some teach, some stop training in time, the newest references fit one calibrator."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from distill.again import Again
from distill.clusters import cluster
from distill.curate import NO_RULES, Rejected, Rules, curate
from distill.harvest import Harvest
from distill.pattern import Pair
from distill.rows import TrainingRow
from distill.split import split_by_cluster
from distill.suspicion import Noise, NoLabels


@dataclass(frozen=True)
class GoesOn:
    """The `adapter` of the `release` that training goes on from, and the exchanges that have `taught` it."""

    release: str
    adapter: Path
    taught: frozenset[str]


@dataclass(frozen=True)
class Lessons:
    """Rows that teach; rows of other clusters that stop the training in time; the newest references, which fit the
    calibrator; rows that would have taught or validated, and why they do not; how often the teacher errs among
    them, where anything teaches, and what it said `again`. `pairs`: of the rows that teach, with wrong answers to learn
    from; `goes_on`: from which adapter, None: the base model; `uncompared`: why answers to one prompt were not
    compared, where they were not."""

    train: tuple[TrainingRow, ...]
    validate: tuple[TrainingRow, ...]
    fit: tuple[TrainingRow, ...]
    rejected: tuple[Rejected, ...] = ()
    noise: Noise | NoLabels | None = None
    pairs: tuple[Pair, ...] = ()
    goes_on: GoesOn | None = None
    again: Again | None = None
    uncompared: str | None = None

    @property
    def marks(self) -> dict[str, str]:
        """Exchange id -> whose word a row teaches, with what beside its answer, or why though it was suspected.

        One mark a row: that people have corrected it goes before all others, since it says whose answer it is.
        """
        reasoned = {row.exchange_id: "reasoned" for row in self.train if row.rationale is not None}
        told_of = {row.exchange_id: "told of" for row in self.train if row.targets}
        repeated = dict.fromkeys(self.again.of("repeated") if self.again else (), "repeated")
        put_right = {row.exchange_id: "put right" for row in self.train if row.put_right}
        paired = {pair.exchange_id: "paired" for pair in self.pairs}
        corrected = {row.exchange_id: "corrected" for row in self.train if row.correction is not None}
        return repeated | reasoned | told_of | paired | put_right | corrected

    @property
    def curation(self) -> dict[str, int | str]:
        """For a release's report: of how many rows that teach people have said so."""
        corrected = sum(row.correction is not None for row in self.train)
        good = sum(row.vouched for row in self.train) - corrected
        words = f"{corrected:,} rows teach what people have corrected, {good:,} what they have called good"
        said = f"{words}; {self.uncompared}" if self.uncompared else words
        return {"corrected": corrected, "good": good, "words": said}


@dataclass(frozen=True)
class Shares:
    """Of the rows before the cut: `fit` at most are fit rows, `validate` of all stop the training in time; `seed` draws
    which of the others, and the folds that look for the teacher's errors."""

    fit: float
    validate: float
    seed: int


def divide(
    older: Sequence[TrainingRow],
    *,
    shares: Shares,
    progress: Callable[[int, int], None],
    synthetic: Sequence[TrainingRow] = (),
    rules: Rules = NO_RULES,
) -> Lessons:
    """The lessons of the rows before the cut. `progress`: of curation. `synthetic` rows teach, where nothing like them
    validates. `rules`: of curation; nobody is asked again about rows that validate.

    The newest references are fit rows, as they came: they stand for traffic, as the window does, and are to the rows
    that teach what the window is (docs/decisions/0008). The rest of what the teacher answered under a champion is what
    that one was unsure of: it teaches, and forecasts nothing. What people have corrected teaches as they say and
    fits as the teacher says, since that is what a certificate compares with.
    """
    clusters = cluster([row.variable_text for row in older])
    fit = _newest_references(older, most=max(1, round(shares.fit * len(older))))
    others = sorted(set(range(len(older))) - set(fit))
    validate = shares.validate / (1.0 - shares.fit)
    wanted = {"train": 1.0 - validate, "validate": validate}
    parts = split_by_cluster([clusters[i] for i in others], shares=wanted, seed=shares.seed)
    validating = [older[others[i]] for i in parts["validate"]]
    held = {row.exchange_id for row in validating}
    if rules.second:
        rules = replace(rules, second=replace(rules.second, spared=frozenset(held)))
    written, echoes = _apart(synthetic, validating)
    # Together, since errors are seen the better the more rows there are: what is compared with each other lies in one
    # cluster, so in one part, and to which of them a row belongs decides nothing.
    taught = [*(older[i].corrected for i in others), *written]
    curated = curate(
        taught,
        clusters=cluster([row.variable_text for row in taught]) if written else [clusters[i] for i in others],
        seed=shares.seed,
        progress=progress,
        rules=rules,
    )
    return Lessons(
        train=tuple(row for row in curated.kept if row.exchange_id not in held),
        validate=tuple(row for row in curated.kept if row.exchange_id in held),
        fit=tuple(older[i] for i in fit),
        rejected=(*curated.rejected, *echoes),
        noise=curated.noise,
        again=curated.again,
        uncompared=curated.uncompared,
    )


def _apart(
    synthetic: Sequence[TrainingRow], validating: Sequence[TrainingRow]
) -> tuple[list[TrainingRow], list[Rejected]]:
    """Those that are like nothing that validates, and the others."""
    if not synthetic:
        return [], []
    clusters = cluster([row.variable_text for row in (*validating, *synthetic)])
    judging, of_each = set(clusters[: len(validating)]), clusters[len(validating) :]
    echoes = [row for row, number in zip(synthetic, of_each, strict=True) if number in judging]
    apart = [row for row, number in zip(synthetic, of_each, strict=True) if number not in judging]
    return apart, [Rejected(row.exchange_id, "near-duplicate") for row in echoes]


def untaught(found: Harvest, *, taught: Set[str], most: int) -> Lessons:
    """Nothing teaches: for an adapter that exists, the newest references that have not taught it are fit rows."""
    left = [row for row in found.older if row.exchange_id not in taught]
    fit = tuple(left[i] for i in _newest_references(left, most=most))
    return Lessons((), (), fit)


def _newest_references(rows: Sequence[TrainingRow], *, most: int) -> list[int]:
    """Where they stand, in order."""
    return [i for i, row in enumerate(rows) if row.reference][-most:]
