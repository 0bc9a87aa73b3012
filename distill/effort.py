"""What a release's drafts take beside its teacher's answers: seconds, tokens, and dollars at the certified threshold.

Told with a release. No test, no threshold and no promotion reads any of it: whether a student pays is asked before it
is trained (`distill.worth`), and the canary judges latency on live traffic (docs/decisions/0044).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from distill.anchor import Seen
from ledger.prices import Price
from ledger.records import Draft, Usage
from ledger.replies import Reply

MIDDLE, SLOW = 0.5, 0.95


@dataclass(frozen=True)
class Side:
    """Means of the tokens of `rows` answers, and quantiles of the seconds of `timed` ones; None of none."""

    rows: int
    prompt_tokens: float | None
    answer_tokens: float | None
    timed: int
    p50_s: float | None
    p95_s: float | None


@dataclass(frozen=True)
class Effort:
    """Drafts, made under the load of an evaluation, and the teacher's answers to the same requests, as they were
    recorded under whatever load there was. `of`: which rows of the evaluation these are."""

    of: str
    student: Side
    teacher: Side


@dataclass(frozen=True)
class Dollars:
    """US dollars a request, means of `rows`: the teacher alone; with the student, its drafts, the teacher's answers to
    what escalates, and its labels of the references among what the student answers."""

    rows: int
    teacher_alone: float
    drafts: float
    escalated: float
    references: float

    @property
    def total(self) -> float:
        """With the student."""
        return self.drafts + self.escalated + self.references


@dataclass(frozen=True)
class Expected:
    """At the certified threshold, of requests like the window's `rows`: the share that escalates, and dollars, None
    where those of no row are known. `rho`: the share of references."""

    rows: int
    escalation: float
    rho: float
    dollars: Dollars | None


def effort(of: str, drafts: Sequence[tuple[str, Draft]], replies: Mapping[str, Reply]) -> Effort:
    """Of drafts with their exchange's id: those whose teacher has answered too where there are any, else all; seconds
    of those that were timed on both sides, likewise."""
    made = [(draft, replies.get(exchange_id)) for exchange_id, draft in drafts]
    counted = [(draft.usage, reply.usage) for draft, reply in made if reply and reply.usage.prompt_tokens]
    timed = [(draft.latency_s, reply.latency_s) for draft, reply in made if reply and reply.latency_s > 0.0]
    timed = [(mine_s, its_s) for mine_s, its_s in timed if mine_s > 0.0]
    mine = [usage for usage, _ in counted] or [draft.usage for draft, _ in made]
    mine_s = [each for each, _ in timed] or [draft.latency_s for draft, _ in made if draft.latency_s > 0.0]
    return Effort(of, _side(mine, mine_s), _side([usage for _, usage in counted], [each for _, each in timed]))


def expected(
    seen: Seen, *, threshold: float, replies: Mapping[str, Reply], price: Price | None, rho: float
) -> Expected:
    """By the rows that a certificate was tested on; what was forgotten since counts in a certificate against it, and
    costs nobody anything.

    Every row by itself: what escalates may be longer than what does not. The teacher's dollars are its recorded tokens
    at its `price` in force, or those recorded where either is unknown; the drafts' come with them, those of unfamiliar
    requests too, which the gateway does not ask for: they are an upper bound.
    """
    rows = [
        (row.score >= threshold, draft.cost_usd if draft else 0.0, _usd(replies.get(asked.exchange_id), price))
        for asked, row, draft in zip(seen.window, seen.rows, seen.drafts, strict=True)
    ]
    priced = [(accepted, draft_usd, usd) for accepted, draft_usd, usd in rows if usd is not None]
    escalation = sum(not accepted for accepted, _, _ in rows) / len(rows)
    return Expected(len(rows), escalation, rho, _dollars(priced, rho=rho) if priced else None)


def _dollars(rows: Sequence[tuple[bool, float, float]], *, rho: float) -> Dollars:
    n = len(rows)
    return Dollars(
        rows=n,
        teacher_alone=sum(usd for _, _, usd in rows) / n,
        drafts=sum(draft_usd for _, draft_usd, _ in rows) / n,
        escalated=sum(usd for accepted, _, usd in rows if not accepted) / n,
        references=rho * sum(usd for accepted, _, usd in rows if accepted) / n,
    )


def _usd(reply: Reply | None, price: Price | None) -> float | None:
    """None where nothing tells: a recorded 0 is that of a log without costs."""
    if reply is not None and price is not None and reply.usage.prompt_tokens:
        return price.cost(reply.usage)
    return (reply.cost_usd or None) if reply else None


def _side(usages: Sequence[Usage], latencies_s: Sequence[float]) -> Side:
    return Side(
        rows=len(usages),
        prompt_tokens=_mean([usage.prompt_tokens for usage in usages]),
        answer_tokens=_mean([usage.completion_tokens for usage in usages]),
        timed=len(latencies_s),
        p50_s=_quantile(latencies_s, MIDDLE),
        p95_s=_quantile(latencies_s, SLOW),
    )


def _mean(counts: Sequence[int]) -> float | None:
    return sum(counts) / len(counts) if counts else None


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None
