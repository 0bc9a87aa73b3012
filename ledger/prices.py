"""What a token costs. Versioned: a changed price is a new row, so that old costs stay explained."""

import math
from dataclasses import dataclass

import sqlalchemy as sa

from ledger.database import writing
from ledger.records import Usage
from ledger.schema import prices


@dataclass(frozen=True)
class Price:
    """US dollars per token, finite and not negative. `cached_usd_per_token`: of a prompt's tokens that the provider
    has read before; None: as the others."""

    input_usd_per_token: float
    output_usd_per_token: float
    cached_usd_per_token: float | None = None

    def __post_init__(self) -> None:
        for value in (self.input_usd_per_token, self.output_usd_per_token, self.cached_usd_per_token or 0.0):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"a price must be finite and not negative, not {value}")

    def cost(self, usage: Usage) -> float:
        """US dollars for this usage."""
        usd = usage.prompt_tokens * self.input_usd_per_token + usage.completion_tokens * self.output_usd_per_token
        if self.cached_usd_per_token is None or not usage.cached_tokens:
            return usd
        return usd - usage.cached_tokens * (self.input_usd_per_token - self.cached_usd_per_token)


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
    names = ("model", "input_usd_per_token", "output_usd_per_token", "cached_usd_per_token")
    query = sa.select(*(prices.c[name] for name in names)).where(prices.c.id.in_(newest))
    return {model: Price(*usd) for model, *usd in connection.execute(query)}
