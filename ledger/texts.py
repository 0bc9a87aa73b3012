"""The texts of recorded messages."""

from collections.abc import Mapping, Sequence
from typing import Any


def variable_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """The last user message, the part of a task's prompt that changes; empty where there is none."""
    spoken = [message for message in messages if message["role"] == "user"]
    return message_text(spoken[-1]) if spoken else ""


def message_text(message: Mapping[str, Any]) -> str:
    r"""The text of a message; text parts are joined by "\n", as vLLM does for templates that want string content.

    Raises ValueError for a part that is not text: the student reads text only.
    """
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    foreign = {part.get("type") for part in content} - {"text"}
    if foreign:
        raise ValueError(f"the student reads text only, not {sorted(map(str, foreign))}")
    return "\n".join(part["text"] for part in content)
