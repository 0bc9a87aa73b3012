"""vLLM's log-probabilities of a draft's tokens: as the evidence reads them, and as a client that asks is shown them."""

from typing import Any

import msgspec

from calibration.evidence import TokenLogprob
from ledger.records import Draft


class Logprobs(msgspec.Struct):
    """Of one choice."""

    content: list[TokenLogprob] | None = None


class ShownDraft(Draft, frozen=True, kw_only=True):
    """A draft with its tokens' log-probabilities in OpenAI's shape, for a client that asks for them."""

    logprobs: list[dict[str, Any]]


def observed(logprobs: Logprobs | None) -> list[TokenLogprob]:
    """None of them where the server did not say."""
    return logprobs.content or [] if logprobs else []


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
