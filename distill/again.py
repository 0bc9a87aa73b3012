"""Suspected rows are put to their teacher again before they are left out: through the gateway, and within bounds.

What it says decides which rows teach, and what. The recorded rows stay as they are, and none that fits or certifies is
asked about (docs/decisions/0043).
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import sqlalchemy as sa

from distill.clusters import normalise
from distill.gateway import (
    ANSWERS_AT_ONCE,
    IN_WORDS,
    NO_BUDGET,
    RESERVED,
    GatewayClient,
    GatewayUnavailable,
    Reply,
    Request,
)
from distill.rows import TrainingRow
from ledger import teachers
from ledger.prices import dollars
from ledger.queries import mean_costs, task_rows
from ledger.records import Origin

ORIGIN: Origin = "curate"
REFUSED = "UpstreamRefused"  # of this request: says nothing of the next one
ITS_OWN = frozenset({REFUSED, "no text"})
NO_MONEY = {
    NO_BUDGET: "the budget has no room for another answer",
    RESERVED: IN_WORDS[RESERVED],  # which come first
    "BudgetUnavailable": "the budget cannot be checked",
}
UNSAID = frozenset({"stream", "stream_options", "store", "metadata", "logprobs", "top_logprobs"})  # of its client alone
Fate = Literal["put right", "repeated", "otherwise", "unanswered", "not asked"]


@dataclass(frozen=True)
class Bounds:
    """Of a run: at most so many `questions`, for at most so many US dollars."""

    questions: int
    usd: float


NOBODY = Bounds(0, 0.0)


class Watch(Protocol):
    """Who is told: what is done, and how far it is."""

    def step(self, words: str) -> None:
        """A step begins."""
        ...

    def advance(self, done: int, total: int) -> None:
        """It is at `done` of `total`."""
        ...


@dataclass(frozen=True)
class Suspect:
    """A row whose answer is doubted, and the label, normalised, that is `expected` in its place."""

    row: TrainingRow
    expected: str


@dataclass(frozen=True)
class Second:
    """Who is asked, within which `bounds`. `known`: what the teacher has said when it was asked before, by `key`;
    `usual_usd`: what an answer of it has cost, None where nothing tells; `spared`: exchanges not to ask about."""

    ask: Callable[[Sequence[Request]], list[Reply]]
    bounds: Bounds
    watch: Watch
    known: Mapping[str, Reply] = field(default_factory=dict)
    usual_usd: float | None = None
    spared: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Again:
    """What became of suspects, by exchange: `fates`. So many of them were `asked` now, for `usd`, and `known` from
    before; `ended`: why not all were."""

    fates: Mapping[str, Fate]
    asked: int
    known: int
    usd: float
    ended: str | None

    def of(self, fate: Fate) -> list[str]:
        """The exchanges with this fate."""
        return [exchange_id for exchange_id, each in self.fates.items() if each == fate]

    @property
    def words(self) -> str:
        """For whoever watches."""
        counts = Counter(self.fates.values())
        before = f", {self.known} had been answered before" if self.known else ""
        asked = f"the teacher was asked again about {self.asked} of {len(self.fates)} suspected rows for "
        found = f"{counts['put right']} put right, {counts['repeated']} repeated and kept"
        dropped = counts["otherwise"] + counts["unanswered"]
        told = f"{asked}{dollars(self.usd)}{before}: {found}, {dropped} dropped ({counts['unanswered']} unanswered)"
        return f"{told}; {counts['not asked']} dropped unasked: {self.ended}" if self.ended else told

    @property
    def facts(self) -> dict[str, Any]:
        """For a release's report."""
        counts = Counter(self.fates.values())
        named = {name: counts[name] for name in ("put right", "repeated", "otherwise", "unanswered", "not asked")}
        return {**named, "asked": self.asked, "known": self.known, "usd": self.usd, "words": self.words}


def second(
    engine: sa.Engine, gateway: GatewayClient, *, task: str, teacher: str, bounds: Bounds, watch: Watch
) -> Second | None:
    """The task's teacher, with what it has said before under its name and model; None where nobody is to be asked."""
    if not bounds.questions:
        return None
    with engine.connect() as connection:
        said = teachers.answers(connection, task, teacher=teacher)
    asked = [row for row in task_rows(engine, task, origins=(ORIGIN,)) if said.hold(row.answered_at, row.teacher)]
    known = {
        _key(row.messages, row.params): Reply(row.teacher_text, row.teacher_finish_reason)
        for row in asked
        if row.teacher_text is not None
    }
    usual_usd = mean_costs(engine, task, release="")[0] or None
    return Second(
        ask=lambda requests: gateway.replies(task, requests, origin=ORIGIN),
        bounds=bounds,
        watch=watch,
        known=known,
        usual_usd=usual_usd,
    )


def ask_again(suspects: Sequence[Suspect], second: Second) -> tuple[dict[str, TrainingRow], Again]:
    """Ask about them in their order; those that may teach after all, by exchange, and what became of each.

    A row whose answer the teacher repeats stays, since that is what it says; where it says what was expected instead,
    that takes the place of what was recorded. Raises nothing of the gateway: it ends there, with the reason.
    """
    meant = [each for each in suspects if each.row.exchange_id not in second.spared]
    keys = {each.row.exchange_id: _key(each.row.messages, _params(each.row)) for each in meant}
    known = {name: second.known[key] for name, key in keys.items() if key in second.known}
    new = [each.row for each in meant if each.row.exchange_id not in known]
    asking = _Asking(second, dearest=second.usual_usd)
    said = asking.put(new[: second.bounds.questions])
    if len(new) > second.bounds.questions and asking.ended is None:
        asking.ended = f"distill.ask_again allows {second.bounds.questions} questions a run"
    found = {each.row.exchange_id: _settled(each, {**known, **said}.get(each.row.exchange_id)) for each in meant}
    stay = {name: row for name, (_, row) in found.items() if row is not None}
    fates = {name: fate for name, (fate, _) in found.items()}
    return stay, Again(fates, asked=len(said), known=len(known), usd=asking.usd, ended=asking.ended)


def _settled(suspect: Suspect, reply: Reply | None) -> tuple[Fate, TrainingRow | None]:
    """The row as it may teach; None: it does not."""
    if reply is None:
        return "not asked", None
    if reply.text is None:
        return "unanswered", None
    row, now = suspect.row, normalise(reply.text)
    if reply.finish_reason != "stop":
        return "otherwise", None
    if now == normalise(row.completion):
        return "repeated", row
    righted = replace(row, completion=reply.text, finish_reason="stop", put_right=True)
    if now == suspect.expected and not righted.wrong:
        return "put right", righted
    return "otherwise", None


@dataclass
class _Asking:
    """Questions under way. `dearest`: the most that an answer has cost; `ended`: why there are no more."""

    second: Second
    dearest: float | None
    usd: float = 0.0
    at_zero: bool = True
    ended: str | None = None

    def put(self, rows: Sequence[TrainingRow]) -> dict[str, Reply]:
        """What is said of those that could be asked about, by exchange."""
        said: dict[str, Reply] = {}
        if rows:
            self.second.watch.step(f"asking the teacher again about {len(rows)} suspected rows")
        while len(said) < len(rows) and self.ended is None:
            part = rows[len(said) : len(said) + self._room()]
            if not part:
                self.ended = f"distill.ask_again_usd {self.second.bounds.usd:g} has no room for another answer"
                break
            try:
                replies = self._ask(part)
            except GatewayUnavailable as error:
                self.ended = str(error)
                break
            self.ended = _end(replies)
            said |= {row.exchange_id: reply for row, reply in zip(part, replies, strict=True)}
            self.second.watch.advance(len(said), len(rows))
        return said

    def _room(self) -> int:
        """For how many answers there are dollars; for one, where nothing tells what it costs."""
        if self.dearest is None:
            return 1
        if self.dearest == 0.0:
            return ANSWERS_AT_ONCE
        left = int((self.second.bounds.usd - self.usd) / self.dearest + 1e-9)
        return max(0, min(ANSWERS_AT_ONCE, left))

    def _ask(self, part: Sequence[TrainingRow]) -> list[Reply]:
        """At temperature 0, where the provider allows it: what it refuses is asked as its client has asked."""
        replies = self._paid([_request(row, at_zero=self.at_zero) for row in part])
        refused = [
            i for i, reply in enumerate(replies) if reply.error == REFUSED and "temperature" not in part[i].params
        ]
        if not self.at_zero or not refused:
            return replies
        others = self._paid([_request(part[i], at_zero=False) for i in refused])
        if any(reply.text is not None for reply in others):
            self.at_zero = any(reply.text is not None for reply in replies)
        for i, reply in zip(refused, others, strict=True):
            replies[i] = reply
        return replies

    def _paid(self, requests: Sequence[Request]) -> list[Reply]:
        replies = self.second.ask(requests)
        paid = [reply.usd for reply in replies if reply.text is not None or reply.usd]
        self.usd += sum(paid)
        if paid:
            self.dearest = max(self.dearest or 0.0, *paid)
        return replies


def _end(replies: Sequence[Reply]) -> str | None:
    """Why there is no use in asking more. One request that is refused, or fails among others, is no reason."""
    errors = [reply.error for reply in replies if reply.text is None and reply.error not in ITS_OWN]
    if no_money := next((NO_MONEY[error] for error in errors if error in NO_MONEY), None):
        return no_money
    silent = all(reply.text is None for reply in replies)
    return f"the teacher does not answer ({errors[0]})" if errors and silent else None


def _request(row: TrainingRow, *, at_zero: bool) -> dict[str, Any]:
    zero = {"temperature": 0} if at_zero else {}
    return {**_params(row), **zero, "messages": list(row.messages)}


def _params(row: TrainingRow) -> dict[str, Any]:
    return {name: value for name, value in row.params.items() if name not in UNSAID}


def _key(messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> str:
    """The same for the same question, at whatever temperature: a row that teaches was asked greedily, or as it came."""
    asked = {name: value for name, value in params.items() if name != "temperature"}
    return json.dumps([list(messages), asked], sort_keys=True)
