"""A draft that vLLM is still writing: judged by its first tokens, then streamed on as it comes."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import msgspec

from calibration.evidence import evidence
from ledger.prices import Price
from ledger.records import Draft, Usage
from router.errors import StudentUnavailable
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
    """`router.ports.Ongoing` over an open response on a connection, which it closes."""

    def __init__(self, response: aiohttp.ClientResponse, connection: AsyncExitStack, *, price: Price) -> None:
        self._response, self._connection = response, connection
        self._price = price
        self._text: list[str] = []
        self._finish_reason: str | None = None
        self._usage = Usage()
        self._evidence: dict[str, float] = {}
        self._chunks = self._read()

    @property
    def draft(self) -> Draft:
        """As far as it has come, with the evidence of its beginning."""
        cost_usd = self._price.cost(self._usage)
        return Draft("".join(self._text), self._finish_reason, self._evidence, self._usage, cost_usd)

    async def begin(self, prefix: int) -> None:
        """Read until there are `prefix` tokens, or all. Raises StudentUnavailable."""
        tokens = []
        async for chunk in self._chunks:
            tokens += [token for choice in chunk.choices for token in observed(choice.logprobs)]
            self._take(chunk)
            if len(tokens) >= prefix:
                break
        self._evidence = evidence(tokens[:prefix], prompt_tokens=self._usage.prompt_tokens) or {}

    async def pieces(self) -> AsyncGenerator[str]:
        """The text behind the beginning, as it comes; afterwards the draft is whole. Raises StudentUnavailable."""
        async for chunk in self._chunks:
            if text := self._take(chunk):
                yield text
        if self._finish_reason is None:
            raise StudentUnavailable("the stream broke off")

    async def close(self) -> None:
        """End it, also half-way: the engine then writes no further."""
        await self._chunks.aclose()
        await self._connection.aclose()

    def _take(self, chunk: _Chunk) -> str:
        text = "".join(choice.delta.content or "" for choice in chunk.choices)
        self._text.append(text)
        for choice in chunk.choices:
            self._finish_reason = choice.finish_reason or self._finish_reason
        self._usage = chunk.usage or self._usage
        return text

    async def _read(self) -> AsyncGenerator[_Chunk]:
        try:
            async for data in _events(self._response.content):
                yield msgspec.json.decode(data, type=_Chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
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
