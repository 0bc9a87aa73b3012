"""A teacher at any OpenAI-compatible URL: the teacher server beside the gateway, or a provider that speaks OpenAI."""

import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol

import msgspec
import orjson
from msgspec.structs import replace

from ledger.prices import Price
from ledger.records import TeacherReply, Usage
from router import rationale
from router.breaker import Breaker
from router.errors import TeacherResting, TeacherUnavailable, UpstreamRefused
from router.http_client import HttpClient
from router.http_connection import GATHER_S, HttpError, Response
from router.ports import TeacherCompletion
from router.teacher_logprobs import kept, show, taken, wanted
from router.upstream import Endpoint, ask, failure, refusal, words
from router.usage import read_usage
from router.wire import ChatRequest

END = b"[DONE]"
TOGETHER = 8  # chunks at most: decoded they take ten times their bytes
OPENS_AFTER = 5  # failures in a row, of calls that may all have begun before the first of them failed
REFUSES = frozenset({400, 403, 404, 422, 501})  # how servers say that they do not take a parameter, or not of us
WITHOUT_S = 3600.0
_NOTHING: Mapping[str, Any] = {}
log = logging.getLogger(__name__)


class Prices(Protocol):
    """Where the price in force of a teacher is found; None while it is unknown."""

    def price(self, teacher: str) -> Price | None:
        """US dollars per token."""
        ...

    async def price_soon(self, teacher: str) -> Price | None:
        """The same; one that is unknown here, and known to another gateway process already, is waited for."""
        ...


class _Delta(msgspec.Struct):
    content: str | None = None


class _StreamedChoice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    """What every chunk must be like for us to pass it on and add it up."""

    choices: list[_StreamedChoice] = []
    usage: dict[str, Any] | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    """The part of a completion that is read."""

    choices: list[_Choice]
    usage: dict[str, Any] | None = None


class HttpTeacher:
    """`router.ports.Teacher` over HTTP, with a breaker for each teacher.

    What is behind the teacher server is tried again there: two layers of retries multiply a storm.
    """

    def __init__(
        self,
        http: HttpClient,
        *,
        endpoints: Mapping[str, Endpoint],
        prices: Prices,
        told: Callable[[str, bool], None] = lambda *_: None,
    ) -> None:
        """`told` hears of each teacher that is left alone from now on (True), and when it no longer is."""
        self._http = http
        self._endpoints = dict(endpoints)
        self._prices = prices
        self._without_until: dict[str, float] = {}
        self._breakers = {name: Breaker(failures=OPENS_AFTER, told=partial(told, name)) for name in endpoints}

    def priced(self, teacher: str) -> bool:
        """Whether the teacher's price is known."""
        return self._prices.price(teacher) is not None

    async def complete(self, request: ChatRequest, *, teacher: str, top: int = 0) -> TeacherCompletion:
        """Ask without streaming; `top` alternatives of each token are recorded."""
        started = time.perf_counter()
        body = {key: value for key, value in request.raw.items() if key not in ("stream", "stream_options")}
        async with self._post(teacher, body, beside=wanted(request, top=top)) as response:
            raw = await response.read()
            try:
                answer = orjson.loads(raw)
            except orjson.JSONDecodeError as error:
                raise _nonsense(teacher) from error
            reply = self.reply(teacher, answer, latency_s=time.perf_counter() - started)
            if top:
                reply = replace(reply, logprobs=kept(taken(answer["choices"][0], top=top)))
                for choice in answer["choices"]:
                    show(choice, asked=request.top_logprobs)
            return TeacherCompletion(answer, reply)

    async def stream(self, request: ChatRequest, *, teacher: str, top: int = 0) -> AsyncGenerator[list[dict[str, Any]]]:
        """Ask with streaming; usage is always asked for, since cost is counted from it. With `top` the chunks hold more
        of each token than the client has asked for.

        It is whole where it has said why it ends and that all is done: some servers say one without the other.
        """
        options = {**(request.raw.get("stream_options") or {}), "include_usage": True}
        body = {**request.raw, "stream": True, "stream_options": options}
        async with self._post(teacher, body, beside=wanted(request, top=top)) as response:
            finished = ended = False
            while not ended and (events := await response.events(gather_s=GATHER_S)):
                ended = END in events
                told = events[: events.index(END)] if ended else events
                for start in range(0, len(told), TOGETHER):
                    decoded = _decode(told[start : start + TOGETHER], teacher)
                    finished = finished or decoded.finishes
                    if decoded.chunks:
                        yield decoded.chunks
                    if decoded.trouble:
                        raise decoded.trouble
            if not (finished and ended):
                raise TeacherUnavailable(f"The teacher {teacher!r} broke off its stream")

    def reply(self, teacher: str, body: dict[str, Any], *, latency_s: float) -> TeacherReply:
        """The facts of a completion body."""
        try:
            read = msgspec.convert(body, _Completion)
            choice = read.choices[0]
        except (msgspec.ValidationError, IndexError) as error:
            raise _nonsense(teacher) from error
        usage = read_usage(read.usage) or Usage()
        return TeacherReply(
            teacher=teacher,
            text=choice.message.content,
            finish_reason=choice.finish_reason,
            usage=usage,
            cost_usd=self.paid(teacher, usage),
            latency_s=latency_s,
            rationale=rationale.kept(rationale.thought(msgspec.structs.asdict(choice.message))),
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
            while events := await response.events(gather_s=GATHER_S):
                for data in events:
                    if data == END:
                        return
                    chunk, _ = _decode_chunk(data, teacher)
                    yield chunk

    def paid(self, teacher: str, usage: Usage) -> float:
        """US dollars by the price in force."""
        price = self._prices.price(teacher)
        if price is None:
            raise TeacherUnavailable(f"The price of the teacher {teacher!r} is not known yet", status=503)
        return price.cost(usage)

    @asynccontextmanager
    async def _post(
        self,
        teacher: str,
        body: dict[str, Any],
        *,
        path: str = "chat/completions",
        beside: Mapping[str, Any] = _NOTHING,
    ) -> AsyncIterator[Response]:
        """An open response with status 200, or the error that the client is told. `beside`: what we ask for beside the
        client's request, which does not fail for it."""
        if await self._prices.price_soon(teacher) is None:
            raise TeacherUnavailable(f"The price of the teacher {teacher!r} is not known yet", status=503)
        async with self._told(teacher), await self._ask(teacher, body, path=path, beside=beside) as response:
            if response.status != 200:
                raise await refusal(response, teacher)
            yield response

    async def _ask(self, teacher: str, body: dict[str, Any], *, path: str, beside: Mapping[str, Any]) -> Response:
        """A teacher that refuses what is asked beside is asked again without. Where it then answers, nothing is asked
        beside of it for an hour: it was no fault of the request."""
        endpoint = self._endpoints[teacher]
        if not beside or time.monotonic() < self._without_until.get(teacher, -math.inf):
            return await ask(self._http, endpoint, body, path=path)
        response = await ask(self._http, endpoint, {**body, **beside}, path=path)
        if response.status not in REFUSES:
            return response
        refused = response.status
        response.close()
        response = await ask(self._http, endpoint, body, path=path)
        if response.status == 200:
            self._without_until[teacher] = time.monotonic() + WITHOUT_S
            log.warning("the teacher %r refuses log-probabilities (HTTP %d): none are recorded", teacher, refused)
        return response

    @asynccontextmanager
    async def _told(self, teacher: str) -> AsyncIterator[None]:
        """The breaker is asked first and told how it went; a client that leaves tells it nothing."""
        breaker = self._breakers[teacher]
        if breaker.open:
            why = f"The teacher {teacher!r} has failed {OPENS_AFTER} times in a row and is left alone for a moment"
            raise TeacherResting(why, retry_after_s=max(1, math.ceil(breaker.retry_after_s)))
        try:
            yield
        except UpstreamRefused:
            breaker.note(ok=True)
            raise
        except TeacherUnavailable:
            breaker.note(ok=False)
            raise
        except (HttpError, TimeoutError) as error:
            breaker.note(ok=False)
            raise failure(error, teacher) from error
        breaker.note(ok=True)


class _Decoded(NamedTuple):
    """Chunks up to the first that is none, and what is wrong with that; whether one of them says why an answer ends."""

    chunks: list[dict[str, Any]]
    finishes: bool
    trouble: TeacherUnavailable | None = None


def _decode(events: Sequence[bytes], teacher: str) -> _Decoded:
    chunks: list[dict[str, Any]] = []
    finishes = False
    for data in events:
        try:
            chunk, ends = _decode_chunk(data, teacher)
        except TeacherUnavailable as error:
            return _Decoded(chunks, finishes, error)
        chunks.append(chunk)
        finishes = finishes or ends
    return _Decoded(chunks, finishes)


def _decode_chunk(data: bytes, teacher: str) -> tuple[dict[str, Any], bool]:
    """A chunk that can be passed on and added up, as it came, and whether it says why an answer ends."""
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise TeacherUnavailable(f"The teacher {teacher!r} sent a chunk that is not JSON") from error
    if isinstance(chunk, dict) and "error" in chunk:
        raise TeacherUnavailable(f"The teacher {teacher!r} broke off: {words(chunk)}")
    try:
        read = msgspec.convert(chunk, _Chunk)
    except msgspec.ValidationError as error:
        raise TeacherUnavailable(f"The teacher {teacher!r} sent a chunk that is none") from error
    return chunk, any([choice.finish_reason for choice in read.choices])


def _nonsense(teacher: str) -> TeacherUnavailable:
    return TeacherUnavailable(f"The teacher {teacher!r} answered with something that is no completion")
