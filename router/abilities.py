"""What a student can do of what a chat request asks: text in, one greedy answer out, in JSON where that is wanted.

Works on the decoded body alone. What it cannot do is the teacher's, with a reason; a field that is not known here is
none that it can do.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from ledger.clients import CLIENT_FIELDS

Beyond = Literal[
    "sampling",  # a temperature, top_p or penalties: the student decodes greedily
    "logit_bias",
    "choices",  # n > 1
    "tools",  # tools that may be called, or messages about calls
    "media",  # images, audio, files
    "unsupported",  # any other field, kind of message or response format
]
BEYOND: tuple[Beyond, ...] = get_args(Beyond)
PENALTIES = ("presence_penalty", "frequency_penalty")
# These change a greedy answer in no other way than the student's own request says (`router.student`), or not at all.
ABLE = frozenset(
    {"model", "messages", "stream", "stream_options", "temperature", "top_p", "n", "max_tokens"}
    | {"max_completion_tokens", "stop", "seed", "store", "response_format", "logprobs"}
    | {"top_logprobs", "tools", "tool_choice", "parallel_tool_calls", "logit_bias", *PENALTIES, "modalities"}
    | CLIENT_FIELDS
)
SPOKEN_FIELDS = frozenset({"role", "content", "name"})  # of a message
TEXT_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
PLAIN_ROLES = frozenset(role for role, spoken in TEXT_ROLES.items() if role == spoken)


def beyond_student(raw: Mapping[str, Any]) -> Beyond | None:
    """Why the student may not be asked at all, or None. Never by difficulty."""
    return _beyond_decoding(raw) or _beyond_fields(raw) or _beyond_messages(raw["messages"])


def _beyond_decoding(raw: Mapping[str, Any]) -> Beyond | None:
    if raw.get("temperature") or raw.get("top_p") not in (None, 1) or any(map(raw.get, PENALTIES)):
        return "sampling"
    if raw.get("logit_bias"):
        return "logit_bias"
    return None if raw.get("n") in (None, 1) else "choices"


def _beyond_fields(raw: Mapping[str, Any]) -> Beyond | None:
    if (raw.get("tools") and raw.get("tool_choice") != "none") or raw.get("functions"):
        return "tools"
    if raw.get("audio") or raw.get("modalities") not in (None, ["text"]):
        return "media"
    known = raw.keys() <= ABLE or all(value is None or name in ABLE for name, value in raw.items())
    return None if known and _is_format(raw.get("response_format")) else "unsupported"


def _is_format(wanted: Any) -> bool:
    """Whether it is a response format that the engine has a grammar for."""
    match wanted:
        case None | {"type": "text" | "json_object"} | {"type": "json_schema", "json_schema": {"schema": dict()}}:
            return True
    return False


def _beyond_messages(messages: list[dict[str, Any]]) -> Beyond | None:
    found = [_beyond_message(message) for message in messages if not _is_plain(message)]
    return next((reason for reason in found if reason), None)


def _is_plain(message: Mapping[str, Any]) -> bool:
    """As almost all are: a role that the template knows, and a text."""
    return len(message) == 2 and message["role"] in PLAIN_ROLES and isinstance(message.get("content"), str)


def _beyond_message(message: Mapping[str, Any]) -> Beyond | None:
    if message["role"] not in TEXT_ROLES or message.get("tool_calls") or message.get("function_call"):
        return "tools"
    content = message.get("content")
    if isinstance(content, list) and any(part.get("type") in ("image_url", "input_audio", "file") for part in content):
        return "media"
    extra = any(value for name, value in message.items() if name not in SPOKEN_FIELDS)  # clients send nulls back
    return "unsupported" if extra or joined_text(content) is None else None


def joined_text(content: Any) -> str | None:
    """A message's text; text parts are joined by a line break, as vLLM does for templates that want a string. None
    where it is no text, or not only."""
    if content is None or isinstance(content, str):
        return content
    texts = [part["text"] for part in content if part.get("type") == "text" and isinstance(part.get("text"), str)]
    return "\n".join(texts) if texts and len(texts) == len(content) else None


def as_spoken(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages that are not beyond it as the student's template takes them: plain text, and one word for system."""
    return [message if _is_plain(message) else _spoken(message) for message in messages]


def _spoken(message: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: message[name] for name in SPOKEN_FIELDS if message.get(name) is not None},
        "role": TEXT_ROLES[message["role"]],
        "content": joined_text(message["content"]),
    }
