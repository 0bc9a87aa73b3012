"""A streamed chat completion told as the events of the Responses API, numbered from 0.

An item is opened by its first piece; all are closed in order at the end, when the chat stream has said that it is done.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson

from router.wire_responses import Shell, call_item, content_part, message_item

Event = dict[str, Any]


async def stream_events(chunks: AsyncGenerator[bytes, None], shell: Shell) -> AsyncGenerator[bytes, None]:
    """The events that a stream of chat completion chunks amounts to. Closes the chunks when it is closed."""
    narration = Narration(shell)
    sent = _sent(narration.begin())  # with the first chunk: who leaves before it must leave the chunks begun
    async with aclosing(chunks):
        async for chunk in chunks:
            for data in _data(chunk):
                sent += _sent(narration.end() if data == b"[DONE]" else narration.take(orjson.loads(data)))
            yield sent
            sent = b""


def _data(chunk: bytes) -> Iterator[bytes]:
    return (each.removeprefix(b"data: ") for each in chunk.split(b"\n\n") if each.startswith(b"data: "))


def _sent(events: Iterator[Event]) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events)


@dataclass
class _Item:
    """An item of the output as far as it has come: a message, or a call with its `call_id` and `name`."""

    id: str
    index: int
    call_id: str | None = None
    name: str = ""
    refuses: bool = False
    pieces: list[str] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def said(self) -> str:
        return "".join(self.pieces)

    @property
    def part(self) -> dict[str, Any]:
        return content_part({"refusal" if self.refuses else "content": self.said}, self.logprobs)

    def whole(self) -> dict[str, Any]:
        if self.call_id is not None:
            return call_item(self.id, self.call_id, {"name": self.name, "arguments": self.said})
        return message_item(self.id, self.part)

    def opened(self) -> dict[str, Any]:
        if self.call_id is not None:
            return call_item(self.id, self.call_id, {"name": self.name, "arguments": ""}, status="in_progress")
        return message_item(self.id, status="in_progress")


class Narration:
    """Takes chat completion chunks in order, gives events."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._number = 0
        self._items: dict[str, _Item] = {}
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None

    def begin(self) -> Iterator[Event]:
        """Before anything is said."""
        for kind in ("response.created", "response.in_progress"):
            yield self._event(kind, response=self._shell.begun("in_progress"))

    def take(self, chunk: dict[str, Any]) -> Iterator[Event]:
        """What a chunk adds; one that is an error ends all."""
        if error := chunk.get("error"):
            said = {"code": "server_error", "message": error["message"]}
            yield self._event("response.failed", response={**self._shell.begun("failed"), "error": said})
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            yield from self._delta(choice.get("delta") or {}, choice.get("logprobs") or {})

    def end(self) -> Iterator[Event]:
        """After everything is said."""
        if not self._items:
            yield from self._open("message", _Item(f"msg_{self._shell.id}", 0))
        for item in self._items.values():
            yield from self._close(item)
        output = [item.whole() for item in self._items.values()]
        body = self._shell.body(output=output, finish_reason=self._finish_reason, usage=self._usage)
        yield self._event(f"response.{body['status']}", response=body)

    def _delta(self, delta: dict[str, Any], logprobs: dict[str, Any]) -> Iterator[Event]:
        for name in ("content", "refusal"):
            if delta.get(name):
                yield from self._say(delta[name], logprobs.get("content") or [], refuses=name == "refusal")
        for call in delta.get("tool_calls") or ():
            yield from self._call(call)

    def _say(self, piece: str, logprobs: list[dict[str, Any]], *, refuses: bool) -> Iterator[Event]:
        key = "refusal" if refuses else "message"
        if key not in self._items:
            number = len(self._items)
            yield from self._open(key, _Item(f"msg_{self._shell.id}_{number}", number, refuses=refuses))
        item = self._items[key]
        item.pieces.append(piece)
        item.logprobs += logprobs
        kind, shown = ("refusal", {}) if refuses else ("output_text", {"logprobs": logprobs})
        yield self._event(f"response.{kind}.delta", **_of(item), content_index=0, delta=piece, **shown)

    def _call(self, call: dict[str, Any]) -> Iterator[Event]:
        key, function = f"call {call.get('index', 0)}", call.get("function") or {}
        if key not in self._items:
            number = len(self._items)
            item = _Item(f"fc_{self._shell.id}_{number}", number, call.get("id") or "", function.get("name") or "")
            yield from self._open(key, item)
        item = self._items[key]
        if piece := function.get("arguments"):
            item.pieces.append(piece)
            yield self._event("response.function_call_arguments.delta", **_of(item), delta=piece)

    def _open(self, key: str, item: _Item) -> Iterator[Event]:
        self._items[key] = item
        yield self._event("response.output_item.added", output_index=item.index, item=item.opened())
        if item.call_id is None:
            yield self._event("response.content_part.added", **_of(item), content_index=0, part=item.part)

    def _close(self, item: _Item) -> Iterator[Event]:
        if item.call_id is not None:
            done = {"name": item.name, "arguments": item.said}
            yield self._event("response.function_call_arguments.done", **_of(item), **done)
        else:
            kind = "refusal" if item.refuses else "output_text"
            shown = {"refusal": item.said} if item.refuses else {"text": item.said, "logprobs": item.logprobs}
            yield self._event(f"response.{kind}.done", **_of(item), content_index=0, **shown)
            yield self._event("response.content_part.done", **_of(item), content_index=0, part=item.part)
        yield self._event("response.output_item.done", output_index=item.index, item=item.whole())

    def _event(self, kind: str, **fields: Any) -> Event:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return event


def _of(item: _Item) -> dict[str, Any]:
    return {"item_id": item.id, "output_index": item.index}
