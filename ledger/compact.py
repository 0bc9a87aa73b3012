"""What a student reads of its task's constant instruction: nothing, where its prompt is compact (docs/decisions/0031).

Training and serving meet here, so that both leave out the same. Messages are those that the chat template gets: text
contents, and `system` for a developer's.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def compacted(messages: Sequence[Mapping[str, Any]], constant: str | None) -> list[dict[str, Any]]:
    """The messages with an empty system message where that is the constant one; any other is read as it is.

    The message stays: without one many chat templates write their own, which is longer than some instructions.
    """
    found = [dict(message) for message in messages]
    if constant is not None and found and found[0]["role"] == "system" and found[0].get("content") == constant:
        found[0]["content"] = ""
    return found
