"""What is said of a champion's references: by a rule at once, by a judge in the background, and heard in order."""

import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from calibration.agreement import disagreement
from calibration.question import By, Judge, Pair, settled
from distill.background import in_background
from distill.errors import DistillError
from distill.gateway import GatewayAway, GatewaySlow
from distill.judge import BATCH, AskJudge, Requests, ask_once
from ledger import verdicts
from ledger.queries import Answer
from ledger.texts import variable_text

RETRY_S = 60.0  # after a judge, or the gateway, that did not answer
GIVEN_UP_S = 3600.0  # after it was first asked: then a verdict that cannot be had counts as a disagreement
Ask = Callable[[str, Judge, Requests], list[str | None]]  # (task, judge, requests) -> its words
log = logging.getLogger(__name__)


def heard(engine: sa.Engine, answers: Sequence[Answer], *, by: By) -> list[tuple[Answer, float | None]]:
    """Each answer with its d where it is a reference. With a judge they end at the first reference whose verdict is
    still to come, as they do at a label that is on its way."""
    if not isinstance(by, Judge):
        return [
            (each, disagreement(each.text, each.teacher_text, measure=by) if each.reference else None)
            for each in answers
        ]
    known = verdicts.known(engine, by.fingerprint, [each.exchange_id for each in answers if each.reference])
    found: list[tuple[Answer, float | None]] = []
    for each in answers:
        differs = _settled(each)
        if differs is None:
            differs = known.get(each.exchange_id)
        if each.reference and differs is None:
            break
        found.append((each, float(bool(differs)) if each.reference else None))
    return found


@dataclass(frozen=True)
class _Batch:
    """References by exchange id, and what the judge says of them."""

    judge: Judge
    pairs: dict[str, Pair]
    said: Future[list[bool | None]]


class Verdicts:
    """Asks in the background, one batch a task: the worker looks in now and then. `clock`: seconds that no clock set
    back makes fewer."""

    def __init__(self, engine: sa.Engine, ask: Ask, *, clock: Callable[[], float]) -> None:
        self._engine, self._ask, self._clock = engine, ask, clock
        self._under_way: dict[str, _Batch] = {}
        self._since: dict[str, dict[str, float]] = {}  # task -> exchange without a verdict -> when it was first asked
        self._not_before: dict[str, float] = {}

    def look(self, task: str, judge: Judge, answers: Sequence[Answer], *, now: float) -> None:
        """Keep what has been said, at `now` in seconds since the epoch, and ask about the first references that have
        no verdict; `answers`: of the champion or the canary, not heard yet."""
        if (batch := self._under_way.get(task)) is not None:
            if not batch.said.done():
                return
            del self._under_way[task]
            self._keep(task, batch, now=now)
        if self._clock() >= self._not_before.get(task, -math.inf):
            self._begin(task, judge, answers)

    def _begin(self, task: str, judge: Judge, answers: Sequence[Answer]) -> None:
        unsettled = [each for each in answers if each.reference and _settled(each) is None]
        known = verdicts.known(self._engine, judge.fingerprint, [each.exchange_id for each in unsettled])
        chosen = {each.exchange_id: each for each in unsettled if each.exchange_id not in known}
        ids = list(chosen)[:BATCH]
        if not ids:
            return
        messages = verdicts.messages_of(self._engine, ids)
        pairs = {i: Pair(variable_text(messages[i]), chosen[i].text, chosen[i].teacher_text) for i in ids}
        ask: AskJudge = partial(self._ask, task)
        work = partial(ask_once, list(pairs.values()), judge=judge, ask=ask)
        first, at = self._since.get(task, {}), self._clock()
        self._since[task] = {**dict.fromkeys(ids, at), **first}  # of a canary's too, while a champion's are asked about
        self._under_way[task] = _Batch(judge, pairs, in_background(work, name=f"judge {task}"))

    def _keep(self, task: str, batch: _Batch, *, now: float) -> None:
        """A judge that says nothing readable is asked again; a gateway that is away has asked nobody."""
        self._not_before[task] = self._clock() + RETRY_S
        try:
            said = dict(zip(batch.pairs, batch.said.result(), strict=True))
        except DistillError as error:
            log.warning("the judge of %s gave no verdicts: %s", task, error)
            if isinstance(error, GatewayAway) and not isinstance(error, GatewaySlow):
                self._since[task] = {}  # nobody was asked
                return
            said = dict.fromkeys(batch.pairs)
        since, given_up = self._since[task], self._clock() - GIVEN_UP_S
        found = {i: verdict for i, verdict in said.items() if verdict is not None}
        late = [i for i in said if i not in found and since[i] <= given_up]
        verdicts.add(self._engine, batch.judge.fingerprint, found | dict.fromkeys(late, True), now=now)
        self._since[task] = {i: first for i, first in since.items() if i not in found and i not in late}
        if late:
            log.warning("%d references of %s got no verdict in an hour: they count as disagreements", len(late), task)
        if len(found) + len(late) < len(said):
            log.warning("the judge of %s gave %d of %d verdicts", task, len(found), len(said))
        else:
            del self._not_before[task]


def _settled(answer: Answer) -> bool | None:
    return settled(Pair("", answer.text, answer.teacher_text))
