"""What an upstream says that it has counted, read alike wherever it stands."""

from collections.abc import Mapping
from typing import Any

from ledger.records import Usage


def counted(prompt: int | None, completion: int | None, *, cached: int | None) -> Usage:
    """Tokens that were not counted are none; none are negative, and no more of a prompt are known than it has: what a
    provider gets wrong makes no cost negative."""
    read = max(0, prompt or 0)
    return Usage(read, max(0, completion or 0), min(read, max(0, cached or 0)))


def read_usage(told: Mapping[str, Any] | None) -> Usage | None:
    """OpenAI's usage object of chats, legacy completions, embeddings or responses; None where it counts nothing."""
    names = told or {}
    read, written = (_tokens(names, *of) for of in (("prompt", "input"), ("completion", "output")))
    if read is None and written is None:
        return None
    details = names.get("prompt_tokens_details", names.get("input_tokens_details"))
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    return counted(read, written, cached=cached if isinstance(cached, int) else None)


def _tokens(names: Mapping[str, Any], *kinds: str) -> int | None:
    found = (names.get(f"{kind}_tokens") for kind in kinds)
    return next((tokens for tokens in found if isinstance(tokens, int)), None)
