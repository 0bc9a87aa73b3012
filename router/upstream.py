"""One HTTP upstream: how it is asked, how long it has, when it is asked again, and what the client is told of it.

Whose fault a failure is decides who hears of it: what a client can mend comes in the upstream's own words, the rest in
ours, without them: they may hold a key or a URL.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from aiohttp.http_exceptions import LineTooLong

from router.errors import GatewayError, TeacherUnavailable, UpstreamRefused

THE_CLIENTS_TO_MEND = frozenset({400, 413, 422, 429})  # of other refusals our key, our URL or our bill is the cause
WORTH_ANOTHER_TRY = frozenset({408, 429, 500, 502, 503, 504})
BACKOFF_S, LONGEST_WAIT_S = 0.5, 8.0
LONGEST_LINE = 1 << 22  # bytes of one chunk, which may hold all of a long answer


@dataclass(frozen=True)
class Endpoint:
    """How to reach one teacher: `url` ends in /v1; `upstream_model` is what it calls the model.

    `timeout_s` bounds the whole of one try, `connect_s` the connection, `first_token_s` a stream's first bytes, and
    the pause before any further ones. `retries`: how often it is tried again before its first byte.
    """

    url: str
    upstream_model: str
    api_key: str | None
    timeout_s: float
    connect_s: float = 5.0
    first_token_s: float | None = None
    retries: int = 0

    def timeouts(self, *, stream: bool) -> aiohttp.ClientTimeout:
        """Of one try."""
        pause_s = self.first_token_s if stream else None
        return aiohttp.ClientTimeout(total=self.timeout_s, sock_connect=self.connect_s, sock_read=pause_s)


async def ask(
    session: aiohttp.ClientSession, endpoint: Endpoint, body: dict[str, Any], *, path: str = "chat/completions"
) -> aiohttp.ClientResponse:
    """An open response of whatever status, asked for again while that may help. `path` is under the endpoint's URL.

    Raises aiohttp.ClientError and TimeoutError.
    """
    for tried in itertools.count():
        last = tried == endpoint.retries
        try:
            response = await _post(session, endpoint, body, path=path)
        except aiohttp.ClientConnectionError:
            if last:
                raise
            asked_to_wait_s = 0.0
        else:
            asked_to_wait_s = _seconds(response.headers.get("retry-after"))
            if last or response.status not in WORTH_ANOTHER_TRY or asked_to_wait_s > LONGEST_WAIT_S:
                return response
            response.close()
        backoff_s = min(BACKOFF_S * 2**tried, LONGEST_WAIT_S)
        await asyncio.sleep(max(asked_to_wait_s, backoff_s) * random.uniform(1.0, 1.25))
    raise AssertionError("the last try returns or raises")


async def _post(
    session: aiohttp.ClientSession, endpoint: Endpoint, body: dict[str, Any], *, path: str
) -> aiohttp.ClientResponse:
    headers = {"content-type": "application/json"}
    if endpoint.api_key:
        headers["authorization"] = f"Bearer {endpoint.api_key}"
    return await session.post(
        f"{endpoint.url}/{path}",
        data=orjson.dumps({**body, "model": endpoint.upstream_model}),
        headers=headers,
        timeout=endpoint.timeouts(stream=bool(body.get("stream"))),
        allow_redirects=False,  # a redirected POST becomes a GET, sent to whoever is named
    )


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else 0.0


async def lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """A stream's lines as they come. Raises ValueError at one that does not end, and what aiohttp raises."""
    try:
        while line := await content.readline(max_line_length=LONGEST_LINE):
            yield line
    except LineTooLong as error:
        raise ValueError("a line without an end") from error


async def refusal(response: aiohttp.ClientResponse, teacher: str) -> GatewayError:
    """What a client is told of a status other than 200."""
    try:
        body = orjson.loads(await response.read())
    except orjson.JSONDecodeError:
        body = {}
    status = response.status
    if status in THE_CLIENTS_TO_MEND:
        headers = {name: response.headers[name] for name in ("retry-after",) if name in response.headers}
        code, param = _said(body, "code"), _said(body, "param")
        return UpstreamRefused(words(body), status=status, code=code, param=param, headers=headers)
    told = {408: 504, 503: 503, 504: 504}.get(status, 502)  # LiteLLM says 408 where a provider was too slow
    return TeacherUnavailable(f"The teacher {teacher!r} failed with HTTP {status}", status=told)


def failure(error: Exception, teacher: str) -> TeacherUnavailable:
    """What a client is told where there was no answer, or not the whole of one."""
    if isinstance(error, TimeoutError):
        return TeacherUnavailable(f"The teacher {teacher!r} did not answer in time", status=504)
    if isinstance(error, aiohttp.ClientPayloadError | ValueError):
        return TeacherUnavailable(f"The teacher {teacher!r} broke off its answer: {type(error).__name__}")
    return TeacherUnavailable(f"The teacher {teacher!r} cannot be reached: {type(error).__name__}")


def words(body: Any) -> str:
    """An error body's message."""
    error = body.get("error") if isinstance(body, dict) else None
    return _said(body, "message") or str(error or "the teacher refused the request")


def _said(body: Any, field: str) -> str | None:
    error = body.get("error") if isinstance(body, dict) else None
    value = error.get(field) if isinstance(error, dict) else None
    return str(value) if value is not None else None
