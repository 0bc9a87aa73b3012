"""What a replay has found, as plain values: the console, the page and its figures are drawn from this alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from calibration.agreement import Measure
from calibration.certificate import Certificate
from calibration.study import Study
from distill.worth import Costs
from ledger.prices import Price
from tutelage.replay.money import RHO, Way, usd_a_request, ways
from tutelage.replay.narrowness import Narrowness
from tutelage.replay.traffic import Log, TaskLog
from tutelage.replay.trial import Trial


@dataclass(frozen=True)
class Seen:
    """A task with its number from 1, how narrow it looks, and its teacher's price (None: unknown)."""

    number: int
    task: TaskLog
    narrowness: Narrowness
    price: Price | None

    @property
    def usd_a_month(self) -> float | None:
        """What the teacher costs; None where its price or the requests a month are unknown."""
        if self.price is None or self.task.monthly is None:
            return None
        return self.task.monthly * self.usd(self.price)

    def usd(self, price: Price) -> float:
        """A request of this task, answered by a model of this price in as many tokens."""
        task = self.task
        return usd_a_request(price, prompt_tokens=task.prompt_tokens, answer_tokens=task.answer_tokens)


@dataclass(frozen=True)
class Prices:
    """Of what is compared; `cheaper` hosted models by name."""

    teacher: Price
    student: Price
    cheaper: Mapping[str, Price]
    machine_usd_per_hour: float


@dataclass(frozen=True)
class Judged:
    """A student that was made, and what its drafts come to at several contracts; `study` None where they cannot be
    judged."""

    trial: Trial
    study: Study | None

    @property
    def coverages(self) -> dict[float, float]:
        """Of what can be drafted, the share that is accepted, by every alpha with a certificate."""
        outcomes = self.study.outcomes if self.study else ()
        return {contract.alpha: outcome.coverage for contract, outcome in outcomes if isinstance(outcome, Certificate)}


@dataclass(frozen=True)
class Replay:
    """The whole report. `seen`: the largest tasks, with the chosen one; `judged` None where nothing was trained;
    `why_not`: in words, why there is no study."""

    log: Log
    seen: tuple[Seen, ...]
    chosen: Seen
    prices: Prices
    measure: Measure
    judged: Judged | None
    why_not: str = ""

    @property
    def draftable(self) -> float:
        """The share of the task's requests that a student could be asked."""
        return self.chosen.task.eligible / self.chosen.task.requests

    @property
    def costs(self) -> Costs:
        """Of a request. Without a student its drafts are taken to need the teacher's tokens."""
        return Costs(self.chosen.usd(self.prices.teacher), self._draft_usd(), self.draftable, RHO)

    def _draft_usd(self) -> float:
        if self.judged is None:
            return self.chosen.usd(self.prices.student)
        rows = self.judged.trial.rows
        return sum(self.prices.student.cost(row.usage) for row in rows) / len(rows)

    @property
    def training_usd(self) -> float:
        """What the machine cost while the student was trained and drafted."""
        return self.judged.trial.seconds / 3600 * self.prices.machine_usd_per_hour if self.judged else 0.0

    @property
    def cheaper_usd(self) -> dict[str, float]:
        """What a request costs of each cheaper model, in as many tokens."""
        return {model: self.chosen.usd(price) for model, price in self.prices.cheaper.items()}

    @property
    def certified(self) -> bool:
        """Whether some alpha has a certificate."""
        return bool(self.judged and self.judged.coverages)

    @property
    def ways(self) -> list[Way]:
        """Every way of answering the task, the teacher's first."""
        coverages = self.judged.coverages if self.judged else {}
        return list(ways(self.costs, coverages=coverages, training_usd=self.training_usd, cheaper=self.cheaper_usd))

    @property
    def break_even(self) -> list[tuple[Way, float | None]]:
        """For every way without a student the share that a student would have to take to cost as little."""
        return [(way, self.costs.share_to_match(way.usd)) for way in self.ways if way.taken is None]
