"""What was saved, in words."""

import math

from ledger.savings import Savings


def in_words(found: Savings) -> str:
    """One line."""
    if not found.requests and not found.spent_usd:
        return "nothing was asked"
    base = f"{found.requests:,} requests, {found.student_answers:,} of them answered by students: the teacher alone"
    cost = f"{base} would have cost {usd(found.baseline_usd)}, everything has cost {usd(found.spent_usd)}"
    if not found.student_answers:
        return f"{cost}; no student has answered"
    more = "saved" if found.saved_usd >= 0 else "lost"
    return f"{cost}: {usd(abs(found.saved_usd))} {more}, {found.saved_share:.1%} ({interval(found)})"


def interval(found: Savings) -> str:
    """How far the savings are known."""
    if not found.estimated.told:
        return f"roughly: too few references say what the teacher would cost; {usd(found.saved_low_usd)} at least"
    return f"{usd(found.saved_low_usd)} to {usd(found.saved_high_usd)} with 95 % confidence"


def bounds(found: Savings) -> str:
    """The same for a table."""
    low = usd(found.saved_low_usd)
    return f"{low} to {usd(found.saved_high_usd)}" if found.estimated.told else f"{low} at least"


def usd(amount: float) -> str:
    """A sum, its sign before the dollar; below a dollar with four digits behind the point, and as many as show two of a
    smaller one."""
    size = abs(amount)
    digits = 2 if size >= 1.0 or size == 0.0 else max(4, 1 - math.floor(math.log10(size)))
    return f"{'-' if amount < 0 else ''}${abs(amount):,.{digits}f}"
