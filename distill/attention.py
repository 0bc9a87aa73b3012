"""Signs of drift that need no label: ADWIN over the drafts of every champion, from its first one on.

A worker that takes the lead reads them again from the first one, a page a look, in the order of their recording: it
comes to the same notices.
"""

from dataclasses import dataclass, field

import sqlalchemy as sa

from calibration.drift import Signals
from ledger.decisions import Decision
from ledger.queries import drafts_since
from ledger.releases import Release

AT_ONCE = 10_000  # drafts a look


@dataclass
class _Followed:
    release: str
    signals: Signals = field(default_factory=Signals)
    read: int = 0  # the number of the last draft


class Attention:
    """Follows the champion of every task."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._followed: dict[str, _Followed] = {}

    def look(self, champion: Release) -> list[Decision]:
        """A notice for every shift among the drafts that have come since the last look."""
        followed = self._followed.get(champion.task)
        if followed is None or followed.release != champion.name:
            followed = self._followed[champion.task] = _Followed(champion.name)
        notices = []
        for draft in drafts_since(self._engine, champion.name, after=followed.read, limit=AT_ONCE):
            followed.read = draft.seq
            for shift in followed.signals.add(score=draft.score, prompt_tokens=draft.prompt_tokens):
                notices.append(Decision(draft.at, champion.task, "notice", shift.signal, shift.words, champion.name))
        return notices
