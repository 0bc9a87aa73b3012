"""A replay on the console: what the log holds before a student is made, and what came of it."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tutelage.replay import words
from tutelage.replay.facts import Replay
from tutelage.replay.narrowness import THRESHOLDS


def show_log(facts: Replay, *, console: Console) -> None:
    """Part one: the tasks."""
    _table(words.TASK_HEADS, map(words.row_of_task, facts.seen), console=console)
    _table(words.NARROW_HEADS, map(words.row_of_narrowness, facts.seen), console=console)
    _say([*words.of_log(facts), f"How a task looks is a rule of thumb, {THRESHOLDS}."], console=console)
    _say(words.of_chosen(facts), console=console)


def show_student(facts: Replay, *, console: Console) -> None:
    """Part two: the student, where there is one, and the money."""
    _say(words.of_student(facts), console=console)
    if facts.judged and facts.judged.study:
        _table(words.STUDY_HEADS, words.rows_of_study(facts), console=console)
    _table(words.WAY_HEADS, words.rows_of_ways(facts), console=console)
    _say(words.of_money(facts), console=console)
    if not facts.certified:
        _say(words.break_even(facts), console=console)
    if facts.judged:
        _say(words.LIMITS, console=console)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, console: Console) -> None:
    table = Table(*heads)
    for row in rows:
        table.add_row(*map(Text, row))  # what came from the log is no markup
    console.print(table)


def _say(sentences: Iterable[str], *, console: Console) -> None:
    for sentence in sentences:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
