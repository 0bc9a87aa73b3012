"""vLLM's log-probabilities of a draft's tokens: as the evidence reads them, and as a client that asks is shown them."""

from typing import Any

import msgspec

from calibration.evidence import TokenLogprob
from ledger.records import Draft

TOP_LOGPROBS = 5  # what the evidence needs; 20 would cost three times the decoding


class Alternative(msgspec.Struct):
    """A token that might have stood at a place."""

    logprob: float


class Token(msgspec.Struct):
    """A token that stands there; the likeliest ones at its place come first."""

    token: str
    logprob: float
    top_logprobs: list[Alternative] = []


class Logprobs(msgspec.Struct):
    """Of one choice."""

    content: list[Token] | None = None


class ShownDraft(Draft, frozen=True, kw_only=True):
    """A draft with its tokens' log-probabilities in OpenAI's shape, for a client that asks for them."""

    logprobs: list[dict[str, Any]]


def observed(logprobs: Logprobs | None) -> list[TokenLogprob]:
    """None of them where the server did not say. The evidence is the same, however many alternatives a client wants."""
    found = logprobs.content or [] if logprobs else []
    return [TokenLogprob(t.token, t.logprob, [a.logprob for a in t.top_logprobs[:TOP_LOGPROBS]]) for t in found]


def shown(draft: Draft, tokens: list[dict[str, Any]], *, top: int) -> ShownDraft:
    """The draft with what the client asked to see of each token, `top` alternatives at most."""
    return ShownDraft(
        **msgspec.structs.asdict(draft),
        logprobs=[
            {**_of(token), "top_logprobs": [_of(one) for one in token["top_logprobs"][:top]]} for token in tokens
        ],
    )


def _of(token: dict[str, Any]) -> dict[str, Any]:
    return {"token": token["token"], "logprob": token["logprob"], "bytes": token.get("bytes")}


def recorded(draft: Draft) -> Draft:
    """The draft as it is recorded: without what is only shown."""
    if not isinstance(draft, ShownDraft):
        return draft
    return Draft(**{name: getattr(draft, name) for name in Draft.__struct_fields__})
