"""A teacher's log-probabilities of its answer's tokens: asked for, taken for the record, and not shown to a client that
has not asked for them.

A client sees what it would without us: none, or as many alternatives as it asked for.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from ledger.records import Place
from ledger.token_logprobs import DIGITS, piece
from router.wire import ChatRequest

LEAST = -9999.0  # what servers write for a probability of 0
# Tokens: as many as of a rationale (`router.rationale`), and for the same reason. With twenty alternatives 3.4 MB.
MOST = 8192


class _Alternative(msgspec.Struct, gc=False):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _Token(_Alternative, gc=False):
    top_logprobs: list[_Alternative] = []


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


def wanted(request: ChatRequest, *, top: int) -> dict[str, Any]:
    """What is asked beside a client's own request so that `top` alternatives of each token come with the answer;
    nothing where as many come anyway, or none is wanted (0)."""
    if top == 0 or (request.top_logprobs or 0) >= top:
        return {}
    return {"logprobs": True, "top_logprobs": top}


def taken(choice: Mapping[str, Any], *, top: int) -> list[Place]:
    """As it is recorded: of each token of a choice itself and `top` alternatives at most; none where the teacher says
    none, or what nobody can read. Of more tokens than are kept no more are looked at than tell so."""
    try:
        told = msgspec.convert(choice.get("logprobs"), _Logprobs | None)
        return [_place(token, top) for token in (told.content or [] if told else [])[: MOST + 1]]
    except (msgspec.ValidationError, ValueError):
        return []


def kept(found: list[Place]) -> list[Place] | None:
    """What is recorded of an answer's tokens: all or nothing."""
    return found if 0 < len(found) <= MOST else None


def _place(token: _Token, top: int) -> Place:
    kept = {_bytes(token): token.logprob}
    for other in token.top_logprobs[:top]:
        kept.setdefault(_bytes(other), other.logprob)
    return [(piece(each), round(max(logprob, LEAST), DIGITS)) for each, logprob in kept.items()]


def _bytes(token: _Alternative) -> bytes:
    return token.token.encode() if token.bytes is None else bytes(token.bytes)


def show(choice: dict[str, Any], *, asked: int | None) -> None:
    """Take out of a choice what its client has not asked for (`ChatRequest.top_logprobs`)."""
    if asked is None:
        choice["logprobs"] = None
        return
    told = choice.get("logprobs")
    for token in (told.get("content") or ()) if isinstance(told, dict) else ():
        if isinstance(token, dict) and isinstance(token.get("top_logprobs"), list):
            token["top_logprobs"] = token["top_logprobs"][:asked]
