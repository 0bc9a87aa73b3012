"""A release on trial: rolled back as soon as it fails more often or is slower than what serves beside it, promoted when
enough requests say nothing against it; and a champion in the first hours after its promotion.

Everything is judged from the ledger, at numbers of requests that are fixed beforehand, so that a worker that is killed
and begins anew comes to the same. Time in which the engine was away is left out, as far as this worker has seen it;
where hardly anybody asks, the time of a trial is what this worker has seen of it.

Failures are a release's fault where they go on: an engine that has just come lacks the adapters until somebody has
loaded them there, and its share of the drafts fails, whatever the release.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import sqlalchemy as sa

from calibration.canary import FIRST_LOOK, Limits, Side, fails_more, is_slower, level, looks, p95
from calibration.words import percent
from ledger import trials
from ledger.releases import Release
from ledger.trials import Asked

BLOCK = 50  # requests that a new champion is judged by at a time
BEFORE = 1000  # answers that those of a new champion are compared with
RECENT = 10  # requests: if no more of them failed than are borne, what failed before is over
LASTING_S = 20.0  # from a first failure: by then the loader has seen an engine that has come, and loaded it


@dataclass(frozen=True)
class Rules:
    """`share` of the conversations, 1 for no trial; `max_s`: how long it lasts at most, and how long a champion is
    watched after its promotion."""

    share: float
    min_requests: int
    max_s: float
    limits: Limits


@dataclass(frozen=True)
class Judgement:
    """What is to be done with a canary, and why in words."""

    action: Literal["promote", "roll back", "wait"]
    reason: str


class Trials:
    """Looks at canaries and at new champions; keeps what it has seen of each."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._looked: dict[tuple[str, float], int] = {}  # release, beginning -> looks that found nothing
        self._blocks: dict[tuple[str, float], tuple[int, int]] = {}  # the same -> blocks, the number behind the last
        self._before: dict[tuple[str, float], list[float]] = {}
        self._seen: dict[tuple[str, float], float] = {}  # release, beginning -> when it was first looked at

    def look(self, canary: Release, champion: Release | None, *, rules: Rules, began: float, now: float) -> Judgement:
        """Judge a canary by what it was asked since it `began`. Times are seconds since the epoch."""
        asked = trials.count(self._engine, canary.name, since=began)
        due = [size for size in looks(rules.min_requests) if size <= asked]
        key = canary.name, began
        # With hardly any, the engine was there for all of that time, as far as this worker has seen: to wait on would
        # keep the task from the next release for as long as the certificate holds, and a champion is watched too.
        begins = canary.changed_at if asked >= FIRST_LOOK else self._seen.setdefault(key, now)
        overdue = now - begins >= rules.max_s
        if overdue and 0 < asked < rules.min_requests:
            due.append(asked)
        for number, size in islice(enumerate(due, 1), self._looked.get(key, 0), None):
            worse = self._worse(canary, champion, limits=rules.limits, began=began, size=size, at=level(number))
            if worse and (worse[1] or overdue):
                return Judgement("roll back", worse[0])
            if worse:
                return Judgement("wait", f"{worse[0]}: if that goes on, {canary.name} is rolled back")
            self._looked[key] = number
        if overdue and not asked:
            return Judgement("promote", "its time on trial is over, and no request was its: it is watched from now on")
        if overdue or asked >= rules.min_requests:
            beside = champion.name if champion else "the teacher"
            return Judgement(
                "promote", f"{asked} requests on trial: it fails no more often than {beside} and is no slower"
            )
        return Judgement("wait", in_words(canary, asked, rules=rules))

    def _worse(
        self, canary: Release, champion: Release | None, *, limits: Limits, began: float, size: int, at: float
    ) -> tuple[str, bool] | None:
        """What its first `size` requests say against it, beside those that others answered from the first of these to
        the last; and whether that is known to go on."""
        mine = trials.asked(self._engine, canary.name, since=began, limit=size)
        seqs = mine[0].seq, mine[-1].seq
        theirs = trials.asked(self._engine, champion.name, seqs=seqs, limit=None) if champion else None
        beside = champion.name if champion else "the teacher"
        if words := _failing(mine, theirs, beside=beside, limits=limits, at=at):
            left = theirs is not None
            later = trials.asked(self._engine, canary.name, since=_seen_again_at(mine, left=left), limit=None)
            if (goes_on := _goes_on(later, left=left, limits=limits)) is not False:
                return words, bool(goes_on)
        if theirs is None:
            others_s = trials.teachers_latencies(self._engine, canary.task, seqs=seqs)
        else:
            others_s = trials.latencies(theirs)
        words = _slow(mine, others_s, beside=beside, limits=limits, at=at)
        return (words, True) if words else None

    def relapse(self, champion: Release, *, rules: Rules, began: float, now: float) -> str | None:
        """What speaks against a champion so soon after its promotion, None where nothing does.

        Nothing is served beside it: its errors are compared with what is borne, its latency with that of what answered
        before it. Failures that are over are no reason, and whether they are is waited for.
        """
        if rules.share >= 1.0 or now - champion.changed_at >= rules.max_s:
            return None
        key = champion.name, began
        while True:
            number, behind = self._blocks.get(key, (0, 0))
            block = trials.asked(self._engine, champion.name, since=began, seqs=(behind, None), limit=BLOCK)
            if len(block) < BLOCK:
                return None
            limits, at = rules.limits, level(number + 1)
            if words := _failing(block, None, limits=limits, at=at):
                since = _seen_again_at(block, left=False)
                recent = trials.newest(self._engine, champion.name, since=since, limit=RECENT)
                if (goes_on := _goes_on(recent, left=False, limits=limits)) is not False:
                    return words if goes_on else None
            if words := _slow(block, self._answered_before(champion), limits=limits, at=at):
                return words
            self._blocks[key] = number + 1, block[-1].seq + 1

    def _answered_before(self, champion: Release) -> list[float]:
        key = champion.name, champion.changed_at
        if key not in self._before:
            self._before[key] = trials.latencies_before(
                self._engine, champion.task, but=champion.name, until=champion.changed_at, limit=BEFORE
            )
        return self._before[key]


def in_words(canary: Release, asked: int, *, rules: Rules) -> str:
    """How far a trial is."""
    words = (
        f"{canary.name} answers {percent(rules.share)} of the conversations: {asked} of {rules.min_requests} requests"
    )
    return words if asked else f"{words}; do all conversations begin alike? x-tutelage-conversation tells them apart"


def _failing(
    mine: Sequence[Asked], theirs: Sequence[Asked] | None, *, limits: Limits, at: float, beside: str = ""
) -> str | None:
    """That too many drafts of `mine` failed. That clients leave before there is a draft counts where that of others
    does too."""
    trial, others = _side(mine, left=theirs is not None), None if theirs is None else _side(theirs, left=True)
    if not fails_more(trial, others, limits=limits, at=at):
        return None
    compared = f", {others.failed} of {others.asked} of {beside} in the same time" if others else ""
    return f"{trial.failed} of {trial.asked} drafts failed{compared}; {percent(limits.errors)} are borne"


def _slow(
    mine: Sequence[Asked],
    others_s: Sequence[float],
    *,
    limits: Limits,
    at: float,
    beside: str = "what answered before",
) -> str | None:
    """That the answers among `mine` take too long."""
    trial = _side(mine, left=False)
    if not is_slower(trial, Side(len(others_s), 0, others_s), limits=limits, at=at):
        return None
    return (
        f"95 of 100 of its answers come within {p95(trial.latencies_s):.3g} s, of {beside} within "
        f"{p95(others_s):.3g} s; {limits.slowdown:g} times as long is borne"
    )


def _seen_again_at(requests: Sequence[Asked], *, left: bool) -> float:
    """From when on requests tell whether the failures among these go on."""
    return min(each.at for each in requests if _failed(each, left=left)) + LASTING_S


def _goes_on(later: Sequence[Asked], *, left: bool, limits: Limits) -> bool | None:
    """Whether too many go on to fail; None where too few have come to say so."""
    if sum(_failed(each, left=left) for each in later) > limits.errors * len(later):
        return True
    return False if len(later) >= RECENT else None


def _side(requests: Sequence[Asked], *, left: bool) -> Side:
    failed = sum(_failed(each, left=left) for each in requests)
    return Side(len(requests), failed, trials.latencies(requests))


def _failed(request: Asked, *, left: bool) -> bool:
    return request.failed or (left and request.left)
