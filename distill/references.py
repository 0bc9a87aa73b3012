"""What a release's references say, answer by answer: the alarm, and the live agreement of everything it has answered.

A worker that takes the lead reads its answers again from the first one, in the order of their recording.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import sqlalchemy as sa

from calibration.live import LiveAgreement
from calibration.monitor import Alarm, exposure, rise
from calibration.question import By, Judge
from calibration.words import percent
from distill.verdicts import heard
from ledger import live
from ledger.queries import Answer, answers_since

AT_ONCE = 10_000  # answers a reading
SERVED = 2  # of a task at once, a champion and a canary


@dataclass
class Followed:
    """One release as far as its answers are `read`, the number of the last one. `threshold`: of its certificate;
    `heard`: d of its references."""

    release: str
    threshold: float
    measure: By
    alarm: Alarm
    agreement: LiveAgreement | None = None
    since: float = 0.0
    heard: list[float] = field(default_factory=list)
    read: int = 0

    def add(self, answer: Answer, d: float | None) -> None:
        """One more answer; d of a reference, None of others."""
        self.read = answer.seq
        if self.agreement is None or answer.rho < self.agreement.rate:
            # The interval is made for a least rate: where the setting is lowered another one begins.
            self.agreement, self.since = LiveAgreement(answer.rho, self.threshold), answer.at
        self.agreement = self.agreement.after(answer.score, rate=answer.rho, disagreement=d)
        if d is not None:
            self.alarm = self.alarm.after(d)
            self.heard.append(d)

    def in_words(self) -> str:
        """What the alarm has heard."""
        last = rise(self.heard, alpha=self.alarm.alpha)
        counted = " by the judge's count" if isinstance(self.measure, Judge) else ""
        return (
            f"alarm: {sum(d > 0 for d in self.heard[-last:])} of the last {last} references disagree "
            f"({self.alarm.errors} of all {self.alarm.references} since it is in force), "
            f"the contract allows {percent(self.alarm.alpha)}{counted}"
        )


class References:
    """Follows what answers each task, and publishes what is shown of it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._followed: dict[str, dict[str, Followed]] = {}  # by task, the two that were looked at last

    def look(self, task: str, champion: Followed, *, due: float, go_on: Callable[[], bool]) -> Followed:
        """Read what has come since the last look, until the alarm sounds; `go_on` is asked between readings.

        `champion`: what to begin with, unless it is followed already. A reference whose request came before `due` has
        lost its label if it has none. One that a judge has not judged yet ends the reading.
        """
        known = self._followed.setdefault(task, {})
        followed = known.pop(champion.release, champion)
        self._followed[task] = dict([*known.items(), (champion.release, followed)][-SERVED:])
        while not followed.alarm.raised:
            answers = heard(self._engine, self.next(followed, due=due), by=followed.measure)
            for answer, d in answers:
                if not followed.alarm.raised:
                    followed.add(answer, d)
            self._publish(followed)
            if len(answers) < AT_ONCE or not go_on():
                break
        return followed

    def next(self, followed: Followed, *, due: float) -> list[Answer]:
        """The answers behind those that are read."""
        return answers_since(self._engine, followed.release, after=followed.read, due=due, limit=AT_ONCE)

    def _publish(self, followed: Followed) -> None:
        found = followed.agreement
        if found is None or found.estimate is None:
            return
        low, high = found.interval
        shown = live.Live(
            since=followed.since,
            answers=found.answers,
            references=found.references,
            errors=found.errors,
            agreement=found.estimate,
            low=low,
            high=high,
            alarm=followed.alarm.level,
            exposure=_exposure(followed.alarm.alpha, followed.alarm.bound, found.rate),
        )
        live.publish(self._engine, followed.release, shown)


@lru_cache(maxsize=256)
def _exposure(alpha: float, bound: float, rho: float) -> float | None:
    """If twice as many answers came to differ as the contract allows; None where the alarm would not sound."""
    wrong = exposure(alpha=alpha, bound=bound, risk=min(0.99, 2 * alpha), rho=rho)
    return wrong if math.isfinite(wrong) else None
