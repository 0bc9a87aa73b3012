"""One row of training data: what the student was asked and what it should have answered.

Facts only. It does not know where a row came from or whether it is any good; `harvest` and `curate` do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.texts import variable_text


@dataclass(frozen=True, eq=False)
class Targets:
    """What a teacher has said of the tokens of a row's completion, in tokens of the student: `ids` and `logprobs`
    (nats), shape (T, K), -inf where fewer than K were told of, and all along a token of which nothing was."""

    ids: NDArray[np.int32]
    logprobs: NDArray[np.float32]

    @classmethod
    def of(cls, ids: Sequence[Sequence[int]], logprobs: Sequence[Sequence[float]], *, length: int) -> "Targets":
        """From lists of any lengths, of the first of `length` tokens."""
        shape = length, max(map(len, ids), default=0)
        found = cls(np.zeros(shape, np.int32), np.full(shape, -np.inf, np.float32))
        for at, (these, those) in enumerate(zip(ids, logprobs, strict=True)):
            found.ids[at, : len(these)], found.logprobs[at, : len(those)] = these, those
        return found


@dataclass(frozen=True)
class TrainingRow:
    """An exchange that the teacher answered: OpenAI-shaped `messages`, the teacher's text, how it ended; `params`: what
    else was asked.

    `reference`: drawn at one rate whatever its route, so that it stands for traffic. Under a champion the teacher
    answers the others because they are difficult. `correction`: what people say is right instead; `disowned` and
    `confirmed`: the answer that was given, where they say that it is wrong, or good. `draft`: what a student has
    answered, whole. `weight`: by how much it counts among rows that teach. `rationale`: what the teacher thought,
    `targets`: what it said of the completion's tokens, where a student learns from that as well. `put_right`: the
    completion is not what was recorded, but what the teacher said when it was asked again.
    """

    exchange_id: str
    messages: tuple[dict[str, Any], ...]
    completion: str
    finish_reason: str | None
    reference: bool = True
    params: Mapping[str, Any] = field(default_factory=dict)
    correction: str | None = None
    disowned: str | None = None
    confirmed: str | None = None
    draft: str | None = None
    weight: float = 1.0
    rationale: str | None = None
    targets: Targets | None = None
    put_right: bool = False

    @property
    def corrected(self) -> "TrainingRow":
        """With the word of people in the place of the teacher's, where there is one."""
        if self.correction is None:
            return self
        return replace(self, completion=self.correction, finish_reason="stop")

    @property
    def wrong(self) -> bool:
        """Whether people say so of the completion."""
        return self.completion == self.disowned

    @property
    def truth(self) -> str | None:
        """What people say is right: their own words, or the answer that they have called good."""
        return self.correction if self.correction is not None else self.confirmed

    @property
    def vouched(self) -> bool:
        """Whether people say of the completion that it is right."""
        return self.completion == self.truth

    @property
    def variable_text(self) -> str:
        """The part of a task's prompt that changes."""
        return variable_text(self.messages)


def as_student_reads(messages: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Messages under the one role that chat templates know for a developer's."""
    return tuple({**said, "role": "system" if said["role"] == "developer" else said["role"]} for said in messages)
