"""A teacher's stream on its way to the client: rewritten to one id and one model, and added up for the record."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ledger.records import Place, Usage
from router import wire
from router.rationale import Heard
from router.teacher_logprobs import MOST, kept, show, taken
from router.usage import read_usage

EVENTS = "text/event-stream; charset=utf-8"


class StreamTally:
    """Takes the upstream's chunks, gives the client's, and knows afterwards what the whole answer was.

    Providers differ in where they say who speaks and what it cost: a client gets the role once, and usage once, last.
    """

    def __init__(self, head: wire.Head, *, include_usage: bool, top: int = 0, asked: int | None = None) -> None:
        """`top`: of each token so many alternatives are recorded; `asked`: of how many the client is told, None: not
        even of the token's own log-probability."""
        self._head = head
        self._include_usage = include_usage
        self._top, self._asked = top, asked
        self._places: list[Place] = []
        self._begun: set[int] = set()
        self._text: list[str] = []
        self._thought = Heard()
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None

    def take(self, chunks: Sequence[dict[str, Any]]) -> bytes:
        """The events for chunks; nothing for one that only tells usage."""
        return b"".join([wire.event(chunk) for chunk in chunks if self._is_said(chunk)])

    def _is_said(self, chunk: dict[str, Any]) -> bool:
        """Add a chunk up and put it in order; False where nothing is left of it."""
        told = chunk.pop("usage", None)
        self._usage = told or self._usage
        chunk["choices"] = [choice for choice in chunk.get("choices") or () if self._says(choice)]
        chunk["id"], chunk["model"] = self._head.id, self._head.model
        return bool(chunk["choices"] or not told)

    def _says(self, choice: dict[str, Any]) -> bool:
        """Add a choice up and put it in order; False where nothing is left of it."""
        index, delta = choice.setdefault("index", 0), choice.get("delta") or {}
        if index in self._begun:
            delta.pop("role", None)
        finish_reason = choice.setdefault("finish_reason", None)
        self._begun.add(index)
        if index == 0:  # of several answers the first one is kept, as of an unstreamed body
            self._text.append(delta.get("content") or "")
            self._thought.add(delta)
            self._finish_reason = finish_reason or self._finish_reason
        if self._top:
            if index == 0 and len(self._places) <= MOST:
                self._places += taken(choice, top=self._top)
            show(choice, asked=self._asked)
        choice["delta"] = delta
        return bool(delta or finish_reason)

    @property
    def characters(self) -> int:
        """Of the answer so far, and of what was thought before it: both are paid for."""
        return sum(map(len, self._text)) + self._thought.characters

    @property
    def logprobs(self) -> list[Place] | None:
        """Of the answer's tokens, where they are recorded."""
        return kept(self._places)

    @property
    def usage(self) -> Usage | None:
        """What the upstream has counted, where it has said so."""
        return read_usage(self._usage)

    def end(self) -> bytes:
        """What comes last: usage where it was asked for, and that all is done."""
        if not self._include_usage or self._usage is None:
            return wire.DONE
        return wire.event(wire.usage_chunk(self._head, self._usage)) + wire.DONE

    def body(self) -> dict[str, Any]:
        """The answer as an unstreamed body would hold it."""
        message = {"role": "assistant", "content": "".join(self._text), "reasoning_content": self._thought.text}
        return {"choices": [{"message": message, "finish_reason": self._finish_reason}], "usage": self._usage}


class EventStream(StreamingResponse):
    """Server-sent events whose generator is closed as soon as the client is gone, and with it the upstream call."""

    def __init__(self, events: AsyncGenerator[bytes, None], headers: dict[str, str]) -> None:
        super().__init__(events, headers=headers, media_type=EVENTS)
        self._events, self._begun = events, False
        self._at_end: Callable[[], Awaitable[None]] | None = None

    def at_end(self, then: Callable[[], Awaitable[None]]) -> None:
        """Have this called once the stream has ended, however it ended."""
        self._at_end = then

    def told_as(self, tell: Callable[[AsyncGenerator[bytes, None]], AsyncGenerator[bytes, None]]) -> "EventStream":
        """The same events in another shape, under the same headers; `tell` closes what it is given."""
        headers = {name: value for name, value in self.headers.items() if name != "content-type"}
        told = EventStream(tell(self._events), headers)
        told._at_end = self._at_end
        return told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reply, then close the generator, however the reply ended."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if not self._begun:  # one that has not begun would be closed without recording that its client left
                await anext(self._events, None)
            try:
                await self._events.aclose()
            finally:
                if self._at_end is not None:
                    await self._at_end()

    async def stream_response(self, send: Send) -> None:
        """Head, events, end."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        self._begun = True
        async for event in self._events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
