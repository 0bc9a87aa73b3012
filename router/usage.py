"""What an upstream says that it has counted, read alike wherever it stands."""

from collections.abc import Mapping
from typing import Any

from ledger.records import Usage


def read_usage(told: Mapping[str, Any] | None) -> Usage | None:
    """OpenAI's usage object of chats, legacy completions, embeddings or responses, with what LiteLLM adds; None where
    it counts nothing. Reasoning that is counted beside the completion, as the total then says, is put to it. What a
    provider gets wrong makes no cost negative: no count is below 0, no token of two kinds, and none of a kind that
    there is not room for."""
    names = told or {}
    read, written = (_tokens(names, *(f"{of}_tokens" for of in kinds)) for kinds in (PROMPT, ANSWER))
    if read is None and written is None:
        return None
    of_prompt, of_answer = (_details(names, *(f"{of}_tokens_details" for of in kinds)) for kinds in (PROMPT, ANSWER))
    prompt, completion = max(0, read or 0), max(0, written or 0)
    reasoning = max(0, _tokens(of_answer, "reasoning_tokens") or 0)
    if _tokens(names, "total_tokens") == prompt + completion + reasoning:
        completion += reasoning
    cached = _part(prompt, _tokens(of_prompt, "cached_tokens"))
    kept = _part(prompt - cached, _tokens(of_prompt, "cache_creation_tokens", "cache_write_tokens"))
    heard_before = _tokens(_details(of_prompt, "cached_tokens_details"), "audio_tokens") or 0
    heard = _part(prompt - cached - kept, (_tokens(of_prompt, "audio_tokens") or 0) - heard_before)
    spoken = _part(completion, _tokens(of_answer, "audio_tokens"))
    return Usage(prompt, completion, cached, kept, heard, spoken, min(completion - spoken, reasoning))


PROMPT, ANSWER = ("prompt", "input"), ("completion", "output")  # in chats, and in responses


def _part(whole: int, told: int | None) -> int:
    return min(whole, max(0, told or 0))


def _details(names: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found = (names.get(key) for key in keys)
    return next((details for details in found if isinstance(details, Mapping)), {})


def _tokens(names: Mapping[str, Any], *keys: str) -> int | None:
    found = (names.get(key) for key in keys)
    return next((tokens for tokens in found if isinstance(tokens, int)), None)
