"""The student on vLLM: greedy drafts with log-probabilities, and a breaker so that a dead one costs no waiting."""

import asyncio
import math
import re
import time
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import orjson

from calibration.evidence import ALTERNATIVES, evidence
from ledger.prices import Price
from ledger.records import Draft, Usage
from router.breaker import Breaker
from router.errors import StudentUnavailable, TooLong
from router.http_client import HttpClient, Patience
from router.http_connection import HttpError, Response
from router.logprobs import Logprobs, observed, shown
from router.ongoing import OngoingDraft
from router.wire import ChatRequest

OK, BAD_REQUEST, SERVER_ERROR = 200, 400, 500
CONNECT_S = 5.0
JSON = {"content-type": "application/json"}
TOO_LONG = re.compile(rb"context length|model length|max_model_len")  # in the words of vLLM's refusals


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class _Completion(msgspec.Struct):
    """The part of vLLM's answer that is read."""

    choices: list[_Choice]
    usage: Usage


class VllmStudent:
    """`router.ports.Student` on a vLLM server; every call is tried where there is no breaker."""

    def __init__(
        self,
        http: HttpClient,
        *,
        url: str,
        price: Price,
        timeout_s: float,
        breaker: Breaker | None = None,
    ) -> None:
        self._http = http
        self._url = f"{url}/v1/chat/completions"
        self._price = price
        self._timeout_s = timeout_s
        self._whole = Patience(total_s=timeout_s, connect_s=min(CONNECT_S, timeout_s))
        self._streamed = Patience(total_s=math.inf, connect_s=min(CONNECT_S, timeout_s), pause_s=timeout_s)
        self._told = _Told(breaker)

    async def draft(self, request: ChatRequest, *, model: str, max_tokens: int, prefix: int | None = None) -> Draft:
        """Draft greedily under a served model name; with `prefix` the evidence is that of so many first tokens. Raises
        StudentUnavailable."""
        body = _draft_body(request, model=model, max_tokens=max_tokens)
        began = time.perf_counter()
        with self._told:
            async with await self._post(body, self._whole) as response:
                await _check(response)
                raw = await response.read()
        draft = _read_draft(raw, self._price, prefix=prefix, latency_s=time.perf_counter() - began)
        return draft if request.top_logprobs is None else _show(draft, raw, top=request.top_logprobs)

    async def begin(self, request: ChatRequest, *, model: str, max_tokens: int, prefix: int) -> OngoingDraft:
        """The same as a stream, from which the first `prefix` tokens are read, in the time that a whole draft has.

        Raises StudentUnavailable.
        """
        streamed = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
        body = {**_draft_body(request, model=model, max_tokens=max_tokens), **streamed}
        with self._told:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self._timeout_s):
                    response = await stack.enter_async_context(await self._post(body, self._streamed))
                    await _check(response)
                    ongoing = OngoingDraft(response, price=self._price)
                    await ongoing.begin(prefix)
                ongoing.owns(stack.pop_all())
        return ongoing

    async def _post(self, body: dict[str, Any], patience: Patience) -> Response:
        """A response, to be entered."""
        return await self._http.post(self._url, orjson.dumps(body), patience=patience, headers=JSON)


class _Refused(StudentUnavailable):
    """The engine is well, and will not have this request."""


class _Told:
    """Around each call: the breaker is asked first and told how it went; what goes wrong is what is wrong with the
    student."""

    def __init__(self, breaker: Breaker | None) -> None:
        self._breaker = breaker

    def __enter__(self) -> None:
        if self._breaker and self._breaker.open:
            raise StudentUnavailable("not asked: the last calls failed")

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self._note(ok=True)
        elif isinstance(error, HttpError | TimeoutError):
            self._note(ok=False)
            raise StudentUnavailable(f"{type(error).__name__}") from error
        elif isinstance(error, StudentUnavailable):
            self._note(ok=isinstance(error, _Refused | TooLong))

    def _note(self, *, ok: bool) -> None:
        if self._breaker:
            self._breaker.note(ok=ok)


async def _check(response: Response) -> None:
    status = response.status
    if status == OK:
        return
    if status == BAD_REQUEST and TOO_LONG.search(await response.read()):
        raise TooLong("prompt and answer do not fit into the student's context")
    raise (StudentUnavailable if status >= SERVER_ERROR else _Refused)(f"HTTP {status}")


def _draft_body(request: ChatRequest, *, model: str, max_tokens: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "messages": request.spoken,
        "temperature": 0,
        "max_tokens": max_tokens,
        "logprobs": True,
        "top_logprobs": max(ALTERNATIVES, request.top_logprobs or 0),
    }
    for name in ("stop", "response_format"):
        if wanted := request.raw.get(name):
            body[name] = wanted
    return body


def _read_draft(body: bytes, price: Price, *, prefix: int | None, latency_s: float) -> Draft:
    """Text, evidence and usage of vLLM's answer; evidence stays empty where it cannot be trusted."""
    try:
        answer = msgspec.json.decode(body, type=_Completion)
        choice = answer.choices[0]
    except (msgspec.DecodeError, IndexError) as error:
        raise StudentUnavailable("an answer that is no chat completion") from error
    judged = observed(choice.logprobs)[:prefix]
    return Draft(
        text=choice.message.content or "",
        finish_reason=choice.finish_reason,
        evidence=evidence(judged, prompt_tokens=answer.usage.prompt_tokens) or {},
        usage=answer.usage,
        cost_usd=price.cost(answer.usage),
        latency_s=latency_s,
    )


def _show(draft: Draft, body: bytes, *, top: int) -> Draft:
    """With what the client asked to see; where the server did not say, there is no evidence to accept it by either."""
    told = orjson.loads(body)["choices"][0].get("logprobs") or {}
    return shown(draft, told.get("content") or [], top=top)
