"""What a token of a named model costs, by LiteLLM's table: the one that the teacher server asks."""

from collections.abc import Callable, Sequence

from ledger.prices import Price
from router.settings import ConfigError
from tutelage.replay.money import costs_something

GIVE = "--teacher-usd-per-mtok"
Listed = Callable[[str], Price | None]


def listed(model: str) -> Price | None:
    """The table's price; None where it knows none."""
    from router.teacher_server import listed_price  # LiteLLM takes seconds to import

    return listed_price(model)


def of_teacher(model: str | None, *, given: Price | None, table: Listed = listed) -> Price:
    """Raises ConfigError where neither the command line nor the table knows a price: an unknown one is never $0."""
    if given is not None:
        if not costs_something(given):
            raise ConfigError(f"{GIVE} 0,0: a teacher that costs nothing leaves nothing to save")
        return given
    if model is None:
        raise ConfigError(f"the log names no model, so its price is unknown: give {GIVE} IN,OUT")
    found = table(model)
    if found is None:
        raise ConfigError(f"LiteLLM knows no price for {model!r}: give {GIVE} IN,OUT")
    return found


def of_cheaper(models: Sequence[str], *, table: Listed = listed) -> dict[str, Price]:
    """Raises ConfigError for a model that the table does not know."""
    found = {model: table(model) for model in models}
    if unknown := [model for model, price in found.items() if price is None]:
        raise ConfigError(f"--cheaper {unknown[0]}: LiteLLM knows no price for it, so it cannot be compared")
    return {model: price for model, price in found.items() if price is not None}
