"""The records of the spool: what became of a request, a label that arrives after the reply, and what people say of it.

Facts only. Records are frozen, written once as one JSON line, and identified by the exchange id, so that reading a
spool twice changes nothing. Times are seconds since the epoch, money is US dollars, latencies are seconds.
"""

from typing import Any, Literal

import msgspec

Origin = Literal["client", "import", "probe", "recertify", "judge", "writer", "synthetic", "curate"]
TRAFFIC: tuple[Origin, ...] = ("client", "import")  # what teaches and certifies; money is counted of "client" alone
Route = Literal["student", "teacher", "none"]
Piece = str | list[int]  # a token's text; its bytes where they are no text by themselves
# Of one token of an answer: itself, then what else might have stood there; natural logarithms.
Place = list[tuple[Piece, float]]


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens as the upstream counted them. Of the prompt's: `cached_tokens` that its provider has read before,
    `cache_write_tokens` that it keeps to read again, and other ones that are audio; of the completion's: ones that are
    audio, and other ones of its reasoning. No token is of two kinds."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    audio_prompt_tokens: int = 0
    audio_completion_tokens: int = 0
    reasoning_tokens: int = 0


class Draft(msgspec.Struct, frozen=True):
    """What the student produced; it becomes the answer only if accepted. `evidence` is empty where it is unusable;
    `latency_s` is 0 where it was streamed."""

    text: str
    finish_reason: str | None
    evidence: dict[str, float]
    usage: Usage
    cost_usd: float = 0.0
    latency_s: float = 0.0

    def can_be_accepted(self, prefix: int | None) -> bool:
        """Whether what it is judged by is there: all of it, ended by itself, or its first `prefix` tokens."""
        begun = prefix is not None and self.usage.completion_tokens >= prefix
        return bool(self.evidence) and (begun or self.finish_reason == "stop")


class TeacherReply(msgspec.Struct, frozen=True):
    """What the teacher answered; `text` is None where it gave tool calls only or failed, then `error` says why.
    `rationale`: what it thought before, where its server tells; `logprobs`: of the answer's tokens
    (`ledger.token_logprobs`), where they are recorded."""

    teacher: str
    text: str | None
    finish_reason: str | None = None
    usage: Usage = Usage()
    cost_usd: float = 0.0
    latency_s: float = 0.0
    error: str | None = None
    rationale: str | None = None
    logprobs: list[Place] | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True, tag="exchange"):
    """One request and what became of it.

    `eligible` says whether the student could be asked at all (a task, greedy, supported): reference rows are drawn
    among eligible requests only, with probability `rho`. `teacher_reply` is present where the teacher answered
    before the reply ended; a label in the background arrives as a `Label` of the same id.
    `answer` is what the client got; `key` is the public id of the key that asked. `teaches`: whether it may be among
    what a student learns from, unless its key or the request itself says otherwise.
    """

    id: str
    at: float
    task: str | None
    origin: Origin
    model: str
    messages: list[dict[str, Any]]
    params: dict[str, Any]
    prompt_fingerprint: str
    route: Route
    reason: str
    status: int
    eligible: bool
    reference: bool
    rho: float | None
    release: str | None = None
    draft: Draft | None = None
    score: float | None = None
    threshold: float | None = None
    teacher_reply: TeacherReply | None = None
    answer: str | None = None
    stream: bool = False
    latency_s: float = 0.0
    first_byte_s: float | None = None
    key: str | None = None
    teaches: bool = True


class Label(msgspec.Struct, frozen=True, kw_only=True, tag="label"):
    """The teacher's answer to a reference that the student answered; with `reply.error` set, the label is lost."""

    exchange_id: str
    at: float
    reply: TeacherReply


class Feedback(msgspec.Struct, frozen=True, kw_only=True, tag="feedback"):
    """What somebody says of an answer that was given: whether it was right, and what would have been; the last word of
    an exchange counts. `key` is the public id of the key that said it."""

    exchange_id: str
    at: float
    good: bool
    correction: str | None = None
    key: str | None = None


Record = Exchange | Label | Feedback
