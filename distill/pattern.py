"""By what pattern a student learns from rows: from right answers alone, or also from what the teacher thought before
them, from how probable it called their tokens, or from wrong answers beside them.

Whatever the pattern, the rows are the same: a row that has a wrong answer beside its right one is a pair.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from calibration.agreement import disagreement
from calibration.question import By, Judge
from distill.align import NOTHING_TOLD, Aligned
from distill.errors import DistillError
from distill.rows import TrainingRow
from ledger.redaction import holds_placeholder

Pattern = Literal["response", "preference", "reasoning", "logit"]
Asked = Pattern | Literal["auto"]
MIN_PAIRS = 64  # eight batches (docs/decisions/0021)
REASONED = 0.5  # of the rows, at least (docs/decisions/0033)
TOLD = 0.5  # of the rows, and as many as pairs (docs/decisions/0034)


class NoPairs(DistillError):
    """Preferences are asked for, and none is recorded; nothing was trained."""


class NoRationales(DistillError):
    """Rationales are to teach, and none is recorded; nothing was trained."""


class NoTargets(DistillError):
    """Log-probabilities are to teach, and none can be used; nothing was trained."""


@dataclass(frozen=True)
class Pair:
    """Two answers to the same OpenAI-shaped messages, of which one is preferred."""

    exchange_id: str
    messages: tuple[dict[str, Any], ...]
    chosen: str
    rejected: str


@dataclass(frozen=True)
class Choice:
    """How it is learned, `because`; `pairs` are those to learn from, of the pattern `preference` alone."""

    pattern: Pattern
    because: str
    pairs: tuple[Pair, ...]


def choose(
    asked: Asked, rows: Sequence[TrainingRow], *, by: By, told: Aligned = NOTHING_TOLD, too_long: int = 0
) -> Choice:
    """The pattern for rows that teach, those whose teacher's rationale is known and short enough with it; of `too_long`
    others it is not. `told`: what the teacher has said of tokens.

    Raises NoPairs where preferences are asked for and no pair is recorded, NoRationales and NoTargets alike.
    """
    if asked == "response":
        return Choice("response", "distill.pattern is response", ())
    if asked == "reasoning":
        return _reasoned(rows, too_long)
    if asked == "logit":
        return _by_targets(told)
    found = tuple(pair for row in rows for pair in pairs(row, by=by))
    said = f"{len(found)} wrong answers are recorded beside the right ones of {len(rows)} rows"
    if asked == "auto":
        few = _few(rows, told, too_long=too_long)
        return _beside_answers(rows, told, too_long=too_long) or _by_pairs(found, f"{few}{said}", by=by)
    if not found:
        raise NoPairs(
            f"distill.pattern is preference, and none of {len(rows)} rows has a student's draft that disagrees "
            f"with its teacher, or an answer that people call wrong{_of_judged(by)}: set it to auto or response"
        )
    return Choice("preference", f"distill.pattern is preference; {said}", found)


def _reasoned(rows: Sequence[TrainingRow], too_long: int) -> Choice:
    if _thought(rows):
        return Choice("reasoning", f"distill.pattern is reasoning; {_words(rows, too_long)}", ())
    if too_long:
        raise NoRationales(
            f"distill.pattern is reasoning, and what the teacher thought is too long for the student in all {too_long} "
            "rows of which it is recorded: raise student.max_context_tokens, or set it to auto or response"
        )
    raise NoRationales(
        f"distill.pattern is reasoning, and of none of {len(rows)} rows is recorded what the teacher thought: its "
        "server has to tell it (message.reasoning_content). Set it to auto or response"
    )


def _by_targets(told: Aligned) -> Choice:
    if not told.targets:
        raise NoTargets(
            f"distill.pattern is logit, and {told.words}: set teachers.NAME.record_logprobs for a teacher that has the "
            "student's tokenizer, or distill.pattern to auto or response"
        )
    return Choice("logit", f"distill.pattern is logit; {told.words}", ())


def _beside_answers(rows: Sequence[TrainingRow], told: Aligned, *, too_long: int) -> Choice | None:
    """What auto takes before pairs, where there is enough of it."""
    if (thought := _thought(rows)) and thought >= REASONED * len(rows):
        return Choice("reasoning", f"{_words(rows, too_long)}, and {REASONED:.0%} are enough to learn from them", ())
    if len(told.targets) >= _needed(told):
        return Choice("logit", f"{told.words}, and {_needed(told)} are enough to learn from them", ())
    return None


def _few(rows: Sequence[TrainingRow], told: Aligned, *, too_long: int) -> str:
    """What there is too little of, where anything is recorded."""
    thought = f"{_words(rows, too_long)}, and {REASONED:.0%} are needed; " if _thought(rows) or too_long else ""
    return thought + (f"{told.words}, and {_needed(told)} are needed; " if told.recorded else "")


def _by_pairs(found: tuple[Pair, ...], said: str, *, by: By) -> Choice:
    if len(found) < MIN_PAIRS:
        return Choice("response", f"{said}, and {MIN_PAIRS} are needed to learn from them{_of_judged(by)}", ())
    return Choice("preference", f"{said}, and {MIN_PAIRS} are enough to learn from them", found)


def _thought(rows: Sequence[TrainingRow]) -> int:
    return sum(row.rationale is not None for row in rows)


def _words(rows: Sequence[TrainingRow], too_long: int) -> str:
    others = f" (too long for the student of {too_long} others)" if too_long else ""
    return f"what the teacher thought is recorded of {_thought(rows)} of {len(rows)} rows{others}"


def _needed(told: Aligned) -> int:
    return max(MIN_PAIRS, math.ceil(TOLD * told.rows))


def pairs(row: TrainingRow, *, by: By) -> Iterator[Pair]:
    """The row's answer over a student's draft that disagrees with it, and over one that people call wrong; none over
    one of which something was taken out.

    Where a judge compares answers, no rule says of a draft that it disagrees: only the word of people makes a pair.
    """
    drafted, measure = (None, "exact") if isinstance(by, Judge) else (row.draft, by)
    for rejected in dict.fromkeys((drafted, row.disowned)):
        if rejected is None or holds_placeholder(rejected):
            continue
        if disagreement(rejected, row.completion, measure=measure):
            yield Pair(row.exchange_id, row.messages, row.completion, rejected)


def _of_judged(by: By) -> str:
    return " (drafts of a judged task make no pairs)" if isinstance(by, Judge) else ""
