"""With which rank and learning rate a student is trained, where several are to be tried: a short training with each,
judged by the rows that stop a training in time (docs/decisions/0047)."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from distill.best import TrainProgress
from distill.rows import TrainingRow
from distill.train import TrainConfig, trial

ROWS = 1000  # that each is tried on, once
STANDS = 2.0  # times the rows of the last trial: until there are so many, what it found stands
Try = Callable[..., float]
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
        came_to = "diverged" if self.loss is None else f"{self.loss:.4f}"
        return f"rank {self.rank} at {self.learning_rate:g}: {came_to}"


@dataclass(frozen=True)
class Chosen:
    """The best of those `tried`, when `rows` taught; `stands_since`: the release for which that was done, None: this
    one."""

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
        best, others = self.best, [one.words for one in self.tried if one != self.best]
        since = f", as for {self.stands_since}" if self.stands_since else ""
        return f"{best.words}{since}; {', '.join(others)}"


def known(facts: Mapping[str, Any], *, release: str) -> Chosen:
    """What `facts` has made of it, found in the report of that release."""
    tried = tuple(Tried(**one) for one in facts["tried"])
    return Chosen(tried, facts["rows"], facts["stands_since"] or release)


def choose(
    rows: Sequence[TrainingRow],
    validation: Sequence[TrainingRow],
    *,
    configs: Sequence[TrainConfig],
    before: Chosen | None,
    progress: Progress,
    learns: Try = trial,
) -> tuple[TrainConfig, Chosen]:
    """Of the `configs`, which differ in rank and learning rate, the one whose student validates best after one pass
    over the same rows, `ROWS` at most; as `before` where that was of the same ones and not of half as many rows."""
    if before and len(rows) < STANDS * before.rows and {_of(each) for each in before.tried} == {*map(_of, configs)}:
        return _config(configs, before), before
    drawn = random.Random(configs[0].seed).sample(list(rows), min(ROWS, len(rows)))
    plain = [replace(row, rationale=None, targets=None) for row in drawn]  # what validates is answers
    tried = []
    for number, config in enumerate(configs):

        def show(at: TrainProgress, *, number: int = number) -> None:
            progress(number * at.steps + at.step, len(configs) * at.steps)

        loss = learns(plain, validation, config=replace(config, epochs=1), progress=show)
        tried.append(Tried(config.rank, config.learning_rate, loss if math.isfinite(loss) else None))
    chosen = Chosen(tuple(tried), len(rows))
    return _config(configs, chosen), chosen


def _config(configs: Sequence[TrainConfig], chosen: Chosen) -> TrainConfig:
    return next(each for each in configs if _of(each) == _of(chosen.best))


def _of(one: TrainConfig | Tried) -> tuple[int, float]:
    return one.rank, one.learning_rate
