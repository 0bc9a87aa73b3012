"""A draft that vLLM is still writing: judged by its first tokens, then streamed on as it comes."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

import msgspec

from calibration.evidence import TokenLogprob, evidence
from ledger.prices import Price
from ledger.records import Draft, Usage
from router.errors import StudentUnavailable
from router.http_connection import GATHER_S, HttpError, Response
from router.logprobs import Logprobs, observed


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta
    finish_reason: str | None = None


class _JudgedChoice(_Choice):
    logprobs: Logprobs | None = None


class _Chunk(msgspec.Struct):
    """The part of vLLM's chunks that is read; `usage` is in each of them (`continuous_usage_stats`)."""

    choices: Sequence[_Choice]
    usage: Usage | None = None


class _JudgedChunk(_Chunk):
    """The same of the tokens that a draft is judged by."""

    choices: Sequence[_JudgedChoice]


END = b"[DONE]"
_decode, _decode_judged = msgspec.json.Decoder(_Chunk).decode, msgspec.json.Decoder(_JudgedChunk).decode
ChunkT = TypeVar("ChunkT", bound=_Chunk)


class OngoingDraft:
    """`router.ports.Ongoing` over an open response, which it closes once it owns the connection.

    Whoever reads may be cancelled, as a client's reply is when the client leaves, and another one goes on from there.
    """

    def __init__(self, response: Response, *, price: Price) -> None:
        self._response = response
        self._price = price
        self._text: list[str] = []
        self._finish_reason: str | None = None
        self._usage = Usage()
        self._evidence: dict[str, float] = {}
        self._ended = False
        self._left: list[bytes] = []  # what is no chunk, behind some that were
        self._connection = AsyncExitStack()

    @property
    def draft(self) -> Draft:
        """As far as it has come, with the evidence of its beginning."""
        cost_usd = self._price.cost(self._usage)
        return Draft("".join(self._text), self._finish_reason, self._evidence, self._usage, cost_usd)

    async def begin(self, prefix: int) -> None:
        """Read until there are `prefix` tokens, or all. Raises StudentUnavailable."""
        tokens: list[TokenLogprob] = []
        while len(tokens) < prefix and (chunks := await self._next(_decode_judged)):
            tokens += [token for chunk in chunks for choice in chunk.choices for token in observed(choice.logprobs)]
            self._take(chunks)
        if len(tokens) < prefix and self._finish_reason is None:
            raise StudentUnavailable("the stream broke off")
        self._evidence = evidence(tokens[:prefix], prompt_tokens=self._usage.prompt_tokens) or {}

    async def pieces(self) -> AsyncGenerator[str]:
        """The text behind what was read, as it comes; afterwards the draft is whole. Raises StudentUnavailable."""
        while chunks := await self._next(_decode, gather_s=GATHER_S):
            if text := self._take(chunks):
                yield text
        if self._finish_reason is None:
            raise StudentUnavailable("the stream broke off")

    def owns(self, connection: AsyncExitStack) -> None:
        """What `close` ends."""
        self._connection = connection

    async def close(self) -> None:
        """End it, also half-way: the engine then writes no further."""
        await self._connection.aclose()

    async def _next(self, decode: Callable[[bytes], ChunkT], *, gather_s: float = 0.0) -> list[ChunkT]:
        """What has come; nothing at the end. What came before something that is no chunk counts."""
        if self._ended:
            return []
        try:
            events = self._left or await self._response.events(gather_s=gather_s)
        except (HttpError, TimeoutError) as error:
            raise StudentUnavailable(type(error).__name__) from error
        found: list[ChunkT] = []
        for number, data in enumerate(events):
            if data == END:
                break
            try:
                found.append(decode(data))
            except msgspec.DecodeError as error:
                if not found:
                    raise StudentUnavailable("a chunk that is none") from error
                self._left = events[number:]
                return found
        self._ended = not events or END in events
        return found

    def _take(self, chunks: Sequence[_Chunk]) -> str:
        text = ""
        for chunk in chunks:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                self._finish_reason = choice.finish_reason or self._finish_reason
            self._usage = chunk.usage or self._usage
        self._text.append(text)
        return text
