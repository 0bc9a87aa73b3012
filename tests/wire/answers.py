"""What a scripted upstream answers: text, log-probabilities, tool calls or JSON, as the request asks for it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

WORDS = ("The", " parcel", " left", " the", " depot", " this", " morning", ".", " It", " arrives", " tomorrow", ".")
TEXT = "".join(WORDS)
LOGPROB = -0.01
COUNTED = 17  # prompt tokens of every request


@dataclass(frozen=True)
class Answer:
    """To one request. `sure`: whether its log-probabilities are given; without `keeps_stop` what the client says about
    where to stop is ignored. `counted`: in place of the tokens that there are; None: it tells no usage."""

    asked: dict[str, Any]
    words: tuple[str, ...] = WORDS
    sure: bool = True
    keeps_stop: bool = True
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    counted: dict[str, Any] | None = field(default_factory=dict)

    @property
    def pieces(self) -> list[str]:
        text, stops = "".join(self.words), self.asked.get("stop") or []
        for stop in [stops] if isinstance(stops, str) else stops:
            text = text.partition(stop)[0] if self.keeps_stop else text
        pieces, left = [], text
        for word in self.words:
            pieces.append(left[: len(word)])
            left = left[len(word) :]
        return [piece for piece in pieces if piece][: self._limit]

    @property
    def _limit(self) -> int:
        return int(self.asked.get("max_completion_tokens") or self.asked.get("max_tokens") or 1000)

    @property
    def finish_reason(self) -> str:
        if self.tool_calls:
            return "tool_calls"
        return "length" if len(self.pieces) == self._limit else "stop"

    @property
    def usage(self) -> dict[str, Any] | None:
        if self.counted is None:
            return None
        said = len(self.pieces) * int(self.asked.get("n") or 1)
        return {"prompt_tokens": COUNTED, "completion_tokens": said, "total_tokens": COUNTED + said, **self.counted}

    def body(self) -> dict[str, Any]:
        content = None if self.tool_calls else "".join(self.pieces)
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls
        choices = [
            {
                "index": index,
                "message": message,
                "logprobs": self._logprobs(self.pieces),
                "finish_reason": self.finish_reason,
            }
            for index in range(int(self.asked.get("n") or 1))
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": self.usage}

    def chunks(self) -> Iterator[dict[str, Any]]:
        options = self.asked.get("stream_options") or {}
        running = bool(options.get("continuous_usage_stats"))
        yield self._chunk({"role": "assistant", "content": None if self.tool_calls else ""})
        for index, call in enumerate(self.tool_calls):
            yield self._chunk({"tool_calls": [{"index": index, **call}]})
        for number, piece in enumerate([] if self.tool_calls else self.pieces, 1):
            extra = {"usage": {**(self.usage or {}), "completion_tokens": number}} if running else {}
            yield self._chunk({"content": piece}, logprobs=self._logprobs([piece])) | extra
        yield self._chunk({}, finish_reason=self.finish_reason)
        if options.get("include_usage") and self.usage:
            yield {**self._head("chat.completion.chunk"), "choices": [], "usage": self.usage}

    def _chunk(self, delta: dict[str, Any], **fields: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **fields}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": "upstream-id", "object": kind, "created": 1, "model": "upstream-model"}

    def _logprobs(self, pieces: list[str]) -> dict[str, Any] | None:
        if not self.sure or not self.asked.get("logprobs") or self.tool_calls:
            return None
        top = [{"token": "x", "logprob": LOGPROB - n, "bytes": [120]} for n in range(5)]
        return {
            "content": [
                {"token": piece, "logprob": LOGPROB, "bytes": list(piece.encode()), "top_logprobs": top}
                for piece in pieces
            ]
        }


def to(asked: dict[str, Any]) -> Answer:
    """A call of the first tool where tools are offered and none has been called, JSON where a form is asked for, and
    TEXT otherwise."""
    tools, choice = asked.get("tools") or [], asked.get("tool_choice")
    if tools and choice != "none" and asked["messages"][-1]["role"] != "tool":
        named = choice["function"]["name"] if isinstance(choice, dict) else tools[0]["function"]["name"]
        function = next(tool["function"] for tool in tools if tool["function"]["name"] == named)
        spoken = re.findall(r"[^\x00-\x7f]+", str(asked["messages"][-1].get("content")))
        arguments = orjson.dumps(example(function.get("parameters") or {}, text="".join(spoken) or "three")).decode()
        call = {"id": "call_1", "type": "function", "function": {"name": named, "arguments": arguments}}
        return Answer(asked, tool_calls=[call])
    form = asked.get("response_format") or {}
    if form.get("type") == "json_schema":
        return Answer(asked, words=(orjson.dumps(example(form["json_schema"]["schema"])).decode(),))
    if form.get("type") == "json_object":
        return Answer(asked, words=('{"answer"', ': "42"}'))
    return Answer(asked)


def example(schema: dict[str, Any], root: dict[str, Any] | None = None, *, text: str = "three") -> Any:
    """A value of a JSON schema; every string in it is `text`."""
    root = root or schema
    if "$ref" in schema:
        return example(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, text=text)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0], root, text=text)
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        return {name: example(part, root, text=text) for name, part in (schema.get("properties") or {}).items()}
    if kind == "array":
        return [example(schema.get("items") or {}, root, text=text)]
    return {"integer": 3, "number": 3.0, "boolean": True, "null": None}.get(kind, text)
