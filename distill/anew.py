"""Recorded requests as they would be asked now: of a teacher, or with a prompt, of which nothing is recorded yet.

So an adapter is certified for them before they are put in place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FIT_ROWS = 500  # asked anew to fit a calibrator: it has a dozen weights, and every answer is paid for


@dataclass(frozen=True)
class Anew:
    """`system_prompt` takes the place of the recorded one; None leaves it as it is."""

    system_prompt: str | None

    def messages(self, recorded: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The messages of a recorded request under the prompt of now."""
        if self.system_prompt is None:
            return [dict(message) for message in recorded]
        others = [dict(message) for message in recorded if message["role"] not in ("system", "developer")]
        return [{"role": "system", "content": self.system_prompt}, *others]
