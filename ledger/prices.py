"""What a token costs. Versioned: a changed price is a new row, so that old costs stay explained."""

import math
from dataclasses import dataclass, fields
from typing import Any

import msgspec
import sqlalchemy as sa

from ledger.database import writing
from ledger.records import Usage
from ledger.schema import prices


@dataclass(frozen=True)
class Price:
    """US dollars per token, finite and not negative. Kinds of tokens have a price of their own; None: they cost what
    others do. Of a prompt: `cached`, which the provider has read before, `cache_write`, which it keeps to read again,
    `audio_input`; of an answer: `audio_output`, `reasoning`. `above`: prompts of more than so many tokens, rising, and
    what every token of such a request costs instead."""

    input_usd_per_token: float
    output_usd_per_token: float
    cached_usd_per_token: float | None = None
    cache_write_usd_per_token: float | None = None
    audio_input_usd_per_token: float | None = None
    audio_output_usd_per_token: float | None = None
    reasoning_usd_per_token: float | None = None
    above: tuple[tuple[int, "Price"], ...] = ()

    def __post_init__(self) -> None:
        for name in KINDS:
            if (value := getattr(self, name)) is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"a price must be finite and not negative, not {value}")

    def cost(self, usage: Usage) -> float:
        """US dollars for this usage."""
        price = self._of(usage.prompt_tokens)
        read, written = price.input_usd_per_token, price.output_usd_per_token
        kinds = (
            (usage.cached_tokens, price.cached_usd_per_token, read),
            (usage.cache_write_tokens, price.cache_write_usd_per_token, read),
            (usage.audio_prompt_tokens, price.audio_input_usd_per_token, read),
            (usage.audio_completion_tokens, price.audio_output_usd_per_token, written),
            (usage.reasoning_tokens, price.reasoning_usd_per_token, written),
        )
        usd = usage.prompt_tokens * read + usage.completion_tokens * written
        return usd + sum(tokens * (own - others) for tokens, own, others in kinds if own is not None)

    def most(self, usage: Usage) -> float:
        """US dollars that so many tokens, or fewer, cost at most, whatever of them is of which kind; audio where there
        is some."""
        reached = [price for tokens, price in self.above if usage.prompt_tokens > tokens]
        return max(price._dearest(usage) for price in (self, *reached))

    def _dearest(self, usage: Usage) -> float:
        read = [self.input_usd_per_token, self.cached_usd_per_token, self.cache_write_usd_per_token]
        written = [self.output_usd_per_token, self.reasoning_usd_per_token]
        read += [self.audio_input_usd_per_token] if usage.audio_prompt_tokens else []
        written += [self.audio_output_usd_per_token] if usage.audio_completion_tokens else []
        return usage.prompt_tokens * _highest(read) + usage.completion_tokens * _highest(written)

    def _of(self, prompt_tokens: int) -> "Price":
        return next((price for tokens, price in reversed(self.above) if prompt_tokens > tokens), self)


KINDS = tuple(each.name for each in fields(Price) if each.name != "above")


def _highest(known: list[float | None]) -> float:
    return max(price for price in known if price is not None)


def dollars(usd: float) -> str:
    """A sum that is not negative, with as many digits as say something."""
    if usd == 0 or usd >= 100:
        return f"${usd:,.0f}"
    return f"${usd:,.2f}" if usd >= 1 else f"${usd:.{1 - math.floor(math.log10(usd))}f}"


def write_price(engine: sa.Engine, model: str, price: Price, *, source: str, at: float) -> None:
    """Put a price in force; nothing is written when it has not changed."""
    row = {
        "model": model,
        "at": at,
        "input_usd_per_token": price.input_usd_per_token,
        "output_usd_per_token": price.output_usd_per_token,
        "cached_usd_per_token": price.cached_usd_per_token,
        "kinds": _kinds(price),
        "source": source,
    }
    with writing(engine) as connection:
        if _current(connection).get(model) != price:
            connection.execute(prices.insert().values(row))


def current_prices(engine: sa.Engine) -> dict[str, Price]:
    """The newest price of each model."""
    with engine.connect() as connection:
        return _current(connection)


def _current(connection: sa.Connection) -> dict[str, Price]:
    newest = sa.select(sa.func.max(prices.c.id)).group_by(prices.c.model)
    names = ("model", "kinds", "input_usd_per_token", "output_usd_per_token", "cached_usd_per_token")
    query = sa.select(*(prices.c[name] for name in names)).where(prices.c.id.in_(newest))
    return {
        model: msgspec.convert(kinds, Price) if kinds else Price(*usd)
        for model, kinds, *usd in connection.execute(query)
    }


def _kinds(price: Price) -> dict[str, Any] | None:
    """All of a price that has more than the columns hold."""
    plain = Price(price.input_usd_per_token, price.output_usd_per_token, price.cached_usd_per_token)
    return None if price == plain else dict(msgspec.to_builtins(price))
