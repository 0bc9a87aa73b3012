"""Has the teacher silently changed? A few recorded requests are asked again every day, at temperature 0.

A provider may put another model behind a name. The certificate is one of agreement with the teacher as it was, and
references would notice only as fast as the student differs. The first time they are also asked as clients have asked
them, and compared with what clients were answered: that is how well the teacher agrees with itself.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from calibration.agreement import Measure, disagreement
from calibration.teacher import Repeats, changed
from distill.background import in_background
from distill.errors import DistillError
from ledger import probes
from ledger.probes import Question, Round

QUESTIONS = 30
RETRY_S = 3600.0  # after a round that the teacher, or the gateway, did not answer
Answers = list[str | None]
Ask = Callable[[str, Sequence[Mapping[str, Any]]], Answers]  # (task, requests) -> the teacher's answers
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probed:
    """Whose teacher is asked how: `teacher` as the ledger names it, its `model` as the settings do, every so many
    seconds."""

    task: str
    teacher: str
    model: str
    measure: Measure
    every_s: float


class Probes:
    """Asks in the background, one task at a time: the worker looks in now and then."""

    def __init__(self, engine: sa.Engine, ask: Ask, *, clock: Callable[[], float]) -> None:
        self._engine, self._ask, self._clock = engine, ask, clock
        self._under_way: dict[str, tuple[list[Question], Future[Answers]]] = {}
        self._not_before: dict[str, float] = {}

    def look(self, probed: Probed) -> str | None:
        """Begin a round where one is due, take in what is answered; how the teacher has changed, if it has."""
        if (under_way := self._under_way.get(probed.task)) is None:
            self._begin(probed)
            return None
        if not under_way[1].done():
            return None
        del self._under_way[probed.task]
        return self._take_in(probed, *under_way)

    def forget(self, task: str) -> None:
        """Begin anew with the next champion: what was asked before was asked of a teacher, or by a measure, of before.

        Called once the champion is voided: a change that is forgotten before that would be forgiven.
        """
        probes.forget(self._engine, task)
        self._under_way.pop(task, None)
        self._not_before.pop(task, None)

    def _begin(self, probed: Probed) -> None:
        task = probed.task
        if self._clock() < self._not_before.get(task, -math.inf):
            return
        past = probes.history(self._engine, task, teacher=probed.model)
        if past and past[-1].at <= self._clock() < past[-1].at + probed.every_s:  # a clock set back delays nothing
            self._not_before[task] = past[-1].at + probed.every_s
            return
        known = probes.asked(self._engine, task, teacher=probed.model)
        questions = known or probes.newest_answered(self._engine, task, by=probed.teacher, limit=QUESTIONS)
        recorded = [{**each.params, "messages": each.messages} for each in questions]
        requests = [*([] if known else recorded), *({**each, "temperature": 0} for each in recorded)]
        self._under_way[task] = questions, in_background(partial(self._ask, task, requests), name=f"probe {task}")

    def _take_in(self, probed: Probed, questions: list[Question], answers: Future[Answers]) -> str | None:
        task, now = probed.task, self._clock()
        self._not_before[task] = now + RETRY_S
        try:
            told = answers.result()
        except DistillError as error:
            log.warning("the teacher of %s was not probed: %s", task, error)
            return None
        if 2 * sum(text is not None for text in told) < max(1, len(told)):
            log.warning("the teacher of %s answered too few of %d probes", task, len(told))
            return None
        self._not_before[task] = now + probed.every_s
        # As clients asked, in the first round alone, and at temperature 0.
        as_asked, at_zero = told[: len(told) - len(questions)], told[len(told) - len(questions) :]
        if as_asked:
            first = {q.exchange_id: text for q, text in zip(questions, at_zero, strict=True) if text is not None}
            found = Round(now, _repeats(questions, as_asked, measure=probed.measure))
            probes.begin(self._engine, task, teacher=probed.model, answers=first, first=found)
            return None
        past = [each.repeats for each in probes.history(self._engine, task, teacher=probed.model)]
        found = Round(now, _repeats(questions, at_zero, measure=probed.measure))
        # As clients ask a teacher repeats itself less often: that counts only where nothing else is known.
        return self._compare(probed, found, before=sum(past[1:] or past, Repeats()))

    def _compare(self, probed: Probed, found: Round, *, before: Repeats) -> str | None:
        now = found.repeats
        if not changed(before, now):
            probes.add(self._engine, probed.task, teacher=probed.model, found=found)
            return None
        del self._not_before[probed.task]  # should the champion outlive this, the teacher is asked again at once
        return (
            f"the teacher {probed.model} has changed: it repeats {now.agreed} of {now.asked} answers that it gave "
            f"before, and repeated {before.agreed} of {before.asked} until now"
        )


def _repeats(questions: Sequence[Question], answers: Answers, *, measure: Measure) -> Repeats:
    pairs = [(q.answer, text) for q, text in zip(questions, answers, strict=True) if text is not None]
    return Repeats(len(pairs), sum(not disagreement(text, before, measure=measure) for before, text in pairs))
