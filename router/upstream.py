"""One HTTP upstream: how it is asked, how long it has, when it is asked again, and what the client is told of it.

Whose fault a failure is decides who hears of it: what a client can mend comes in the upstream's own words, the rest in
ours, without them: they may hold a key or a URL.
"""

import asyncio
import itertools
import random
from dataclasses import dataclass
from typing import Any

import orjson

from router.errors import GatewayError, TeacherUnavailable, UpstreamRefused
from router.http_client import HttpClient, Patience
from router.http_connection import BrokenOff, HttpError, Response, Unreachable

THE_CLIENTS_TO_MEND = frozenset({400, 413, 422, 429})  # of other refusals our key, our URL or our bill is the cause
WORTH_ANOTHER_TRY = frozenset({408, 429, 500, 502, 503, 504})
BACKOFF_S, LONGEST_WAIT_S = 0.5, 8.0


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

    def patience(self, *, stream: bool) -> Patience:
        """Of one try."""
        return Patience(self.timeout_s, self.connect_s, pause_s=self.first_token_s if stream else None)


async def ask(
    http: HttpClient, endpoint: Endpoint, body: dict[str, Any], *, path: str = "chat/completions"
) -> Response:
    """An open response of whatever status, asked for again while that may help. `path` is under the endpoint's URL.

    Raises HttpError and TimeoutError.
    """
    for tried in itertools.count():
        last = tried == endpoint.retries
        try:
            response = await _post(http, endpoint, body, path=path)
        except Unreachable:
            if last:
                raise
            asked_to_wait_s = 0.0
        else:
            asked_to_wait_s = _seconds(response.header("retry-after"))
            if last or response.status not in WORTH_ANOTHER_TRY or asked_to_wait_s > LONGEST_WAIT_S:
                return response
            response.close()
        backoff_s = min(BACKOFF_S * 2**tried, LONGEST_WAIT_S)
        await asyncio.sleep(max(asked_to_wait_s, backoff_s) * random.uniform(1.0, 1.25))
    raise AssertionError("the last try returns or raises")


async def _post(http: HttpClient, endpoint: Endpoint, body: dict[str, Any], *, path: str) -> Response:
    headers = {"content-type": "application/json"}
    if endpoint.api_key:
        headers["authorization"] = f"Bearer {endpoint.api_key}"
    return await http.post(
        f"{endpoint.url}/{path}",
        orjson.dumps({**body, "model": endpoint.upstream_model}),
        patience=endpoint.patience(stream=bool(body.get("stream"))),
        headers=headers,
    )


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else 0.0


async def refusal(response: Response, teacher: str) -> GatewayError:
    """What a client is told of a status other than 200."""
    try:
        body = orjson.loads(await response.read())
    except orjson.JSONDecodeError:
        body = {}
    status = response.status
    if status in THE_CLIENTS_TO_MEND:
        headers = {"retry-after": wait} if (wait := response.header("retry-after")) else {}
        code, param = _said(body, "code"), _said(body, "param")
        return UpstreamRefused(words(body), status=status, code=code, param=param, headers=headers)
    told = {408: 504, 503: 503, 504: 504}.get(status, 502)  # LiteLLM says 408 where a provider was too slow
    return TeacherUnavailable(f"The teacher {teacher!r} failed with HTTP {status}", status=told)


def failure(error: HttpError | TimeoutError, teacher: str) -> TeacherUnavailable:
    """What a client is told where there was no answer, or not the whole of one."""
    if isinstance(error, TimeoutError):
        return TeacherUnavailable(f"The teacher {teacher!r} did not answer in time", status=504)
    if isinstance(error, BrokenOff):
        return TeacherUnavailable(f"The teacher {teacher!r} broke off its answer: {error}")
    return TeacherUnavailable(f"The teacher {teacher!r} cannot be reached: {error}")


def words(body: Any) -> str:
    """An error body's message."""
    error = body.get("error") if isinstance(body, dict) else None
    return _said(body, "message") or str(error or "the teacher refused the request")


def _said(body: Any, field: str) -> str | None:
    error = body.get("error") if isinstance(body, dict) else None
    value = error.get(field) if isinstance(error, dict) else None
    return str(value) if value is not None else None
