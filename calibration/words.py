"""How numbers of a contract are said: never rounded to another contract."""


def percent(share: float) -> str:
    """A share as per cent with up to four digits that count and no idle zeros: 5%, 2.5%, 0.16%, 99.95%."""
    return f"{100 * share:.4g}%"
