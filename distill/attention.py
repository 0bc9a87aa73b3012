"""Signs of drift that need no label: ADWIN over what every champion was asked, from its first draft on.

A worker that takes the lead reads them again from the first one, a page a look, in the order of their recording: it
comes to the same notices.
"""

from dataclasses import dataclass, field

import sqlalchemy as sa

from calibration.drift import Shift, Signals
from ledger.decisions import Decision
from ledger.drafts import Looked, since
from ledger.releases import Release

AT_ONCE = 10_000  # requests a look


@dataclass
class _Followed:
    release: str
    signals: Signals = field(default_factory=Signals)
    read: int = 0  # the number of the last request


class Attention:
    """Follows the champion of every task."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._followed: dict[str, _Followed] = {}

    def look(self, champion: Release) -> list[Decision]:
        """A notice for every shift among the requests that have come since the last look."""
        followed = self._followed.get(champion.task)
        if followed is None or followed.release != champion.name:
            followed = self._followed[champion.task] = _Followed(champion.name)
        notices = []
        for looked in since(self._engine, champion.name, after=followed.read, limit=AT_ONCE):
            followed.read = looked.seq
            for shift in _shifts(followed.signals, looked):
                notices.append(Decision(looked.at, champion.task, "notice", shift.signal, shift.words, champion.name))
        return notices


def _shifts(signals: Signals, looked: Looked) -> list[Shift]:
    if looked.score is None:
        return signals.add_unfamiliar()
    return signals.add(score=looked.score, prompt_tokens=looked.prompt_tokens or 0)
