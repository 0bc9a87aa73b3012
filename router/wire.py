"""OpenAI's chat completion shapes: parse what clients send, render what they get. Knows nothing of routes.

The body is decoded once. Fields of our concern are validated; everything else is carried along untouched, so a
teacher gets what the client sent.
"""

import hashlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import orjson

from ledger.clients import USER_FIELDS
from ledger.compact import compacted
from ledger.modes import decoding_mode
from ledger.records import Usage
from router.abilities import Beyond, as_spoken, beyond_student, joined_text
from router.errors import BadRequest

DONE = b"data: [DONE]\n\n"


class _Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Body(msgspec.Struct):
    """The fields that decide what happens to a request."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    messages: Annotated[list[_Message], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """A valid request: `raw` is the client's body as decoded, the rest is read from it. `top_logprobs`: how many
    alternatives of each token the client wants to see; None: not even the token's own log-probability."""

    raw: dict[str, Any]
    model: str
    stream: bool
    include_usage: bool
    max_tokens: int | None
    top_logprobs: int | None = None

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The client's messages, untouched."""
        messages: list[dict[str, Any]] = self.raw["messages"]
        return messages

    @property
    def params(self) -> dict[str, Any]:
        """Everything but model and messages."""
        return {key: value for key, value in self.raw.items() if key not in ("model", "messages")}

    @property
    def system_prompt(self) -> str | None:
        """The text of the first message where it is a system or developer message."""
        if not self.messages:  # of a request that is recorded without them
            return None
        first = self.messages[0]
        return joined_text(first.get("content")) if first["role"] in ("system", "developer") else None

    @property
    def conversation(self) -> str:
        """What stays as it is from one request of a conversation to the next: its user, as far as it is named, and what
        the user said first."""
        first = next((each for each in self.messages if each["role"] == "user"), self.messages[0])
        return f"{[self.raw.get(name) for name in USER_FIELDS]} {joined_text(first.get('content'))}"

    def fingerprint(self) -> str:
        """Identifies the constant part of the prompt: system message, tools, response format."""
        constant = [self.system_prompt, self.raw.get("tools"), self.raw.get("response_format")]
        return hashlib.sha256(orjson.dumps(constant, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def estimate_tokens(self, *, answer: int) -> int:
        """Roughly what a teacher will count, before it is asked: that of the prompt, and max_tokens, or `answer` where
        the client sets none. Images, tools and n > 1 are not counted."""
        return self.estimate_prompt_tokens() + (self.max_tokens or answer)

    def estimate_prompt_tokens(self) -> int:
        """A quarter of the characters of the messages' text, at least 1."""
        return max(1, sum([_characters(message.get("content")) for message in self.messages]) // 4)

    def most_usage(self, *, answer: int) -> Usage:
        """What a teacher may count at most: a token is at least one byte of the request, and every answer takes
        max_tokens, or `answer` where the client sets none. Not counted: images behind a URL, and what a provider keeps
        of a conversation."""
        several = self.raw.get("n")
        answers = several if isinstance(several, int) and several > 1 else 1
        read, written = orjson.dumps(self.raw), (self.max_tokens or answer) * answers
        heard, spoken = b'"input_audio"' in read, "audio" in self.raw
        return Usage(
            len(read), written, audio_prompt_tokens=heard * len(read), audio_completion_tokens=spoken * written
        )

    def beyond_student(self) -> Beyond | None:
        """Why the student may not be asked at all, or None. Never by difficulty."""
        return beyond_student(self.raw)

    @property
    def decoding_mode(self) -> str:
        """How the student would decode it, where it is not beyond it."""
        return decoding_mode(self.raw)

    @property
    def spoken(self) -> list[dict[str, Any]]:
        """The messages as the student takes them, where they are not beyond it."""
        return as_spoken(self.messages)

    def without(self, constant: str) -> "ChatRequest":
        """As a student with a compact prompt takes it, where it is not beyond it."""
        return msgspec.structs.replace(self, raw={**self.raw, "messages": compacted(self.spoken, constant)})


def _characters(content: str | list[dict[str, Any]] | None) -> int:
    if content is None or isinstance(content, str):
        return len(content or "")
    return sum(len(part["text"]) for part in content if isinstance(part.get("text"), str))


FieldsT = TypeVar("FieldsT", bound=msgspec.Struct)


def parse_chat(body: bytes) -> ChatRequest:
    """Decode and validate a chat completion request. Raises BadRequest in OpenAI's manner, naming the field."""
    raw, fields = read_fields(body, _Body)
    if fields.top_logprobs is not None and not fields.logprobs:
        raise BadRequest("'top_logprobs' needs 'logprobs' to be true", param="top_logprobs")
    return ChatRequest(
        raw=raw,
        model=fields.model,
        stream=bool(fields.stream),
        include_usage=bool(fields.stream_options and fields.stream_options.include_usage),
        max_tokens=fields.max_completion_tokens or fields.max_tokens,
        top_logprobs=(fields.top_logprobs or 0) if fields.logprobs else None,
    )


def read_fields(body: bytes, kind: type[FieldsT]) -> tuple[dict[str, Any], FieldsT]:
    """A JSON body as it came, and its fields of our concern. Raises BadRequest in OpenAI's manner, naming the field."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"We could not parse the JSON body of your request: {error}") from error
    if not isinstance(raw, dict):
        raise BadRequest("The body must be a JSON object")
    try:
        return raw, msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        param = path.strip("`.").lstrip(".") or _missing_field(message)
        raise BadRequest(f"Invalid value for '{param}': {message}" if param else message, param=param) from error


def _missing_field(message: str) -> str | None:
    return message.split("`")[1] if message.startswith("Object missing required field") else None


class Head(msgspec.Struct, frozen=True):
    """What every body and chunk of one reply repeats: one id, one time, one model name."""

    id: str
    created: int
    model: str


class Reply(msgspec.Struct, frozen=True):
    """A whole answer in plain values; `logprobs`: of its tokens, in OpenAI's shape, where the client wants them."""

    head: Head
    text: str
    finish_reason: str | None
    usage: Usage
    logprobs: list[dict[str, Any]] | None = None


def completion(reply: Reply) -> dict[str, Any]:
    """A whole chat completion."""
    message = {"role": "assistant", "content": reply.text, "refusal": None}
    return {
        "id": reply.head.id,
        "object": "chat.completion",
        "created": reply.head.created,
        "model": reply.head.model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": _logprobs(reply.logprobs),
                "finish_reason": reply.finish_reason,
            }
        ],
        "usage": usage_body(reply.usage),
    }


def _logprobs(content: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    return None if content is None else {"content": content, "refusal": None}


def completion_chunks(reply: Reply, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The same reply as a stream: role, text, finish reason, then usage where it was asked for."""
    yield opening_chunk(reply.head)
    if reply.text:
        yield text_chunk(reply.head, reply.text, logprobs=reply.logprobs)
    yield from closing_chunks(reply, include_usage=include_usage)


def opening_chunk(head: Head) -> dict[str, Any]:
    """Who speaks."""
    return _chunk(head, {"role": "assistant", "content": ""}, None)


def text_chunk(head: Head, text: str, *, logprobs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A piece of the answer, with the log-probabilities of its tokens where they are wanted."""
    chunk = _chunk(head, {"content": text}, None)
    chunk["choices"][0]["logprobs"] = _logprobs(logprobs)
    return chunk


def closing_chunks(reply: Reply, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """Why it ends, then usage where it was asked for."""
    yield _chunk(reply.head, {}, reply.finish_reason)
    if include_usage:
        yield usage_chunk(reply.head, usage_body(reply.usage))


def usage_chunk(head: Head, usage: dict[str, Any]) -> dict[str, Any]:
    """What the answer took, by itself."""
    return {**_chunk(head, {}, None), "choices": [], "usage": usage}


def _chunk(head: Head, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {
        "id": head.id,
        "object": "chat.completion.chunk",
        "created": head.created,
        "model": head.model,
        "choices": [choice],
    }


def usage_body(usage: Usage) -> dict[str, int]:
    """OpenAI's usage object."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def event(payload: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def model(name: str, *, owner: str) -> dict[str, Any]:
    """One entry of the model list."""
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def models(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The model list."""
    return {"object": "list", "data": entries}
