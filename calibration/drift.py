"""Drift without labels: has something about a release's requests changed? It draws attention and guarantees nothing.

ADWIN (Bifet and Gavalda 2007, "Learning from time-changing data with adaptive windowing") on every signal: it keeps a
window of the newest values, and drops its older part where the means of the two differ at its level `LEVEL`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from river.drift import ADWIN

LEVEL = 0.002
TYPICAL_TOKENS = 64  # ADWIN wants values in [0, 1]: a prompt of so many tokens counts as one half
SIGNALS = ("score", "prompt length", "unfamiliarity")


@dataclass(frozen=True)
class Shift:
    """The mean of a signal in the window that ADWIN keeps, before its older part was dropped and after; in [0, 1]."""

    signal: str
    before: float
    after: float

    @property
    def words(self) -> str:
        """What has changed."""
        return f"the mean {self.signal} has gone from {self.before:.2f} to {self.after:.2f}"


class Signals:
    """The detectors of one release. Add its requests in their order."""

    def __init__(self) -> None:
        self._detectors: Mapping[str, ADWIN] = {signal: ADWIN(delta=LEVEL) for signal in SIGNALS}

    def add(self, *, score: float, prompt_tokens: int) -> list[Shift]:
        """What has changed with this draft: its score in [0, 1] and the tokens of its prompt."""
        length = prompt_tokens / (prompt_tokens + TYPICAL_TOKENS)
        found = (self._update(*pair) for pair in zip(SIGNALS, (score, length, 0.0), strict=True))
        return [shift for shift in found if shift]

    def add_unfamiliar(self) -> list[Shift]:
        """What has changed with a request that is unlike all that taught the release, so that it was not drafted."""
        shift = self._update("unfamiliarity", 1.0)
        return [shift] if shift else []

    def _update(self, signal: str, value: float) -> Shift | None:
        detector = self._detectors[signal]
        before = detector.estimation
        detector.update(value)
        return Shift(signal, before, detector.estimation) if detector.drift_detected else None
