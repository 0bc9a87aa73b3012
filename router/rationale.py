"""What a teacher says that it thought before it answered, as servers of reasoning models tell it beside the answer."""

from collections.abc import Mapping
from typing import Any

NAMES = ("reasoning_content", "reasoning")  # LiteLLM, DeepSeek and vLLM; newer versions of vLLM, and OpenRouter
# Some 8,000 tokens, four times what a student reads where nothing is set. A longer one could not teach: it would be
# left out for its length, and cut it would teach to stop in the middle. So it is not kept, and no ledger grows by it.
MOST = 32_768


def thought(said: Mapping[str, Any]) -> str:
    """Of a message, or of a piece of one, whatever its length; empty where it tells none, or in no text."""
    found = (said.get(name) for name in NAMES)
    return next((text for text in found if isinstance(text, str) and text), "")


def kept(text: str) -> str | None:
    """What is recorded of it: all or nothing. Nothing of one that a database could not hold."""
    return text if text.strip() and len(text) <= MOST and "\0" not in text else None


class Heard:
    """One that comes in pieces; no more of it is held than is kept."""

    def __init__(self) -> None:
        self.characters = 0
        self._pieces: list[str] = []

    def add(self, said: Mapping[str, Any]) -> None:
        """A piece of a message."""
        if piece := thought(said):
            self.characters += len(piece)
            if self.characters <= MOST:
                self._pieces.append(piece)

    @property
    def text(self) -> str | None:
        """All of it; None where there is none, or too much."""
        return "".join(self._pieces) if 0 < self.characters <= MOST else None
