"""The student on vLLM: greedy drafts with log-probabilities, and a breaker so that a dead one costs no waiting."""

import time
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec
import orjson

from calibration.evidence import TokenLogprob, evidence
from ledger.prices import Price
from ledger.records import Draft, Usage
from router.errors import StudentUnavailable
from router.wire import ChatRequest

TOP_LOGPROBS = 5  # what the evidence needs; 20 would cost three times the decoding


class _Alternative(msgspec.Struct):
    logprob: float


class _Token(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list[_Alternative] = []


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Completion(msgspec.Struct):
    """The part of vLLM's answer that is read."""

    choices: list[_Choice]
    usage: Usage


class Breaker:
    """Opens after consecutive failures, lets one request try again after a pause."""

    def __init__(self, *, failures: int = 3, pause_s: float = 2.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._clock = clock
        self._failures = 0
        self._retry_at = 0.0

    @property
    def open(self) -> bool:
        """True: do not ask. Asking while half open moves the next try on, so that one request probes at a time."""
        if self._failures < self._limit:
            return False
        now = self._clock()
        if now < self._retry_at:
            return True
        self._retry_at = now + self._pause_s
        return False

    def note(self, *, ok: bool) -> None:
        """Record how a call went."""
        self._failures = 0 if ok else self._failures + 1
        if self._failures == self._limit:
            self._retry_at = self._clock() + self._pause_s


class VllmStudent:
    """`router.ports.Student` on a vLLM server; every call is tried where there is no breaker."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        price: Price,
        timeout_s: float,
        breaker: Breaker | None = None,
    ) -> None:
        self._session = session
        self._url = f"{url}/v1/chat/completions"
        self._price = price
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(5.0, timeout_s))
        self._breaker = breaker

    async def draft(self, request: ChatRequest, *, model: str, max_tokens: int) -> Draft:
        """Draft greedily under a served model name. Raises StudentUnavailable."""
        if self._breaker and self._breaker.open:
            raise StudentUnavailable("not asked: the last calls failed")
        try:
            status, body = await self._post(_draft_body(request, model=model, max_tokens=max_tokens))
        except (aiohttp.ClientError, TimeoutError) as error:
            self._note(ok=False)
            raise StudentUnavailable(f"{type(error).__name__}") from error
        self._note(ok=status < 500)
        if status != 200:
            raise StudentUnavailable(f"HTTP {status}")
        return _read_draft(body, self._price)

    def _note(self, *, ok: bool) -> None:
        if self._breaker:
            self._breaker.note(ok=ok)

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        headers = {"content-type": "application/json"}
        async with self._session.post(self._url, data=body, headers=headers, timeout=self._timeout) as response:
            return response.status, await response.read()


def _draft_body(request: ChatRequest, *, model: str, max_tokens: int) -> bytes:
    body: dict[str, Any] = {
        "model": model,
        "messages": request.messages,
        "temperature": 0,
        "max_tokens": max_tokens,
        "logprobs": True,
        "top_logprobs": TOP_LOGPROBS,
    }
    if request.raw.get("stop"):
        body["stop"] = request.raw["stop"]
    return orjson.dumps(body)


def _read_draft(body: bytes, price: Price) -> Draft:
    """Text, evidence and usage of vLLM's answer; evidence stays empty where it cannot be trusted."""
    try:
        answer = msgspec.json.decode(body, type=_Completion)
        choice = answer.choices[0]
    except (msgspec.DecodeError, IndexError) as error:
        raise StudentUnavailable("an answer that is no chat completion") from error
    tokens = choice.logprobs.content if choice.logprobs and choice.logprobs.content else []
    observed = [TokenLogprob(t.token, t.logprob, tuple(a.logprob for a in t.top_logprobs)) for t in tokens]
    return Draft(
        text=choice.message.content or "",
        finish_reason=choice.finish_reason,
        evidence=evidence(observed, prompt_tokens=answer.usage.prompt_tokens) or {},
        usage=answer.usage,
        cost_usd=price.cost(answer.usage),
    )
