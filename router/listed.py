"""What a row of LiteLLM's table says that a model's tokens cost. Knows the row, not LiteLLM."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ledger.prices import Price

NAMES = {  # as a Price has them, and as a row has
    "input_usd_per_token": "input_cost_per_token",
    "output_usd_per_token": "output_cost_per_token",
    "cached_usd_per_token": "cache_read_input_token_cost",
    "cache_write_usd_per_token": "cache_creation_input_token_cost",
    "audio_input_usd_per_token": "input_cost_per_audio_token",
    "audio_output_usd_per_token": "output_cost_per_audio_token",
    "reasoning_usd_per_token": "output_cost_per_reasoning_token",
}
ABOVE = re.compile(r"input_cost_per_token(_above_(\d+)(k?)_tokens)")


def price_in(row: Mapping[str, Any]) -> Price | None:
    """None where it does not know what has to be paid, for prompts of some length."""
    found = [(tokens, _price(each)) for tokens, each in _by_length(row)]
    known = [(tokens, price) for tokens, price in found if price is not None]
    if len(known) < len(found):
        return None
    return replace(known[0][1], above=tuple(known[1:]))


def _by_length(row: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """What holds for prompts of more than so many tokens, rising from 0."""
    tiers = [tier for tier in row.get("tiered_pricing") or () if "range" in tier]  # searches have others
    if tiers:  # what a tier does not price costs what its other tokens do
        written = {"output_cost_per_token": row.get("output_cost_per_token")}
        yield from ((int(tier["range"][0]), {**written, **tier}) for tier in sorted(tiers, key=lambda t: t["range"]))
        return
    yield 0, row
    found = (ABOVE.fullmatch(name) for name, usd in row.items() if usd is not None)
    longer = sorted((int(each[2]) * (1000 if each[3] else 1), each[1]) for each in found if each)
    for tokens, suffix in longer:  # what has no price for long prompts costs what it does in short ones
        own = {name: row.get(name + suffix) for name in NAMES.values()}
        yield tokens, {**row, **{name: usd for name, usd in own.items() if usd is not None}}


def _price(row: Mapping[str, Any]) -> Price | None:
    usd: dict[str, Any] = {ours: float(row[name]) for ours, name in NAMES.items() if row.get(name) is not None}
    if row.get("mode") == "embedding":
        usd.setdefault("output_usd_per_token", 0.0)  # an embedding has no tokens to pay for
    read, written = usd.get("input_usd_per_token"), usd.get("output_usd_per_token")
    if read is None or written is None or (not read and not written):
        return None  # of $0 is what somebody else pays, or nobody has looked up
    return Price(**usd)
