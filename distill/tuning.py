"""With which rank and learning rate a student is trained, where several are to be tried: a short training with each,
judged by the rows that stop a training in time (docs/decisions/0047)."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from distill.again import Watch
from distill.best import TrainProgress
from distill.lessons import Lessons
from distill.rows import TrainingRow
from distill.train import TrainConfig, trial
from ledger.releases import history

ROWS = 1000  # that each is tried on, once
STANDS = 2.0  # times the rows of the last comparison: until there are so many, what it found stands
Learns = Callable[..., float]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Tried:
    """What one came to: its validation loss, nats a completion token; None where that was not finite."""

    rank: int
    learning_rate: float
    loss: float | None

    @property
    def words(self) -> str:
        """For whoever watches, and for who asks later."""
        came_to = "no finite loss" if self.loss is None else f"{self.loss:.4f}"
        return f"rank {self.rank} at {self.learning_rate:g}: {came_to}"


@dataclass(frozen=True)
class Compared:
    """Those that were `tried`, when `rows` taught; `stands_since`: the release for which that was, None: this one."""

    tried: tuple[Tried, ...]
    rows: int
    stands_since: str | None = None

    @property
    def best(self) -> Tried:
        """Of equal ones the first, which is what is set."""
        return min(self.tried, key=lambda one: math.inf if one.loss is None else one.loss)

    @property
    def facts(self) -> dict[str, Any]:
        """Plain values, for the release's report."""
        return {**asdict(self), "words": self.words}

    @property
    def words(self) -> str:
        """Which, and beside what."""
        losses = "; ".join(one.words for one in self.tried)
        since = f", as for {self.stands_since}" if self.stands_since else ""
        return f"rank {self.best.rank} at {self.best.learning_rate:g}{since}; validation losses: {losses}"

    def pick(self, configs: Sequence[TrainConfig]) -> TrainConfig:
        """The one that was best."""
        return next(each for each in configs if _of(each) == _of(self.best))


def tuned(engine: sa.Engine, lessons: Lessons, *, task: str, configs: Sequence[TrainConfig], watch: Watch) -> Compared:
    """What was found for another release, where it stands, or is found now."""
    start = lessons.goes_on.adapter if lessons.goes_on else None
    if found := standing(engine, task, configs=configs, rows=len(lessons.train)):
        return found
    watch.step(f"trying {len(configs)} settings of training on {min(len(lessons.train), ROWS)} rows")
    begun = [replace(each, start=start) for each in configs]
    return compare(lessons.train, lessons.validate, configs=begun, progress=watch.advance)


def known(facts: Mapping[str, Any], *, release: str) -> Compared:
    """What `facts` has made of it, found in the report of that release."""
    tried = tuple(Tried(**one) for one in facts["tried"])
    return Compared(tried, facts["rows"], facts["stands_since"] or release)


def standing(engine: sa.Engine, task: str, *, configs: Sequence[TrainConfig], rows: int) -> Compared | None:
    """What was found of the same configs for the last release of the same base model for which any were compared,
    where that was not with half as many rows."""
    for release in reversed(history(engine, task)):
        facts = (release.report or {}).get("chosen")
        if facts and release.base_model == configs[0].base_model:
            found = known(facts, release=release.name)
            same = {*map(_of, found.tried)} == {*map(_of, configs)} and found.best.loss is not None
            return found if same and rows < STANDS * found.rows else None
    return None


def compare(
    rows: Sequence[TrainingRow],
    validation: Sequence[TrainingRow],
    *,
    configs: Sequence[TrainConfig],
    progress: Progress,
    learns: Learns = trial,
) -> Compared:
    """What students come to that learn the same rows once, `ROWS` at most, with each of the `configs`, which differ in
    rank and learning rate."""
    drawn = random.Random(configs[0].seed).sample(list(rows), min(ROWS, len(rows)))
    plain = [replace(row, rationale=None, targets=None) for row in drawn]  # what validates is answers
    tried = []
    for number, config in enumerate(configs):

        def show(at: TrainProgress, *, number: int = number) -> None:
            progress(number * at.steps + at.step, len(configs) * at.steps)

        loss = learns(plain, validation, config=replace(config, epochs=1), progress=show)
        tried.append(Tried(config.rank, config.learning_rate, loss if math.isfinite(loss) else None))
    return Compared(tuple(tried), len(rows))


def _of(one: TrainConfig | Tried) -> tuple[int, float]:
    return one.rank, one.learning_rate
