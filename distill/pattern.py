"""By what pattern a student learns from rows: from right answers alone, or also from wrong ones beside them, or from
what the teacher thought before it answered.

Whatever the pattern, the rows are the same: a row that has a wrong answer beside its right one is a pair.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from calibration.agreement import disagreement
from calibration.question import By, Judge
from distill.errors import DistillError
from distill.rows import TrainingRow

Pattern = Literal["response", "preference", "reasoning"]
Asked = Pattern | Literal["auto"]
MIN_PAIRS = 64  # eight batches (docs/decisions/0021)
REASONED = 0.5  # of the rows, at least (docs/decisions/0033)


class NoPairs(DistillError):
    """Preferences are asked for, and none is recorded; nothing was trained."""


class NoRationales(DistillError):
    """Rationales are to teach, and none is recorded; nothing was trained."""


@dataclass(frozen=True)
class Pair:
    """Two answers to the same OpenAI-shaped messages, of which one is preferred."""

    exchange_id: str
    messages: tuple[dict[str, Any], ...]
    chosen: str
    rejected: str


@dataclass(frozen=True)
class Choice:
    """How it is learned, `because`; `pairs` are those to learn from, in the pattern `preference` alone."""

    pattern: Pattern
    because: str
    pairs: tuple[Pair, ...]


def choose(asked: Asked, rows: Sequence[TrainingRow], *, by: By) -> Choice:
    """The pattern for rows that teach, those of which the teacher's rationale is known with it.

    Raises NoPairs where preferences are asked for and no pair is recorded, NoRationales alike.
    """
    if asked == "response":
        return Choice("response", "distill.pattern is response", ())
    if asked == "reasoning":
        return _reasoned(rows)
    found = tuple(pair for row in rows for pair in pairs(row, by=by))
    said = f"{len(found)} wrong answers are recorded beside the right ones of {len(rows)} rows"
    if asked == "preference":
        if not found:
            raise NoPairs(
                f"distill.pattern is preference, and none of {len(rows)} rows has a student's draft that disagrees "
                f"with its teacher, or an answer that people call wrong{_of_judged(by)}: set it to auto or response"
            )
        return Choice("preference", f"distill.pattern is preference; {said}", found)
    if (told := _told(rows)) and told >= REASONED * len(rows):
        return Choice("reasoning", f"{_words(rows)}, and {REASONED:.0%} are enough to learn from them", ())
    few = f"{_words(rows)}, and {REASONED:.0%} are needed; " if told else ""
    if len(found) < MIN_PAIRS:
        return Choice("response", f"{few}{said}, and {MIN_PAIRS} are needed to learn from them{_of_judged(by)}", ())
    return Choice("preference", f"{few}{said}, and {MIN_PAIRS} are enough to learn from them", found)


def _reasoned(rows: Sequence[TrainingRow]) -> Choice:
    if not _told(rows):
        raise NoRationales(
            f"distill.pattern is reasoning, and of none of {len(rows)} rows is recorded what the teacher thought: its "
            "server has to tell it (message.reasoning_content). Set it to auto or response"
        )
    return Choice("reasoning", f"distill.pattern is reasoning; {_words(rows)}", ())


def _told(rows: Sequence[TrainingRow]) -> int:
    return sum(row.rationale is not None for row in rows)


def _words(rows: Sequence[TrainingRow]) -> str:
    return f"what the teacher thought is recorded of {_told(rows)} of {len(rows)} rows"


def pairs(row: TrainingRow, *, by: By) -> Iterator[Pair]:
    """The row's answer over a student's draft that disagrees with it, and over one that people call wrong.

    Where a judge compares answers, no rule says of a draft that it disagrees: only the word of people makes a pair.
    """
    drafted, measure = (None, "exact") if isinstance(by, Judge) else (row.draft, by)
    for rejected in dict.fromkeys((drafted, row.disowned)):
        if rejected is not None and disagreement(rejected, row.completion, measure=measure):
            yield Pair(row.exchange_id, row.messages, row.completion, rejected)


def _of_judged(by: By) -> str:
    return " (drafts of a judged task make no pairs)" if isinstance(by, Judge) else ""
