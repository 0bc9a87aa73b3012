"""`python -m router.teacher_server CONFIG`: any LiteLLM model as an OpenAI-compatible URL, and its price in the ledger.

A process of its own and the only importer of litellm: on the gateway's event loop it would cost the student's path
five to eight times (docs/decisions). Listens on loopback; the gateway is its only client.
"""

import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before litellm is imported: otherwise its import asks the network for prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import httpx
import litellm
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ledger import logs
from ledger.database import LedgerError, connect
from ledger.prices import Price, write_price
from router.listed import price_in
from router.settings import ConfigError, Settings, TeacherSettings, load
from router.teacher_calls import NAMED, arguments
from router.teacher_responses import PREFIX, pass_on, speaks_responses

litellm.suppress_debug_info = True
litellm.telemetry = False
KEEP_ALIVE_S = 75  # longer than the gateway keeps an idle connection (15 s): it never asks on a closed one
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upstream:
    """How LiteLLM is called for one teacher."""

    model: str
    api_key: str | None
    base_url: str | None
    timeout_s: float
    retries: int
    connect_s: float = 5.0
    first_token_s: float | None = None

    def timeout(self, *, stream: bool) -> httpx.Timeout:
        """Of one try."""
        pause_s = self.first_token_s if stream and self.first_token_s else self.timeout_s
        return httpx.Timeout(self.timeout_s, connect=self.connect_s, read=pause_s)

    def arguments(self, *, stream: bool = False) -> dict[str, Any]:
        """Keyword arguments of LiteLLM's calls; retries back off exponentially."""
        return {
            "model": self.model,
            # Local servers need no key, but LiteLLM's OpenAI client refuses to start without one.
            "api_key": self.api_key or "none",
            "api_base": self.base_url,
            "timeout": self.timeout(stream=stream),
            "num_retries": self.retries,
            "retry_strategy": "exponential_backoff_retry",
            # LiteLLM drops `user` where it does not know the name of a model that is like OpenAI's.
            **({"allowed_openai_params": ["user"]} if self.model.startswith(PREFIX) else {}),
        }


def create_app(upstreams: Mapping[str, Upstream]) -> Starlette:
    """The ASGI app over named upstreams."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "teachers": sorted(upstreams)})

    paths = {"responses": _responses, **dict.fromkeys(NAMED, _answer)}
    routes = [Route(f"/v1/{path}", _named(upstreams, ask), methods=["POST"]) for path, ask in paths.items()]
    return Starlette(routes=[*routes, Route("/health", health)])


Ask = Callable[[str, Upstream, dict[str, Any]], Awaitable[Response]]


def _named(upstreams: Mapping[str, Upstream], ask: Ask) -> Callable[[Request], Awaitable[Response]]:
    """The handler that asks the teacher which the body names, and tells what its provider says of an error."""

    async def handle(http: Request) -> Response:
        path, body = http.url.path.removeprefix("/v1/"), await http.json()
        upstream = upstreams.get(body.pop("model", ""))
        if upstream is None:
            return _error(404, {"message": "no such teacher", "code": "model_not_found"})
        try:
            return await ask(path, upstream, body)
        except Exception as error:  # noqa: BLE001  a process boundary: LiteLLM raises whatever a provider's client does
            return _provider_error(error)

    return handle


async def _answer(path: str, upstream: Upstream, body: dict[str, Any]) -> Response:
    calls = {
        "chat/completions": litellm.acompletion,
        "completions": litellm.atext_completion,
        "embeddings": litellm.aembedding,
    }
    stream = bool(body.get("stream"))
    said = await calls[path](**arguments(path, body), **upstream.arguments(stream=stream))
    if stream:
        return StreamingResponse(_events(said), media_type="text/event-stream")
    return JSONResponse(said.model_dump(mode="json", warnings=False))  # LiteLLM types base64 as numbers


async def _responses(_: str, upstream: Upstream, body: dict[str, Any]) -> Response:
    if not speaks_responses(upstream.model):
        words = "This model's provider keeps no responses: leave store, conversation and the like out."
        return _error(400, {"message": words})
    return await pass_on(
        body,
        model=upstream.model,
        api_key=upstream.api_key or "none",
        base_url=upstream.base_url,
        patience=upstream.timeout(stream=bool(body.get("stream"))),
        retries=upstream.retries,
    )


async def _events(chunks: AsyncIterator[Any]) -> AsyncIterator[str]:
    """Server-sent events; a stream that breaks ends in an error event, never in silence."""
    try:
        async for chunk in chunks:
            if _invented(chunk, chunks):
                raise EOFError("the provider's stream ended before its answer did")
            yield f"data: {json.dumps(chunk.model_dump(mode='json', exclude_none=True))}\n\n"
    except Exception as error:  # noqa: BLE001  a process boundary, as above
        log.warning("stream broke off: %s", type(error).__name__)
        yield f"data: {json.dumps({'error': {'message': type(error).__name__, 'type': 'server_error'}})}\n\n"
        return
    yield "data: [DONE]\n\n"


def _invented(chunk: Any, chunks: Any) -> bool:
    """Whether a finish reason is LiteLLM's own: it says "stop" also of a stream that its provider broke off. Which it
    is it does not tell of a legacy completion."""
    finished = any(choice.finish_reason for choice in chunk.choices)
    return finished and getattr(chunks, "received_finish_reason", "unknown") is None


def _provider_error(error: Exception) -> Response:
    """The provider's status and words; the log gets the kind alone, since messages may quote prompts."""
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) and 400 <= status < 600 else 502
    log.warning("teacher failed: %s (HTTP %d)", type(error).__name__, status)
    body = getattr(error, "body", None)
    said = body if isinstance(body, dict) and body.get("message") else vars(error)  # LiteLLM's own words are longer
    response = getattr(error, "response", None)
    headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}
    kept = {"retry-after": headers["retry-after"]} if "retry-after" in headers else None
    return _error(status, said, headers=kept)


def _error(status: int, said: Mapping[str, Any], *, headers: dict[str, str] | None = None) -> Response:
    """`said`: message, code and param, as far as there are any."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    code, param = (str(said[name]) if said.get(name) else None for name in ("code", "param"))
    message = str(said.get("message") or "the teacher refused the request")
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return JSONResponse(body, status_code=status, headers=headers)


def price_of(name: str, teacher: TeacherSettings) -> tuple[Price, str]:
    """The teacher's price and its source: the settings, or LiteLLM's table.

    Raises ConfigError where neither knows it: an unknown price is an error, never $0.
    """
    if teacher.price is not None:
        return teacher.price.per_token, "settings"
    found = listed_price(teacher.model)
    if found is None:
        raise ConfigError(
            f"teachers.{name}: LiteLLM knows no price for {teacher.model!r}: "
            f"set teachers.{name}.price.input_usd_per_mtok and output_usd_per_mtok"
        )
    return found, f"litellm {litellm_version()}"


def listed_price(model: str) -> Price | None:
    """What LiteLLM's table says that a token of this model costs; None where it does not know what has to be paid."""
    try:
        info = litellm.get_model_info(model)
    except Exception:  # noqa: BLE001  litellm raises bare Exception for an unmapped model
        return None
    return price_in({**info, **litellm.model_cost.get(info.get("key", ""), {})})  # the former leaves out some prices


def litellm_version() -> str:
    """The installed version, part of a price's source."""
    from importlib.metadata import version

    return version("litellm")


def main(argv: list[str] | None = None) -> int:
    """Write the prices, then serve. Exit status 2 with a message where a key, a price or the ledger is missing."""
    arguments = sys.argv[1:] if argv is None else argv
    logs.begin(logging.WARNING)
    try:
        if len(arguments) != 1:
            raise ConfigError("usage: python -m router.teacher_server CONFIG.yaml")
        settings = load(Path(arguments[0]))
        upstreams = _prepare(settings)
    except (ConfigError, LedgerError) as error:
        log.error("%s", error)
        return 2
    uvicorn.run(
        create_app(upstreams),
        host="127.0.0.1",
        port=settings.teacher_server.port,
        access_log=False,
        log_level="warning",
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    return 0


def _prepare(settings: Settings) -> dict[str, Upstream]:
    """Upstreams with their keys, after every price is in the ledger."""
    ours = {name: teacher for name, teacher in settings.teachers.items() if not teacher.direct}
    upstreams = {
        name: Upstream(
            model=teacher.model,
            api_key=teacher.api_key(),
            base_url=teacher.base_url,
            timeout_s=teacher.timeout_s,
            retries=teacher.retries,
            connect_s=teacher.connect_timeout_s,
            first_token_s=teacher.first_token_timeout_s,
        )
        for name, teacher in ours.items()
    }
    priced = {name: price_of(name, teacher) for name, teacher in ours.items()}
    engine = connect(settings.ledger.url)
    for name, (price, source) in priced.items():
        write_price(engine, name, price, source=source, at=time.time())
    engine.dispose()
    return upstreams


if __name__ == "__main__":
    sys.exit(main())
