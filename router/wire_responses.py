"""OpenAI's Responses API in terms of chat completions: what can be said in both is translated, there and back.

A request that holds state, asks for tools of the provider's own or has a field that chat completions lack is not
translated: `chat` is None, and the teacher's provider is asked as it stands. `stream_events` is in `responses_stream`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import orjson

from router.wire import ChatRequest, parse_chat, read_fields

LOGPROBS = "message.output_text.logprobs"  # what to `include` to see log-probabilities
SAME = ("model", "stream", "temperature", "top_p", "user", "parallel_tool_calls", "service_tier")
SAME_TOO = ("safety_identifier", "prompt_cache_key")
KNOWN = frozenset({*SAME, *SAME_TOO, "input", "instructions", "max_output_tokens", "tools", "tool_choice", "text"}) | {
    "metadata",
    "store",
    "top_logprobs",
    "include",
    "reasoning",
    "truncation",
    "background",
}


class _Fields(msgspec.Struct):
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    input: str | list[dict[str, Any]]
    stream: bool | None = None
    instructions: str | None = None
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    tools: list[dict[str, Any]] | None = None
    include: list[str] | None = None
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None


class _Untranslatable(Exception):
    """Chat completions have no words for it."""


@dataclass(frozen=True)
class ResponsesRequest:
    """A valid request; `chat` is the same in terms of chat completions, or None."""

    raw: dict[str, Any]
    model: str
    stream: bool
    chat: ChatRequest | None


def parse_responses(body: bytes) -> ResponsesRequest:
    """Decode, validate, translate. Raises BadRequest in OpenAI's manner."""
    raw, fields = read_fields(body, _Fields)
    try:
        chat = parse_chat(orjson.dumps(_as_chat(raw)))
    except _Untranslatable:
        chat = None
    return ResponsesRequest(raw, fields.model, bool(fields.stream), chat)


def _as_chat(raw: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_state(raw)
    chat = {name: raw[name] for name in (*SAME, *SAME_TOO) if raw.get(name) is not None}
    told = [{"role": "system", "content": raw["instructions"]}] if raw.get("instructions") else []
    chat["messages"] = told + _messages(raw["input"])
    if raw.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    if raw.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = raw["max_output_tokens"]
    if LOGPROBS in (raw.get("include") or ()):
        chat |= {"logprobs": True, "top_logprobs": raw.get("top_logprobs") or 0}
    if effort := (raw.get("reasoning") or {}).get("effort"):
        chat["reasoning_effort"] = effort
    return chat | _text(raw.get("text") or {}) | _tools(raw)


def _refuse_state(raw: Mapping[str, Any]) -> None:
    """What keeps something at the provider, or is not known here."""
    foreign = any(value is not None and name not in KNOWN for name, value in raw.items())
    kept = raw.get("store") or raw.get("background") or raw.get("truncation") not in (None, "disabled")
    reasoning = {name for name, value in (raw.get("reasoning") or {}).items() if value is not None}
    if foreign or kept or reasoning - {"effort"} or set(raw.get("include") or ()) - {LOGPROBS}:
        raise _Untranslatable


def _messages(said: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    if isinstance(said, str):
        return [{"role": "user", "content": said}]
    messages: list[dict[str, Any]] = []
    for item in said:
        message = _message(item)
        if "tool_calls" in message and messages and "tool_calls" in messages[-1]:
            messages[-1]["tool_calls"] += message["tool_calls"]  # calls that were made at once are one message
        else:
            messages.append(message)
    return messages


def _message(item: dict[str, Any]) -> dict[str, Any]:
    match item:
        case {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}:
            call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        case {"type": "function_call_output", "call_id": call_id, "output": output}:
            return {"role": "tool", "tool_call_id": call_id, "content": _content(output)}
        case {"role": role, "content": content} if item.get("type", "message") == "message":
            return {"role": role, "content": _content(content)}
    raise _Untranslatable


def _content(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    parts = [_part(part) for part in content]
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(part: Any) -> dict[str, Any]:
    match part:
        case {"type": "input_text" | "output_text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "input_image", "image_url": str(url)}:
            detail = {"detail": part["detail"]} if part.get("detail") else {}
            return {"type": "image_url", "image_url": {"url": url, **detail}}
        case {"type": "input_file", "file_data": str(data), "filename": str(name)}:
            return {"type": "file", "file": {"file_data": data, "filename": name}}
    raise _Untranslatable


def _text(wanted: Mapping[str, Any]) -> dict[str, Any]:
    chat = {"verbosity": wanted["verbosity"]} if wanted.get("verbosity") else {}
    match wanted.get("format") or {"type": "text"}:
        case {"type": "text"}:
            return chat
        case {"type": "json_object"}:
            return {**chat, "response_format": {"type": "json_object"}}
        case {"type": "json_schema", **schema}:
            return {**chat, "response_format": {"type": "json_schema", "json_schema": schema}}
    raise _Untranslatable


def _tools(raw: Mapping[str, Any]) -> dict[str, Any]:
    chat: dict[str, Any] = {}
    if raw.get("tools"):
        chat["tools"] = [_tool(tool) for tool in raw["tools"]]
    match raw.get("tool_choice"):
        case None:
            return chat
        case str(choice):
            return {**chat, "tool_choice": choice}
        case {"type": "function", "name": name}:
            return {**chat, "tool_choice": {"type": "function", "function": {"name": name}}}
    raise _Untranslatable


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    match tool:
        case {"type": "function", **function}:
            return {"type": "function", "function": function}
    raise _Untranslatable


ENDED = {"length": ("incomplete", "max_output_tokens"), "content_filter": ("incomplete", "content_filter")}


@dataclass(frozen=True)
class Shell:
    """A response without its output: what was asked, and one id."""

    id: str
    created: int
    asked: ResponsesRequest

    def body(
        self, *, output: list[dict[str, Any]], finish_reason: str | None, usage: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """The whole response object at its end, by how the completion ended."""
        status, why = ENDED.get(finish_reason or "", ("completed", None))
        details = {"reason": why} if why else None
        return {**self.begun(status), "output": output, "usage": _usage(usage or {}), "incomplete_details": details}

    def begun(self, status: str) -> dict[str, Any]:
        """The response object before there is anything in it."""
        raw = self.asked.raw
        text = raw.get("text") or {}
        return {
            "id": f"resp_{self.id}",
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": raw.get("instructions"),
            "max_output_tokens": raw.get("max_output_tokens"),
            "metadata": raw.get("metadata") or {},
            "model": self.asked.model,
            "output": [],
            "parallel_tool_calls": raw.get("parallel_tool_calls") is not False,
            "previous_response_id": None,
            "reasoning": {"effort": (raw.get("reasoning") or {}).get("effort"), "summary": None},
            "store": False,
            "temperature": raw.get("temperature"),
            "text": {**text, "format": text.get("format") or {"type": "text"}},
            "tool_choice": raw.get("tool_choice") or "auto",
            "tools": raw.get("tools") or [],
            "top_p": raw.get("top_p"),
            "truncation": "disabled",
            "usage": None,
            "user": raw.get("user"),
        }


def response(shell: Shell, completion: Mapping[str, Any]) -> dict[str, Any]:
    """A whole chat completion as a response."""
    choice = completion["choices"][0]
    said, logprobs = choice["message"], (choice.get("logprobs") or {}).get("content") or []
    output = []
    if said.get("content") or said.get("refusal") or not said.get("tool_calls"):
        output.append(message_item(f"msg_{shell.id}", content_part(said, logprobs)))
    for number, call in enumerate(said.get("tool_calls") or ()):
        output.append(call_item(f"fc_{shell.id}_{number}", call["id"], call["function"]))
    return shell.body(output=output, finish_reason=choice.get("finish_reason"), usage=completion.get("usage"))


def content_part(said: Mapping[str, Any], logprobs: list[dict[str, Any]]) -> dict[str, Any]:
    """The one part of a message: its text, or its refusal."""
    if said.get("refusal"):
        return {"type": "refusal", "refusal": said["refusal"]}
    return {"type": "output_text", "text": said.get("content") or "", "annotations": [], "logprobs": logprobs}


def message_item(item_id: str, *parts: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    """An item of the output: what is said."""
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": list(parts)}


def call_item(item_id: str, call_id: str, function: Mapping[str, Any], *, status: str = "completed") -> dict[str, Any]:
    """An item of the output: a function to be called."""
    what = {"name": function["name"], "arguments": function["arguments"]}
    return {"id": item_id, "type": "function_call", "call_id": call_id, "status": status, **what}


def _usage(counted: Mapping[str, Any]) -> dict[str, Any]:
    read, written = int(counted.get("prompt_tokens") or 0), int(counted.get("completion_tokens") or 0)
    cached = (counted.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    thought = (counted.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": read + written,
    }
