"""A draft that vLLM is still writing: judged by its first tokens, then streamed on as it comes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack

import msgspec

from calibration.evidence import TokenLogprob, evidence
from ledger.prices import Price
from ledger.records import Draft, Usage
from router.errors import StudentUnavailable
from router.http_connection import HttpError, Response
from router.logprobs import Logprobs, observed


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class _Chunk(msgspec.Struct):
    """The part of vLLM's chunks that is read; `usage` is in each of them (`continuous_usage_stats`)."""

    choices: list[_Choice]
    usage: Usage | None = None


class OngoingDraft:
    """`router.ports.Ongoing` over an open response, which it closes once it owns the connection.

    Whoever reads may be cancelled, as a client's reply is when the client leaves, and another one goes on from there.
    """

    def __init__(self, response: Response, *, price: Price) -> None:
        self._price = price
        self._text: list[str] = []
        self._finish_reason: str | None = None
        self._usage = Usage()
        self._evidence: dict[str, float] = {}
        self._chunks = _chunks(response)
        self._coming: asyncio.Task[_Chunk | None] | None = None
        self._connection = AsyncExitStack()

    @property
    def draft(self) -> Draft:
        """As far as it has come, with the evidence of its beginning."""
        cost_usd = self._price.cost(self._usage)
        return Draft("".join(self._text), self._finish_reason, self._evidence, self._usage, cost_usd)

    async def begin(self, prefix: int) -> None:
        """Read until there are `prefix` tokens, or all. Raises StudentUnavailable."""
        tokens: list[TokenLogprob] = []
        while len(tokens) < prefix and (chunk := await self._next()):
            tokens += [token for choice in chunk.choices for token in observed(choice.logprobs)]
            self._take(chunk)
        if len(tokens) < prefix and self._finish_reason is None:
            raise StudentUnavailable("the stream broke off")
        self._evidence = evidence(tokens[:prefix], prompt_tokens=self._usage.prompt_tokens) or {}

    async def pieces(self) -> AsyncGenerator[str]:
        """The text behind what was read, as it comes; afterwards the draft is whole. Raises StudentUnavailable."""
        while chunk := await self._next():
            if text := self._take(chunk):
                yield text
        if self._finish_reason is None:
            raise StudentUnavailable("the stream broke off")

    def owns(self, connection: AsyncExitStack) -> None:
        """What `close` ends."""
        self._connection = connection

    async def close(self) -> None:
        """End it, also half-way: the engine then writes no further."""
        await self._connection.aclose()

    async def stop(self) -> None:
        """Read no further."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
        await self._chunks.aclose()

    async def _next(self) -> _Chunk | None:
        if self._coming is None:
            self._coming = asyncio.create_task(_one(self._chunks))
        chunk = await asyncio.shield(self._coming)
        self._coming = None
        return chunk

    def _take(self, chunk: _Chunk) -> str:
        text = "".join(choice.delta.content or "" for choice in chunk.choices)
        self._text.append(text)
        for choice in chunk.choices:
            self._finish_reason = choice.finish_reason or self._finish_reason
        self._usage = chunk.usage or self._usage
        return text


async def _one(chunks: AsyncGenerator[_Chunk]) -> _Chunk | None:
    return await anext(chunks, None)


async def _chunks(response: Response) -> AsyncGenerator[_Chunk]:
    try:
        async for data in _events(response.lines()):
            yield msgspec.json.decode(data, type=_Chunk)
    except (HttpError, TimeoutError) as error:
        raise StudentUnavailable(type(error).__name__) from error
    except msgspec.DecodeError as error:
        raise StudentUnavailable("a chunk that is none") from error


async def _events(lines: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The data of server-sent events, to the one that says that all is done."""
    async for line in lines:
        if line.startswith(b"data:"):
            data = line[5:].strip()
            if data == b"[DONE]":
                return
            yield data
