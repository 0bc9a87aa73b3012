"""A scripted upstream on loopback: vLLM or a teacher, which answers well or fails in a chosen way.

It counts what it is asked, what is under way and what was cut off, so that a test can see from there that nothing
leaks and that whoever leaves is noticed.
"""

import asyncio
import itertools
import json
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from tests.wire import answers

ENGINE = "scripted"  # as it names itself where an engine is asked

Act = Callable[["Upstream", web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


class Upstream:
    """One server, in a thread of its own; what it does is set by `doing`."""

    def __init__(self) -> None:
        self.act: Act = answering
        self.seen: list[dict[str, Any]] = []
        self.active = self.cut_off = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(10.0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @contextmanager
    def doing(self, act: Act) -> Iterator[None]:
        before, self.act = self.act, act
        try:
            yield
        finally:
            self.act = before

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(timeout=10.0)

    async def _serve(self) -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/chat/completions", self._handle)
        app.router.add_post("/v1/completions", _completion)
        app.router.add_get("/health", _healthy)
        app.router.add_get("/version", _version)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._ended.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append(body)
        self.active += 1
        try:
            return await self.act(self, request, body)
        except (asyncio.CancelledError, ConnectionError):
            self.cut_off += 1
            raise
        except (LookupError, TypeError, ValueError, AttributeError) as error:  # a request that makes no sense
            return await status(400, words=type(error).__name__)()
        finally:
            self.active -= 1


async def _completion(request: web.Request) -> web.Response:
    """A legacy completion, whole or as a stream of one event."""
    said = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "text": "delivery", "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
    if not (await request.json()).get("stream"):
        return web.json_response(said)
    return web.Response(text=f"data: {json.dumps(said)}\n\ndata: [DONE]\n\n", content_type="text/event-stream")


async def _healthy(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _version(_: web.Request) -> web.Response:
    return web.json_response({"version": ENGINE})


async def answering(_: Upstream, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """As it should be."""
    return await _reply(request, answers.to(body))


def saying(**fields: Any) -> Act:
    """As it should be, but for these fields of the answer (`tests.wire.answers.Answer`)."""

    async def act(_: Upstream, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await _reply(request, replace(answers.to(body), **fields))

    return act


def slow(*, first_s: float = 0.0, between_s: float = 0.0) -> Act:
    """The first byte, or every chunk of a stream, comes late."""

    async def act(_: Upstream, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(first_s)
        return await _reply(request, answers.to(body), between_s=between_s)

    return act


def breaking(*last: bytes | dict[str, Any], after: int = 3, cut: bool = False) -> Act:
    """A stream of which only so many chunks come, then `last`; `cut` drops the connection, otherwise it just ends.

    Unstreamed: half of the body, or `last` as the body.
    """

    async def act(_: Upstream, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        answer = answers.to(body)
        if body.get("stream"):
            chunks = [*answer.chunks()][:after]
            response = await _stream(request, [*chunks, *last], ended=not cut)
        else:
            raw = orjson.dumps(answer.body())
            response = web.StreamResponse(headers={"content-type": "application/json", "content-length": str(len(raw))})
            await response.prepare(request)
            await response.write(_raw(last[0]) if last else raw[: len(raw) // 2])
        if (cut or not body.get("stream")) and request.transport:
            await asyncio.sleep(0.2)  # what was sent is read by then: an abort takes back what was not
            request.transport.abort()
        return response

    return act


def status(number: int, *, words: str = "scripted", **headers: str) -> Act:
    """OpenAI's error body under this status; `retry_after` becomes a header."""

    async def act(*_: Any) -> web.Response:
        error = {"message": words, "type": "scripted", "param": "messages", "code": "scripted_code"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"error": error}, status=number, headers=named)

    return act


def first(times: int, act: Act) -> Act:
    """So often `act`, then as it should be."""
    left = [act] * times

    async def either(upstream: Upstream, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await (left.pop() if left else answering)(upstream, request, body)

    return either


def raw(text: bytes, *, kind: str) -> Act:
    """200, and a body of another kind."""

    async def act(*_: Any) -> web.Response:
        return web.Response(body=text, headers={"content-type": kind})

    return act


async def hanging(*_: Any) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def stalling(_: Upstream, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Begins, and never goes on."""
    chunks = [*answers.to(body).chunks()][:7] if body.get("stream") else [b"{"]
    await _stream(request, chunks, ended=False)
    return await hanging()


async def resetting(_: Upstream, request: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Drops the connection without a byte."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def endless(*, every_s: float = 0.02) -> Act:
    """A stream that goes on for ever."""

    async def act(_: Upstream, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        opening, word, *_rest = answers.to(body).chunks()
        return await _stream(request, itertools.chain([opening], itertools.repeat(word)), between_s=every_s)

    return act


async def _reply(request: web.Request, answer: answers.Answer, *, between_s: float = 0.0) -> web.StreamResponse:
    if not answer.asked.get("stream"):
        return web.json_response(answer.body())
    return await _stream(request, [*answer.chunks(), b"[DONE]"], between_s=between_s)


async def _stream(
    request: web.Request, chunks: Iterable[dict[str, Any] | bytes], *, between_s: float = 0.0, ended: bool = True
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for chunk in chunks:
        await response.write(b"data: " + _raw(chunk) + b"\n\n")
        await asyncio.sleep(between_s)
    if ended:
        await response.write_eof()
    return response


def _raw(chunk: dict[str, Any] | bytes) -> bytes:
    return chunk if isinstance(chunk, bytes) else orjson.dumps(chunk)
