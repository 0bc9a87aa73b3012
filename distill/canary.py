"""A release on trial: rolled back as soon as it fails more often or is slower than what serves beside it, promoted when
enough requests say nothing against it; and a champion in the first hours after its promotion.

Everything is judged from the ledger, at numbers of requests that are fixed beforehand, so that a worker that is killed
and begins anew comes to the same. Time in which the engine was away is left out, as far as this worker has seen it;
where hardly anybody asks, the time of a trial is what this worker has seen of it.

Failures are a release's fault where they go on: an engine that has just come lacks the adapters until somebody has
loaded them there, and its share of the drafts fails, whatever the release.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import sqlalchemy as sa

from calibration.canary import FIRST_LOOK, Limits, Side, fails_more, is_slower, level, looks, p95
from calibration.words import percent
from ledger import trials
from ledger.releases import Release
from ledger.trials import Asked

BLOCK = 50  # requests that a new champion is judged by at a time
BEFORE = 1000  # answers that those of a new champion are compared with
LATER = 20  # requests: if no more of them fail than are borne, what failed before is over
LASTING_S = 30.0  # from the last failure: by then the loader has seen an engine that has come, and loaded it
SETTLED_S = 60.0  # from a request's arrival: by then it is recorded, though a student and a teacher were waited for
AWAY_S = 10.0  # without an answer, until an engine was away: one that misses a question may be busy with what is judged


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


@dataclass(frozen=True)
class _Seen:
    """Of a canary: it is judged by what has arrived `since` then. So many `looks` were taken in all, and so many of
    them, since then, have found nothing."""

    since: float
    looks: int = 0
    passed: int = 0


@dataclass(frozen=True)
class _Against:
    """What speaks against a release, in words, and whether it `goes_on`: None where that is not known yet. Where it
    does not, it is judged by what arrives from `over_at` on."""

    words: str
    goes_on: bool | None
    over_at: float


class Trials:
    """Looks at canaries and at new champions; keeps what it has seen of each."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._canaries: dict[tuple[str, float], _Seen] = {}  # release, beginning
        self._blocks: dict[tuple[str, float], tuple[int, int]] = {}  # the same -> blocks, the number behind the last
        self._before: dict[tuple[str, float], list[float]] = {}
        self._began: dict[tuple[str, float], float] = {}  # release, beginning -> when it was first looked at
        self._doubted: dict[tuple[str, float], str] = {}  # the same of champions -> what speaks against it, if it lasts

    def look(self, canary: Release, champion: Release | None, *, rules: Rules, began: float, now: float) -> Judgement:
        """Judge a canary by what it was asked since it `began`. Times are seconds since the epoch."""
        key = canary.name, began
        asked = trials.count(self._engine, canary.name, since=began)
        # With hardly any, the engine was there for all of that time, as far as this worker has seen: to wait on would
        # keep the task from the next release for as long as the certificate holds, and a champion is watched too.
        begins = canary.changed_at if asked >= FIRST_LOOK else self._began.setdefault(key, now)
        overdue = now - begins >= rules.max_s
        against, asked_since = self._against(canary, champion, rules=rules, began=began, now=now, overdue=overdue)
        if against:
            if against.goes_on or overdue:
                return Judgement("roll back", against.words)
            return Judgement("wait", f"{against.words}: if that goes on, {canary.name} is rolled back")
        if overdue and not asked:
            return Judgement("promote", "its time on trial is over, and no request was its: it is watched from now on")
        if overdue or asked_since >= rules.min_requests:
            beside = champion.name if champion else "the teacher"
            return Judgement(
                "promote", f"{asked_since} requests on trial: it fails no more often than {beside} and is no slower"
            )
        return Judgement("wait", in_words(canary, asked_since, rules=rules))

    def _against(
        self, canary: Release, champion: Release | None, *, rules: Rules, began: float, now: float, overdue: bool
    ) -> tuple[_Against | None, int]:
        """All looks that are due, until one finds something that is not over; and of how many requests. What is over is
        left out from then on."""
        key = canary.name, began
        while True:
            seen = self._canaries.get(key, _Seen(began))
            asked = trials.count(self._engine, canary.name, since=seen.since)
            due = [size for size in looks(rules.min_requests) if size <= asked]
            if overdue and 0 < asked < rules.min_requests:
                due.append(asked)
            if seen.passed >= len(due):
                return None, asked
            number, size = seen.looks + 1, due[seen.passed]
            mine = trials.asked(self._engine, canary.name, since=seen.since, limit=size)
            found = self._worse(canary, champion, mine, limits=rules.limits, at=level(number), now=now)
            if found and found.goes_on is not False:
                return found, asked
            passed = replace(seen, looks=number, passed=seen.passed + 1)
            self._canaries[key] = _Seen(found.over_at, looks=number) if found else passed

    def _worse(
        self, canary: Release, champion: Release | None, mine: Sequence[Asked], *, limits: Limits, at: float, now: float
    ) -> _Against | None:
        """What these requests of its say against it, beside those that others answered from the first of them to the
        last."""
        seqs = mine[0].seq, mine[-1].seq
        theirs = trials.asked(self._engine, champion.name, seqs=seqs, limit=None) if champion else None
        beside = champion.name if champion else "the teacher"
        if words := _failing(mine, theirs, beside=beside, limits=limits, at=at):
            return self._lasting(canary, mine, words=words, left=theirs is not None, limits=limits, now=now)
        if theirs is None:
            others_s = trials.teachers_latencies(self._engine, canary.task, seqs=seqs)
        else:
            others_s = trials.latencies(theirs)
        words = _slow(mine, others_s, beside=beside, limits=limits, at=at)
        return _Against(words, goes_on=True, over_at=now) if words else None

    def _lasting(
        self, release: Release, mine: Sequence[Asked], *, words: str, left: bool, limits: Limits, now: float
    ) -> _Against:
        """Whether failures among `mine` go on: told by the first that arrive some time after the last of them, when all
        of these are recorded, so that it is the same whenever it is asked."""
        over_at = max(each.at for each in mine if _failed(each, left=left)) + LASTING_S
        later = trials.first(self._engine, release.name, since=over_at, limit=LATER)
        if sum(_failed(each, left=left) for each in later) > limits.errors * LATER:
            return _Against(words, goes_on=True, over_at=over_at)
        settled = len(later) == LATER and now - later[-1].at >= SETTLED_S
        return _Against(words, goes_on=False if settled else None, over_at=over_at)

    def relapse(self, champion: Release, *, rules: Rules, began: float, now: float) -> str | None:
        """What speaks against a champion so soon after its promotion, None where nothing does.

        Nothing is served beside it: its errors are compared with what is borne, its latency with that of what answered
        before it. Failures that are over are no reason, and whether they are is waited for.
        """
        key, limits = (champion.name, began), rules.limits
        if rules.share >= 1.0 or now - champion.changed_at >= rules.max_s:
            return self._doubted.pop(key, None)  # what is not known to be over when nobody looks any more
        while True:
            number, behind = self._blocks.get(key, (0, 0))
            block = trials.asked(self._engine, champion.name, since=began, seqs=(behind, None), limit=BLOCK)
            if len(block) < BLOCK:
                return None
            at = level(number + 1)
            if words := _failing(block, None, limits=limits, at=at):
                found = self._lasting(champion, block, words=words, left=False, limits=limits, now=now)
                if found.goes_on is None:
                    self._doubted[key] = found.words
                    return None
                self._doubted.pop(key, None)
                if found.goes_on:
                    return found.words
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


class Absence:
    """When the engine was away, by whoever asks it every few seconds."""

    def __init__(self) -> None:
        self.until = -math.inf  # seconds since the epoch
        self._missed: tuple[float, float] | None = None  # the first and the last of the answers missing in a row

    def answered(self) -> None:
        """It is there."""
        self._missed = None

    def missed(self, now: float) -> None:
        """No answer."""
        first, last = self._missed or (now, now)
        first = now if now - last > 3.0 * AWAY_S else first  # nobody has asked in between
        self._missed = first, now
        if now - first >= AWAY_S:
            self.until = now


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


def _side(requests: Sequence[Asked], *, left: bool) -> Side:
    failed = sum(_failed(each, left=left) for each in requests)
    return Side(len(requests), failed, trials.latencies(requests))


def _failed(request: Asked, *, left: bool) -> bool:
    return request.failed or (left and request.left)
