"""`tutelage import`: a log file read twice, first to know that it is sound and then into the ledger."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from ledger.database import LedgerError
from ledger.ingest import store
from ledger.queries import first_at
from ledger.records import Exchange
from router.history import BrokenLine, Logged, PassedOver, as_exchange, exchange_id, read_line
from router.settings import Settings

BATCH = 500
SHOWN = 5  # broken lines that an error quotes
UNDATED_S = 1e-3  # between lines that name no time: their order is all that is known
CLOCK_SLACK_S = 60.0  # a log written a moment ago on a machine whose clock is ahead


class ImportRefused(Exception):
    """The file is not imported; the message says why and what to do. The ledger is as it was."""


@dataclass
class Tally:
    """What became of a file's lines. `stored` are new in the ledger, `ineligible` among them only passed through;
    `prompts` are their system messages."""

    lines: int = 0
    sound: int = 0
    ineligible: int = 0
    stored: int = 0
    repeated: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    prompts: set[str | None] = field(default_factory=set)
    broken: list[tuple[int, str]] = field(default_factory=list)

    def words(self) -> Iterator[str]:
        """What to tell whoever imported."""
        yield f"{self.lines} lines: {self.stored} rows are new, {self.sound - self.stored} were there before"
        if self.ineligible:
            yield f"  {self.ineligible} the student may not answer (sampling, tools, images): they teach nothing"
        if len(self.prompts) > 1:
            yield (
                f"  WARNING: they have {len(self.prompts)} different system messages, and a task is one job: set the "
                "task's system_prompt to have the others passed over"
            )
        if self.repeated:
            yield f"  {self.repeated} repeat an earlier line"
        if self.broken:
            yield f"  {len(self.broken)} cannot be used and are left out, the first is line {self.broken[0][0]}"
        for reason, count in self.passed_over.most_common():
            yield f"  {count} passed over: {reason}"


@dataclass(frozen=True)
class Source:
    """A log and whose answers it holds. `models` None: whatever model the log names, the task's teacher answered.

    `system_prompt`: the task's own, where it has one; a log of several tasks is told apart by it.
    """

    path: Path
    task: str
    teacher: str
    models: frozenset[str] | None
    system_prompt: str | None
    now: float


def source(settings: Settings, path: Path, *, task: str, by_teacher: bool, now: float) -> Source:
    """Raises ConfigError where the task is not configured, ImportRefused where there is no such file."""
    chosen = settings.task(task)
    teacher = chosen.teacher
    if not path.is_file():
        raise ImportRefused(f"{path}: no such file")
    models = None if by_teacher else frozenset({teacher, settings.teachers[teacher].model})
    return Source(path, task, teacher, models, chosen.system_prompt, now)


def carry(found: Source, engine: sa.Engine, *, skip_broken: bool, progress: Callable[[int, int], None]) -> Tally:
    """Check the whole file, then store it; `progress` gets the lines done and the lines in all.

    Raises ImportRefused before anything is stored, LedgerError where the ledger stops taking rows.
    """
    checked = _Reading(found)
    for _ in checked.exchanges():
        if checked.tally.lines % BATCH == 0:
            progress(checked.tally.lines, 2 * checked.tally.lines)  # how many there are is not known yet
    _refuse(found, checked.tally, skip_broken=skip_broken)
    lines = checked.tally.lines
    reading = _Reading(found, undated_at=min(found.now, first_at(engine, found.task)) - (lines + 1) * UNDATED_S)
    rows = reading.exchanges()
    while batch := list(islice(rows, BATCH)):
        try:
            reading.tally.stored += store(engine, batch)
        except sa.exc.SQLAlchemyError as error:
            raise LedgerError(
                f"{reading.tally.stored} rows are stored, then the ledger failed: {getattr(error, 'orig', error)}; "
                "run the same command again, no row is doubled"
            ) from error
        progress(lines + reading.tally.lines, 2 * lines)
    return reading.tally


def _refuse(found: Source, checked: Tally, *, skip_broken: bool) -> None:
    if checked.broken and not skip_broken:
        quoted = "\n".join(f"  line {number}: {why}" for number, why in checked.broken[:SHOWN])
        raise ImportRefused(
            f"{found.path}: {len(checked.broken)} of {checked.lines} lines cannot be used:\n{quoted}\n"
            "nothing is imported; mend them, or leave them out with --skip-broken"
        )
    if not checked.sound:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in checked.passed_over.most_common())
        raise ImportRefused(f"{found.path}: no line to import ({reasons or 'no line at all'})")


class _Reading:
    """One pass over the file.

    Lines that name no time follow `undated_at` in their order. That is before the task's recorded traffic: an old log
    certifies nothing as if it were today's.
    """

    def __init__(self, found: Source, *, undated_at: float = 0.0) -> None:
        self.tally = Tally()
        self._found = found
        self._undated_at = undated_at
        self._seen: dict[str, tuple[int, str]] = {}
        self._same: Counter[str] = Counter()

    def exchanges(self) -> Iterator[Exchange]:
        """The file's exchanges, each once; every line is counted."""
        with self._found.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                self.tally.lines = number
                if not line.strip():
                    continue
                try:
                    taken = self._take(line, number)
                except BrokenLine as error:
                    self.tally.broken.append((number, str(error)))
                except PassedOver as error:
                    self.tally.passed_over[str(error)] += 1
                else:
                    if taken is not None:
                        yield taken

    def _take(self, line: bytes, number: int) -> Exchange | None:
        logged, found = read_line(line), self._found
        if found.models is not None and not logged.by(found.models):
            raise PassedOver(_another(logged.model, found.teacher))
        if found.system_prompt not in (None, logged.request.system_prompt):
            raise PassedOver("another system message than the task's")
        if logged.at is not None and logged.at > found.now + CLOCK_SLACK_S:
            raise BrokenLine(f"its time lies in the future, {logged.at - found.now:.0f} s from now")
        key = self._key(logged, line.strip(), number)
        if key is None:
            self.tally.repeated += 1
            return None
        at = logged.at if logged.at is not None else self._undated_at + number * UNDATED_S
        exchange = as_exchange(
            logged, task=found.task, teacher=found.teacher, exchange_id=exchange_id(found.task, key=key), at=at
        )
        self.tally.sound += 1
        self.tally.prompts.add(logged.request.system_prompt)
        self.tally.ineligible += not exchange.eligible
        return exchange

    def _key(self, logged: Logged, line: bytes, number: int) -> str | None:
        """What identifies the line in any reading of this log; None where it repeats an earlier one.

        Without an id of its own, equal lines are equal requests made several times: traffic, not repetition. An id is
        the file's own: the same id in another file is another line, unless it says the same.
        """
        if logged.source_id is None:
            digest = hashlib.sha256(line).hexdigest()
            self._same[digest] += 1
            return f"{digest}#{self._same[digest]}"
        first, before = self._seen.setdefault(logged.source_id, (number, logged.meaning))
        if before != logged.meaning:
            raise BrokenLine(f"the id {logged.source_id!r} is line {first}'s, which says something else")
        return f"{logged.source_id}\0{logged.meaning}" if first == number else None


def _another(model: str | None, teacher: str) -> str:
    who = f"answered by {model}" if model else "the log names no model"
    return f"{who}, the task's teacher is {teacher}: --by-teacher takes all lines as the teacher's"
