"""A teacher at any OpenAI-compatible URL: the teacher server beside the gateway, or a provider that speaks OpenAI."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import orjson

from ledger.prices import Price
from ledger.records import TeacherReply, Usage
from router.errors import GatewayError, TeacherUnavailable, UpstreamRefused
from router.ports import TeacherCompletion
from router.wire import ChatRequest

NOT_THE_CLIENTS_FAULT = frozenset({401, 403, 404, 408})  # our key, our URL: a client can do nothing about them


class Prices(Protocol):
    """Where the price in force of a teacher is found; None while it is unknown."""

    def price(self, teacher: str) -> Price | None:
        """US dollars per token."""
        ...

    async def price_soon(self, teacher: str) -> Price | None:
        """The same; one that is unknown here, and known to another gateway process already, is waited for."""
        ...


@dataclass(frozen=True)
class Endpoint:
    """How to reach one teacher: `url` ends in /v1; `upstream_model` is what it calls the model."""

    url: str
    upstream_model: str
    api_key: str | None
    timeout_s: float


class HttpTeacher:
    """`router.ports.Teacher` over HTTP. Retries are the teacher server's: two layers of them multiply a storm."""

    def __init__(self, session: aiohttp.ClientSession, *, endpoints: Mapping[str, Endpoint], prices: Prices) -> None:
        self._session = session
        self._endpoints = dict(endpoints)
        self._prices = prices

    def priced(self, teacher: str) -> bool:
        """Whether the teacher's price is known."""
        return self._prices.price(teacher) is not None

    async def complete(self, request: ChatRequest, *, teacher: str) -> TeacherCompletion:
        """Ask without streaming."""
        started = time.perf_counter()
        body = {key: value for key, value in request.raw.items() if key not in ("stream", "stream_options")}
        async with self._post(teacher, body) as response:
            raw = await response.read()
        try:
            answer = orjson.loads(raw)
            return TeacherCompletion(answer, self.reply(teacher, answer, latency_s=time.perf_counter() - started))
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise TeacherUnavailable(
                f"The teacher {teacher!r} answered with something that is no completion"
            ) from error

    async def stream(self, request: ChatRequest, *, teacher: str) -> AsyncGenerator[dict[str, Any]]:
        """Ask with streaming; usage is always asked for, since cost is counted from it."""
        options = {**(request.raw.get("stream_options") or {}), "include_usage": True}
        async with self._post(teacher, {**request.raw, "stream": True, "stream_options": options}) as response:
            async for line in response.content:
                if not line.startswith(b"data:"):
                    continue
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                yield _decode_chunk(data, teacher)
        raise TeacherUnavailable(f"The teacher {teacher!r} broke off its stream")

    def reply(self, teacher: str, body: dict[str, Any], *, latency_s: float) -> TeacherReply:
        """The facts of a completion body."""
        choice = body["choices"][0]
        counted = body.get("usage") or {}
        usage = Usage(int(counted.get("prompt_tokens") or 0), int(counted.get("completion_tokens") or 0))
        return TeacherReply(
            teacher=teacher,
            text=choice["message"].get("content"),
            finish_reason=choice.get("finish_reason"),
            usage=usage,
            cost_usd=self.paid(teacher, usage),
            latency_s=latency_s,
        )

    async def call(self, path: str, body: dict[str, Any], *, teacher: str) -> dict[str, Any]:
        """Ask another endpoint under /v1 without streaming."""
        async with self._post(teacher, body, path=path) as response:
            raw = await response.read()
        try:
            answer = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise TeacherUnavailable(f"The teacher {teacher!r} answered with something that is not JSON") from error
        if not isinstance(answer, dict):
            raise TeacherUnavailable(f"The teacher {teacher!r} answered with something that is no object")
        return answer

    async def events(self, path: str, body: dict[str, Any], *, teacher: str) -> AsyncGenerator[dict[str, Any]]:
        """Ask another endpoint under /v1 with streaming; whether its stream is whole is for who knows its events."""
        async with self._post(teacher, body, path=path) as response:
            async for line in response.content:
                data = line[5:].strip() if line.startswith(b"data:") else b""
                if data == b"[DONE]":
                    return
                if data:
                    yield _decode_chunk(data, teacher)

    def paid(self, teacher: str, usage: Usage) -> float:
        """US dollars by the price in force."""
        price = self._prices.price(teacher)
        if price is None:
            raise TeacherUnavailable(f"The price of the teacher {teacher!r} is not known yet", status=503)
        return price.cost(usage)

    @asynccontextmanager
    async def _post(
        self, teacher: str, body: dict[str, Any], *, path: str = "chat/completions"
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An open response with status 200, or the error that the client is told."""
        endpoint = self._endpoints[teacher]
        if await self._prices.price_soon(teacher) is None:
            raise TeacherUnavailable(f"The price of the teacher {teacher!r} is not known yet", status=503)
        headers = {"content-type": "application/json"}
        if endpoint.api_key:
            headers["authorization"] = f"Bearer {endpoint.api_key}"
        data = orjson.dumps({**body, "model": endpoint.upstream_model})
        timeout = aiohttp.ClientTimeout(total=endpoint.timeout_s, sock_connect=5.0)
        url = f"{endpoint.url}/{path}"
        try:
            async with self._session.post(url, data=data, headers=headers, timeout=timeout) as response:
                if response.status != 200:
                    raise await _refusal(response, teacher)
                yield response
        except TimeoutError as error:
            raise TeacherUnavailable(f"The teacher {teacher!r} did not answer in time", status=504) from error
        except aiohttp.ClientError as error:
            raise TeacherUnavailable(f"The teacher {teacher!r} cannot be reached: {type(error).__name__}") from error


def _decode_chunk(data: bytes, teacher: str) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise TeacherUnavailable(f"The teacher {teacher!r} sent a chunk that is not JSON") from error
    if not isinstance(chunk, dict):
        raise TeacherUnavailable(f"The teacher {teacher!r} sent a chunk that is no object")
    if "error" in chunk:
        raise TeacherUnavailable(f"The teacher {teacher!r} broke off: {_words(chunk)}")
    return chunk


async def _refusal(response: aiohttp.ClientResponse, teacher: str) -> GatewayError:
    """A request the teacher refused is the client's to mend; everything else is ours or the teacher's."""
    try:
        body = orjson.loads(await response.read())
    except orjson.JSONDecodeError:
        body = {}
    status = response.status
    if 400 <= status < 500 and status not in NOT_THE_CLIENTS_FAULT:
        headers = {name: response.headers[name] for name in ("retry-after",) if name in response.headers}
        return UpstreamRefused(_words(body), status=status, code=_code(body), headers=headers)
    return TeacherUnavailable(
        f"The teacher {teacher!r} failed with HTTP {status}", status=status if status in (503, 504) else 502
    )


def _words(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "the teacher refused the request")


def _code(body: Any) -> str | None:
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return str(code) if code is not None else None
