"""A teacher's stream on its way to the client: rewritten to one id and one model, and added up for the record."""

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from router import wire


class StreamTally:
    """Takes the upstream's chunks, gives the client's, and knows afterwards what the whole answer was."""

    def __init__(self, head: wire.Head, *, include_usage: bool) -> None:
        self._head = head
        self._include_usage = include_usage
        self._text: list[str] = []
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None

    def take(self, chunk: dict[str, Any]) -> Iterator[bytes]:
        """The events for one chunk; none for a usage record the client did not ask for."""
        for choice in chunk.get("choices") or ():
            self._text.append((choice.get("delta") or {}).get("content") or "")
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
        if chunk.get("usage"):
            self._usage = chunk["usage"]
            if not self._include_usage and not chunk.get("choices"):
                return
        if not self._include_usage:
            chunk.pop("usage", None)
        yield wire.event({**chunk, "id": self._head.id, "model": self._head.model})

    def body(self) -> dict[str, Any]:
        """The answer as an unstreamed body would hold it."""
        message = {"role": "assistant", "content": "".join(self._text)}
        return {"choices": [{"message": message, "finish_reason": self._finish_reason}], "usage": self._usage}


class EventStream(StreamingResponse):
    """Server-sent events whose generator is closed as soon as the client is gone, and with it the upstream call."""

    def __init__(self, events: AsyncGenerator[bytes, None], headers: dict[str, str]) -> None:
        super().__init__(self._begin(), headers=headers, media_type="text/event-stream")
        self._events, self._begun = events, False

    def told_as(self, tell: Callable[[AsyncGenerator[bytes, None]], AsyncGenerator[bytes, None]]) -> "EventStream":
        """The same events in another shape, under the same headers; `tell` closes what it is given."""
        headers = {name: value for name, value in self.headers.items() if name != "content-type"}
        return EventStream(tell(self._events), headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reply, then close the generator, however the reply ended."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if not self._begun:  # one that has not begun would be closed without recording that its client left
                await anext(self._events, None)
            await self._events.aclose()

    async def _begin(self) -> AsyncGenerator[bytes, None]:
        self._begun = True
        async for event in self._events:
            yield event
