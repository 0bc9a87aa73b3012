"""vLLM's log-probabilities of a draft's tokens, as the evidence reads them."""

import msgspec

from calibration.evidence import TokenLogprob


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


def observed(logprobs: Logprobs | None) -> list[TokenLogprob]:
    """None of them where the server did not say."""
    found = logprobs.content or [] if logprobs else []
    return [TokenLogprob(t.token, t.logprob, tuple(a.logprob for a in t.top_logprobs)) for t in found]
