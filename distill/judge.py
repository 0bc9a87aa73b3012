"""A judge asked through the gateway about pairs of answers, each of them both ways round, at temperature 0.

It decides nothing about a contract by itself: how far its word goes is known from pairs that people have labelled
(`calibration.judged`), and without these no run begins.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from calibration.certificate import Contract, Refusal
from calibration.judged import rates
from calibration.question import By, Judge, Pair, flagged, question, settled
from distill.errors import DistillError
from distill.gateway import RETRY_PAUSES_S, GatewayAway
from ledger.verdicts import labelled

BATCH = 16  # pairs, of two questions each: so few that a judge of ten requests a minute answers in time
WORD_TOKENS = 1024  # of one word, and of what a judge that reasons thinks before it
MUTE = 8  # pairs in a row without a verdict: the judge is away, which says nothing of the student
Requests = Sequence[Mapping[str, Any]]
AskJudge = Callable[[Judge, Requests], list[str | None]]  # -> what it says to each, None where it says nothing


class JudgeMute(DistillError):
    """The judge gives no verdicts; what nobody has judged is no disagreement."""


class JudgeUnchecked(DistillError):
    """Too little is known of the judge to certify by its word; the message says what to do."""


def checked(engine: sa.Engine, contract: Contract, *, task: str, by: By) -> Contract:
    """The contract with what the labelled pairs say of its judge, where there is one. Raises JudgeUnchecked."""
    if not isinstance(by, Judge):
        return contract
    found = rates(labelled(engine, task, judge=by.fingerprint), delta=contract.delta)
    if isinstance(found, Refusal):
        raise JudgeUnchecked(f"the judge {by.name} of {task} cannot be used: {found.reason}")
    return replace(contract, judge=found)


def ask_once(pairs: Sequence[Pair], *, judge: Judge, ask: AskJudge) -> list[bool | None]:
    """Whether the answers of each pair differ; None where the judge has given no readable verdict.

    Nobody is asked about answers that are equal, or missing. Raises what `ask` does.
    """
    found = [settled(pair) for pair in pairs]
    open_ones = [i for i, verdict in enumerate(found) if verdict is None]
    for start in range(0, len(open_ones), BATCH):
        part = open_ones[start : start + BATCH]
        requests = [_request(judge, pairs[i], swapped=way) for i in part for way in (False, True)]
        words = ask(judge, requests)
        for i, both in zip(part, zip(words[::2], words[1::2], strict=True), strict=True):
            found[i] = flagged(both)
    return found


def ask_patiently(
    pairs: Sequence[Pair], *, judge: Judge, ask: AskJudge, progress: Callable[[int, int], None]
) -> list[bool | None]:
    """As `ask_once`, and what gets no verdict is asked again several times.

    Raises JudgeMute where the judge gives none at all any more, and GatewayUnavailable.
    """
    found: list[bool | None] = []
    for start in range(0, len(pairs), BATCH):
        found += _again(pairs[start : start + BATCH], judge, ask)
        last = [verdict for verdict, pair in zip(found, pairs, strict=False) if settled(pair) is None][-MUTE:]
        if len(last) == MUTE and not any(verdict is not None for verdict in last):
            raise JudgeMute(f"the judge {judge.name} gave no readable verdict {MUTE} times in a row: does it answer?")
        progress(len(found), len(pairs))
    return found


def _again(pairs: Sequence[Pair], judge: Judge, ask: AskJudge) -> list[bool | None]:
    found: list[bool | None] = [None] * len(pairs)
    for number, pause_s in enumerate(RETRY_PAUSES_S, 1):
        missing = [i for i, verdict in enumerate(found) if verdict is None]
        if not missing:
            break
        time.sleep(pause_s)
        try:
            said = ask_once([pairs[i] for i in missing], judge=judge, ask=ask)
        except GatewayAway:
            if number == len(RETRY_PAUSES_S):
                raise
            continue
        for i, verdict in zip(missing, said, strict=True):
            found[i] = verdict
    return found


def _request(judge: Judge, pair: Pair, *, swapped: bool) -> dict[str, Any]:
    return {"messages": question(judge, pair, swapped=swapped), "temperature": 0, "max_tokens": WORD_TOKENS}
