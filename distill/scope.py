"""Which requests a release may answer at all, by what they are: fixed before the labels of its window are seen, and
asked of every request by the gateway (`router.cascade`) as here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from calibration.familiar import Familiar
from distill.lessons import Lessons
from distill.rows import TrainingRow
from ledger.modes import decoding_mode
from ledger.records import Draft
from ledger.texts import variable_text

Request = Mapping[str, Any]


def familiar_with(lessons: Lessons, *, share: float, seed: int) -> Familiar:
    """What has taught and validated, and as much likeness to it as all fit rows but this share have."""
    taught = Familiar.with_all_of((row.variable_text for row in (*lessons.train, *lessons.validate)), seed=seed)
    return taught.but(share, of=[row.variable_text for row in lessons.fit])


@dataclass(frozen=True)
class Scope:
    """Decoding `modes`, and what is like its lessons; None: whatever is asked."""

    modes: frozenset[str]
    familiar: Familiar | None = None

    def decodes(self, request: Request) -> bool:
        """Whether it is asked for in one of the modes."""
        return decoding_mode(request) in self.modes

    def knows(self, messages: Sequence[Mapping[str, Any]]) -> bool:
        """Whether these are like anything that taught it."""
        return self.familiar is None or self.familiar.has(variable_text(messages))

    def has(self, row: TrainingRow) -> bool:
        """Whether the release may answer it."""
        return self.decodes(row.params) and self.knows(row.messages)

    def within(self, requests: Sequence[Request], drafts: Sequence[Draft | None]) -> list[Draft | None]:
        """The drafts of these; one of what it does not know carries no evidence, as the gateway asks for none."""
        return [
            draft if draft is None or self.knows(request["messages"]) else msgspec.structs.replace(draft, evidence={})
            for request, draft in zip(requests, drafts, strict=True)
        ]
