"""What one exchange has cost, and what it would have cost at the teacher alone: in words, a line each."""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from ledger.savings import answer_usd
from tutelage.savings_words import usd

KINDS = {
    "teacher_cached_tokens": "read before",
    "teacher_cache_write_tokens": "kept to be read again",
    "teacher_audio_prompt_tokens": "heard",
    "teacher_audio_completion_tokens": "spoken",
    "teacher_reasoning_tokens": "of reasoning",
}


def of_exchange(engine: sa.Engine, row: Mapping[str, Any], *, by_the_hour: bool) -> Iterator[tuple[str, str]]:
    """What of, and how much. `row`: as `tutelage.web.found.one` has it; `by_the_hour`: the student's machine is paid
    for so, and no draft by itself."""
    if row["origin"] == "import":
        yield "cost", "somebody else's: it was imported"
        return
    if row["draft_cost_usd"] is not None:  # its text may be forgotten
        tokens = f"{row['draft_prompt_tokens']} tokens read, {row['draft_completion_tokens']} written"
        hour = "; its machine is paid by the hour" if by_the_hour else ""
        yield "draft", f"{usd(row['draft_cost_usd'] or 0.0)}, {tokens}{hour}"
    if row["teacher_teacher"]:
        what = "label of a reference" if row["teacher_background"] else "teacher's answer"
        yield what, f"{usd(row['teacher_cost_usd'])}, {_tokens(row)}"
    yield "spent", usd((row["draft_cost_usd"] or 0.0) + (row["teacher_cost_usd"] or 0.0))
    if row["origin"] == "client":
        yield "teacher alone", _alone(engine, row)


def _tokens(row: Mapping[str, Any]) -> str:
    kinds = [f"{row[name]} {words}" for name, words in KINDS.items() if row[name]]
    of_them = f" (of them {', '.join(kinds)})" if kinds else ""
    return f"{row['teacher_prompt_tokens']} tokens read, {row['teacher_completion_tokens']} written{of_them}"


def _alone(engine: sa.Engine, row: Mapping[str, Any]) -> str:
    """Measured where the teacher has answered, the client or a reference; else estimated, as savings are."""
    if row["route"] != "student":
        return usd(row["teacher_cost_usd"] or 0.0)
    if row["teacher_text"] is not None:
        return f"{usd(row['teacher_cost_usd'])}, which its label has cost"
    tokens = (row["draft_prompt_tokens"] or 0) + (row["draft_completion_tokens"] or 0)
    estimated = answer_usd(engine, row["task"] or "", tokens)
    if not estimated:
        return "not known: nothing has been answered by both"
    return f"some {usd(estimated)}, as the task's references cost for as many tokens"
