"""Requests that the teacher's provider answers, whatever they ask: legacy completions, embeddings, stateful responses.

What a client sends and gets stays as it is, but for the model's name and the id of a completion. Here it is read what a
request may cost, what of it is recorded, and what was answered; HTTP is the matter of `api_passed`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec.structs import replace

from ledger.records import Usage
from router.errors import TeacherUnavailable
from router.usage import read_usage
from router.wire import DONE, ChatRequest, event, read_fields
from router.wire_responses import ResponsesRequest

Path = Literal["completions", "embeddings", "responses"]
LEGACY_MAX_TOKENS = 16  # of a completion where the client sets no limit, as OpenAI has it
Model = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class _Options(msgspec.Struct):
    include_usage: bool | None = None


class _Completion(msgspec.Struct):
    model: Model
    prompt: str | list[Any]
    stream: bool | None = None
    stream_options: _Options | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    best_of: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None


class _Embedding(msgspec.Struct):
    model: Model
    input: str | list[Any]
    encoding_format: Literal["float", "base64"] | None = None


@dataclass(frozen=True)
class Passed:
    """`body` goes to the provider; `counted` is the request as a conversation, of which its size is read."""

    path: Path
    body: dict[str, Any]
    counted: ChatRequest

    @property
    def kept(self) -> ChatRequest:
        """What is recorded: nothing learns from what was embedded, and it may be a whole library."""
        if self.path != "embeddings":
            return self.counted
        return replace(self.counted, raw={**self.counted.raw, "messages": []})


def parse_completion(body: bytes) -> Passed:
    """A legacy completion request. Raises BadRequest."""
    raw, fields = read_fields(body, _Completion)
    stream = bool(fields.stream)
    usage_wanted = bool(fields.stream_options and fields.stream_options.include_usage)
    limit = LEGACY_MAX_TOKENS if fields.max_tokens is None else max(1, fields.max_tokens)
    limit *= _prompts(fields.prompt) * math.ceil((fields.best_of or 1) / (fields.n or 1))
    counted = ChatRequest(_conversation(raw, "prompt"), fields.model, stream, usage_wanted, limit)
    options = {"stream_options": {**(raw.get("stream_options") or {}), "include_usage": True}} if stream else {}
    return Passed("completions", {**raw, **options}, counted)  # usage is always asked for: cost is counted from it


def _prompts(prompt: str | list[Any]) -> int:
    """How many it holds: text by itself and a list of tokens are one."""
    return max(1, len(prompt)) if isinstance(prompt, list) and not all(isinstance(one, int) for one in prompt) else 1


def parse_embedding(body: bytes) -> Passed:
    """An embeddings request. Raises BadRequest."""
    raw, fields = read_fields(body, _Embedding)
    return Passed("embeddings", raw, ChatRequest(_conversation(raw, "input"), fields.model, False, False, 1))


def of_responses(asked: ResponsesRequest) -> Passed:
    """A request to the Responses API that is no chat."""
    raw = asked.raw
    limit = raw.get("max_output_tokens")
    counted = ChatRequest(_conversation(raw, "input"), asked.model, asked.stream, True, limit)
    return Passed("responses", raw, counted)


def _conversation(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The body with one user message in the place of its text; what is no text is written as JSON."""
    said = raw[name] if isinstance(raw[name], str) else orjson.dumps(raw[name]).decode()
    return {
        **{key: value for key, value in raw.items() if key != name},
        "messages": [{"role": "user", "content": said}],
    }


@dataclass
class Heard:
    """What a provider has answered so far. `ended`: it has said that this is all."""

    text: str | None = None
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    ended: bool = False


def read_reply(path: Path, body: Mapping[str, Any]) -> Heard:
    """The facts of an unstreamed reply. Raises TeacherUnavailable where it is none."""
    try:
        usage = read_usage(body.get("usage")) or Usage()
        if path == "embeddings":
            return Heard(None, "stop" if body["data"] else None, usage, ended=True)
        if path == "completions":
            choice = body["choices"][0]
            return Heard(choice.get("text") or "", choice.get("finish_reason"), usage, ended=True)
        return Heard(_output_text(body), str(body["status"]), usage, ended=True)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise TeacherUnavailable(f"The teacher answered with something that is no reply of /v1/{path}") from error


def _output_text(response: Mapping[str, Any]) -> str:
    parts = [part for item in response["output"] for part in item.get("content") or ()]
    return "".join(part.get("text") or "" for part in parts if part.get("type") == "output_text")


class CompletionTally:
    """Takes the chunks of a legacy completion, gives the client's, and knows afterwards what the answer was."""

    def __init__(self, exchange_id: str, counted: ChatRequest) -> None:
        self._ours = {"id": f"cmpl-{exchange_id}", "model": counted.model}
        self._include_usage = counted.include_usage
        self.heard = Heard("")

    def take(self, chunk: dict[str, Any]) -> bytes:
        """Empty for a usage record that the client did not ask for."""
        heard = self.heard
        for choice in chunk.get("choices") or ():
            choice["text"] = choice.get("text") or ""
            if not choice.get("index"):
                heard.text = (heard.text or "") + choice["text"]
                heard.finish_reason = choice.get("finish_reason") or heard.finish_reason
        heard.ended = heard.finish_reason is not None
        usage = chunk.pop("usage", None)
        if not usage:
            return event({**chunk, **self._ours})
        heard.usage = read_usage(usage) or Usage()
        return event({**chunk, **self._ours, "choices": [], "usage": usage}) if self._include_usage else b""

    def end(self) -> bytes:
        """What follows the last chunk."""
        return DONE


class ResponsesTally:
    """The same for the events of the Responses API; ids are the provider's, which a next request may name."""

    def __init__(self, _: str, counted: ChatRequest) -> None:
        self._model = counted.model
        self._last = b""
        self.heard = Heard()

    def take(self, told: dict[str, Any]) -> bytes:
        """The last event is kept for `end`."""
        whole = told.get("response")
        if isinstance(whole, dict):
            told = {**told, "response": {**whole, "model": self._model}}
        sent = b"event: %s\ndata: %s\n\n" % (str(told.get("type")).encode(), orjson.dumps(told))
        if not isinstance(whole, dict) or whole.get("status") in ("queued", "in_progress", None):
            return sent
        self.heard, self._last = read_reply("responses", whole), sent
        return b""

    def end(self) -> bytes:
        """The last event."""
        return self._last


def tally(asked: Passed, exchange_id: str) -> CompletionTally | ResponsesTally:
    """What follows a stream of this request."""
    kind = CompletionTally if asked.path == "completions" else ResponsesTally
    return kind(exchange_id, asked.counted)
