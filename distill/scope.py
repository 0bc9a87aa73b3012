"""Which requests a release may answer at all, by what they are: fixed before the labels of its window are seen, and
asked of every request by the gateway (`router.cascade`) as here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from calibration.familiar import Familiar
from distill.lessons import Lessons
from distill.rows import TrainingRow
from ledger.familiar import knows
from ledger.modes import decoding_mode
from ledger.records import Draft

Request = Mapping[str, Any]


def familiar_with(lessons: Lessons, *, share: float, seed: int, before: Familiar | None = None) -> Familiar | None:
    """What has taught and validated, and what did `before`, and as much likeness to it as all fit rows but a share
    have. None where nothing teaches, or the share is 0: nobody asks."""
    texts = (row.variable_text for row in (*lessons.train, *lessons.validate))
    taught = Familiar.with_all_of(texts, seed=seed, before=before) if share else None
    return taught.but(share, of=[row.variable_text for row in lessons.fit]) if taught else None


def within(known: Familiar | None, requests: Sequence[Request], drafts: Sequence[Draft | None]) -> list[Draft | None]:
    """The drafts of these; one of what is not known carries no evidence, as the gateway asks for none."""
    return [
        draft if draft is None or knows(known, request["messages"]) else msgspec.structs.replace(draft, evidence={})
        for request, draft in zip(requests, drafts, strict=True)
    ]


@dataclass(frozen=True)
class Scope:
    """Decoding `modes`, and what is like its lessons; None: whatever is asked."""

    modes: frozenset[str]
    familiar: Familiar | None = None

    def decodes(self, request: Request) -> bool:
        """Whether it is asked for in one of the modes."""
        return decoding_mode(request) in self.modes

    def has(self, row: TrainingRow) -> bool:
        """Whether the release may answer it."""
        return self.decodes(row.params) and knows(self.familiar, row.messages)
