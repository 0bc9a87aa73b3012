"""What a task costs by each way of answering it, and when a student is paid back. US dollars a request, as means.

Pure: prices, tokens and shares in, numbers and words out.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from calibration.words import percent
from distill.worth import Costs
from ledger.prices import Price
from router.settings import ConfigError

RHO = 0.05  # share of requests that the teacher always answers too, as `tutelage init` writes it
BATCH_DISCOUNT = 0.5  # what providers take off for answers within a day
MILLION = 1e6


@dataclass(frozen=True)
class Way:
    """A way of answering all requests of a task. `note`: what to know of one without a student; of a student's way:
    `taken` the share that it answers, `payback` the requests until training is paid back (None: never)."""

    name: str
    usd: float
    note: str
    taken: float | None = None
    payback: float | None = None

    @property
    def usd_a_million(self) -> float:
        """Of a million requests."""
        return MILLION * self.usd


def ways(
    costs: Costs, *, coverages: Mapping[float, float], training_usd: float, cheaper: Mapping[str, float]
) -> Iterator[Way]:
    """The teacher alone; a student at every alpha with a certificate (`coverages`); `cheaper` models, by what a request
    costs of them; the teacher in batches."""
    teacher = costs.teacher_usd
    yield Way("teacher only", teacher, "as it is")
    for alpha, coverage in coverages.items():
        usd = costs.with_student(coverage)
        payback = training_usd / (teacher - usd) if usd < teacher else None
        yield Way(f"student at {percent(alpha)}", usd, "", costs.draftable * coverage, payback)
    for model, usd in cheaper.items():
        yield Way(f"{model} for everything", usd, "its agreement is not known")
    yield Way("teacher in batches", (1.0 - BATCH_DISCOUNT) * teacher, "half price, answers within a day")


DEARER = "never: drafts and references cost more than they save"


def usd_a_request(price: Price, *, prompt_tokens: float, answer_tokens: float) -> float:
    """The mean cost of a request of so many tokens."""
    return prompt_tokens * price.input_usd_per_token + answer_tokens * price.output_usd_per_token


def parse_price(text: str, *, option: str) -> Price:
    """IN,OUT in US dollars per million tokens. Raises ConfigError, naming the option."""
    try:
        read, written = (float(part) / MILLION for part in text.split(","))
        return Price(read, written)
    except ValueError as error:
        raise ConfigError(
            f"{option} is IN,OUT in US dollars per million tokens, such as 2.50,10, not {text!r}"
        ) from error


def costs_something(price: Price) -> bool:
    """Whether it is more than $0."""
    return price.input_usd_per_token > 0 or price.output_usd_per_token > 0


def payback_words(way: Way, *, monthly: float | None) -> str:
    """When a student's training is paid back, or that it never is."""
    if way.payback is None:
        return DEARER
    requests = f"after {math.ceil(way.payback):,} requests"
    return f"{requests}, {way.payback / monthly:.1f} months" if monthly else requests
