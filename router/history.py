"""Logs of other systems, read as exchanges that the teacher answered: what the loop starts from on its first day.

Four shapes of a JSON line are known: a request beside its response, a conversation that ends with the answer (OpenAI's
training format), a stored completion with its messages, and a row of LiteLLM's spend logs. A line is read by the rules
of a live request, so what the gateway would refuse is refused here.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from ledger.records import Exchange, TeacherReply, Usage
from router.errors import BadRequest
from router.rationale import kept, thought
from router.wire import ChatRequest, parse_chat

MESSAGE_FIELDS = ("role", "content", "name", "tool_calls", "tool_call_id")
VERSION = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")  # as providers date a model's versions


class BrokenLine(Exception):
    """A line that is none of the known shapes, or whose request is invalid; the message says what is wrong."""


class PassedOver(Exception):
    """A sound line that says nothing of this task's teacher; the message is the reason, the same for all such lines."""


@dataclass(frozen=True)
class Logged:
    """What a line says, `rationale` of what its model thought before. `at` is in seconds since the epoch; None, as
    `model`, `source_id` and `rationale`, where it is not said."""

    request: ChatRequest
    answer: str
    finish_reason: str | None
    model: str | None
    at: float | None
    source_id: str | None
    usage: Usage
    cost_usd: float
    rationale: str | None = None

    @property
    def meaning(self) -> str:
        """A SHA-256 over what was asked and answered, however the line is written."""
        said = orjson.dumps([self.request.messages, self.answer], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(said).hexdigest()

    def by(self, models: frozenset[str]) -> bool:
        """Whether one of these models answered, whatever provider's prefix the log writes. A version's date counts
        where both name one."""
        return self.model is not None and any(_same(self.model, model) for model in models)


def read_line(line: bytes) -> Logged:
    """Raises BrokenLine or PassedOver."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BrokenLine(f"no JSON: {error}") from error
    if not isinstance(entry, dict):
        raise BrokenLine("no JSON object")
    for known, read in SHAPES:
        if known(entry):
            return read(entry)
    raise BrokenLine(
        "none of the known shapes: {request, response}, {messages} that end with the answer, a stored completion "
        "with its messages, or a row of LiteLLM's spend logs"
    )


def as_exchange(logged: Logged, *, task: str, teacher: str, exchange_id: str, at: float) -> Exchange:
    """The exchange as the ledger keeps it. A log chose nothing by difficulty: each eligible row is a reference."""
    eligible = logged.request.beyond_student() is None
    reply = TeacherReply(
        teacher, logged.answer, logged.finish_reason, logged.usage, logged.cost_usd, rationale=logged.rationale
    )
    return Exchange(
        id=exchange_id,
        at=at,
        task=task,
        origin="import",
        model=logged.request.model,
        messages=logged.request.messages,
        params=logged.request.params,
        prompt_fingerprint=logged.request.fingerprint(),
        route="teacher",
        reason="imported",
        status=200,
        eligible=eligible,
        reference=eligible,
        rho=1.0,
        teacher_reply=reply,
        answer=logged.answer,
    )


def exchange_id(task: str, *, key: str) -> str:
    """The same for the same line of the same log: imported twice, it is there once."""
    return "i" + hashlib.sha256(f"{task}\0{key}".encode()).hexdigest()[:31]


def _pair(entry: dict[str, Any]) -> Logged:
    request, response = _mapping(entry["request"], "request"), _mapping(entry["response"], "response")
    body = response.get("body", response)  # as in the results of a batch
    return _completed(_mapping(body, "response.body"), request, {**entry, "id": entry.get("id") or body.get("id")})


def _conversation(entry: dict[str, Any]) -> Logged:
    messages = _messages(entry["messages"])
    *asked, answer = messages
    if answer.get("role") != "assistant":
        raise BrokenLine(f"the last message is the {answer.get('role')}'s; the answer is the assistant's")
    body = {"choices": [{"message": answer, "finish_reason": "stop"}]}  # a training file holds whole answers
    params = {name: value for name, value in entry.items() if name in ("tools", "response_format", "temperature")}
    return _completed(body, {**params, "messages": asked, "model": entry.get("model")}, entry)


def _stored(entry: dict[str, Any]) -> Logged:
    messages = entry.get("messages") or entry.get("input")
    if not messages:
        raise PassedOver("a stored completion without its messages (GET /v1/chat/completions/{id}/messages has them)")
    asked = ("temperature", "top_p", "tools", "response_format", "presence_penalty", "frequency_penalty")
    params = {name: entry[name] for name in asked if entry.get(name)}  # written out by OpenAI where nobody set them
    defaults = {"temperature": 1.0, "top_p": 1.0}
    params = {name: value for name, value in params.items() if defaults.get(name) != value}
    return _completed(entry, {**params, "messages": messages, "model": entry.get("model")}, entry)


def _spend_log(entry: dict[str, Any]) -> Logged:
    if entry.get("status") not in (None, "success"):
        raise PassedOver("a request that failed")
    request = _mapping(entry.get("proxy_server_request") or {}, "proxy_server_request")
    messages, response = _decoded(entry.get("messages")) or request.get("messages"), _decoded(entry.get("response"))
    if not messages or not response:
        raise PassedOver("prompt and answer not stored (general_settings.store_prompts_in_spend_logs keeps them)")
    stored = orjson.dumps([messages, response])
    if b"litellm_truncated" in stored:
        raise PassedOver(
            "prompt or answer stored with a hole (MAX_STRING_LENGTH_PROMPT_IN_DB says how much LiteLLM keeps)"
        )
    if b"redacted-by-litellm" in stored:
        raise PassedOver("prompt and answer redacted (litellm_settings.turn_off_message_logging)")
    return _completed(_mapping(response, "response"), {**request, "messages": messages}, entry)


SHAPES: tuple[tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any]], Logged]], ...] = (
    (lambda entry: "request_id" in entry and "startTime" in entry, _spend_log),
    (lambda entry: "request" in entry and "response" in entry, _pair),
    (lambda entry: entry.get("object") == "chat.completion" and "choices" in entry, _stored),
    (lambda entry: "messages" in entry, _conversation),
)


def _completed(body: dict[str, Any], request: dict[str, Any], entry: Mapping[str, Any]) -> Logged:
    """What a completion's body answered to a request; identity, time and cost are the entry's."""
    model = body.get("model") or entry.get("model") or request.get("model")
    text, finish_reason = _answer(body)
    source_id = entry.get("request_id") or entry.get("id")
    return Logged(
        request=_request({**request, "model": str(request.get("model") or model or "unknown")}),
        answer=text,
        finish_reason=finish_reason,
        model=str(model) if model else None,
        at=_time(entry.get("startTime") or entry.get("created") or entry.get("created_at") or body.get("created")),
        source_id=str(source_id) if source_id else None,
        usage=_usage(body.get("usage") or entry),
        cost_usd=_number(entry.get("spend")),
        rationale=kept(thought(body["choices"][0]["message"])),
    )


def _request(body: dict[str, Any]) -> ChatRequest:
    messages = [_message(logged) for logged in _messages(body.get("messages"))]
    try:
        return parse_chat(orjson.dumps({**body, "messages": messages}))
    except BadRequest as error:
        raise BrokenLine(str(error)) from error


def _message(logged: dict[str, Any]) -> dict[str, Any]:
    """What a client sends of a message; logs add ids and nulls."""
    return {name: logged[name] for name in MESSAGE_FIELDS if logged.get(name) is not None}


def _messages(value: object) -> list[dict[str, Any]]:
    decoded = _decoded(value)
    if not isinstance(decoded, list) or not decoded or not all(isinstance(message, dict) for message in decoded):
        raise BrokenLine("messages is not a list of messages")
    return decoded


def _answer(body: Mapping[str, Any]) -> tuple[str, str | None]:
    try:
        choice = body["choices"][0]
        text, finish_reason = choice["message"].get("content"), choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise BrokenLine("the response has no choices[0].message") from error
    if not isinstance(text, str):
        raise PassedOver("an answer without text, such as a tool call")
    return text, finish_reason if isinstance(finish_reason, str) else None


def _mapping(value: object, name: str) -> dict[str, Any]:
    decoded = _decoded(value)
    if not isinstance(decoded, dict):
        raise BrokenLine(f"{name} is no JSON object")
    return decoded


def _decoded(value: object) -> object:
    """A value that some exports write as JSON inside a string."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None


def _usage(counted: object) -> Usage:
    if not isinstance(counted, Mapping):
        return Usage()
    return Usage(int(_number(counted.get("prompt_tokens"))), int(_number(counted.get("completion_tokens"))))


def _number(value: object) -> float:
    """A count or a sum of money; 0 where the log has none."""
    return float(value) if isinstance(value, int | float) and 0 <= value < 2**31 else 0.0


def _time(value: object) -> float | None:
    """Seconds since the epoch, or ISO 8601, in UTC where no zone is written. Raises BrokenLine."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        read = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise BrokenLine(f"{value!r} is no time") from error
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _same(one: str, other: str) -> bool:
    names = [model.rsplit("/", 1)[-1] for model in (one, other)]
    dates = {found[1] for name in names if (found := VERSION.search(name))}
    return len(dates) <= 1 and VERSION.sub("", names[0]) == VERSION.sub("", names[1])
