"""`tutelage import`: a log file read twice, first to know that it is sound and then into the ledger."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from ledger import teachers
from ledger.database import LedgerError
from ledger.ingest import store_log
from ledger.queries import first_at
from ledger.records import Exchange, Record
from ledger.redaction import Redactor
from router.history import Logged, PassedOver, as_exchange, exchange_id
from router.settings import ConfigError, Settings
from tutelage.logfile import Counts, Line, LogFile, readable

BATCH = 500
UNDATED_S = 1e-3  # between lines that name no time: their order is all that is known


@dataclass
class Tally(Counts):
    """What became of a file's lines. `stored` are new in the ledger, `ineligible` among them only passed through;
    `prompts` are their system messages."""

    ineligible: int = 0
    stored: int = 0
    prompts: set[str | None] = field(default_factory=set)

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
        yield from self.left_out()


@dataclass(frozen=True)
class Source:
    """A log and whose answers it holds: those of the `model` that the teacher is. `models` None: whatever model the log
    names, the task's teacher answered.

    `system_prompt`: the task's own, where it has one; a log of several tasks is told apart by it.
    """

    path: Path
    task: str
    teacher: str
    model: str
    models: frozenset[str] | None
    system_prompt: str | None
    now: float

    def judge(self, logged: Logged) -> None:
        """Raises PassedOver for what says nothing of this task's teacher."""
        if self.models is not None and not logged.by(self.models):
            raise PassedOver(_another(logged.model, self.teacher))
        if self.system_prompt not in (None, logged.request.system_prompt):
            raise PassedOver("another system message than the task's")


def source(settings: Settings, path: Path, *, task: str, by_teacher: bool, now: float) -> Source:
    """Raises ConfigError where the task is not configured, LogRefused where there is no such file."""
    chosen = settings.task(task)
    teacher, model = chosen.teacher, settings.teachers[chosen.teacher].model
    models = None if by_teacher else frozenset({teacher, model})
    return Source(readable(path), task, teacher, model, models, chosen.system_prompt, now)


def carry(
    found: Source,
    engine: sa.Engine,
    *,
    skip_broken: bool,
    progress: Callable[[int, int], None],
    redactor: Redactor | None = None,
) -> Tally:
    """Check the whole file, then store it; `progress` gets the lines done and the lines in all.

    Raises ConfigError and LogRefused before anything is stored, LedgerError where the ledger stops taking rows.
    """
    _check_model(found, engine)
    checked = _Reading(found)
    for _ in checked.exchanges():
        if checked.tally.lines % BATCH == 0:
            progress(checked.tally.lines, 2 * checked.tally.lines)  # how many there are is not known yet
    checked.tally.refuse(found.path, skip_broken=skip_broken)
    lines = checked.tally.lines
    reading = _Reading(found, undated_at=min(found.now, first_at(engine, found.task)) - (lines + 1) * UNDATED_S)
    rows: Iterator[Record] = map(redactor.record, reading.exchanges()) if redactor else reading.exchanges()
    while batch := list(islice(rows, BATCH)):
        try:
            reading.tally.stored += store_log(engine, batch, teacher=found.teacher, at=found.now)
        except sa.exc.SQLAlchemyError as error:
            raise LedgerError(
                f"{reading.tally.stored} rows are stored, then the ledger failed: {getattr(error, 'orig', error)}; "
                "run the same command again, no row is doubled"
            ) from error
        progress(lines + reading.tally.lines, 2 * lines)
    return reading.tally


def _check_model(found: Source, engine: sa.Engine) -> None:
    """What is imported counts for the model that the task has by then."""
    with engine.connect() as connection:
        known = teachers.model(connection, found.task)
    if known not in (None, found.model):
        raise ConfigError(
            f"the task's teacher {found.teacher} is {found.model} in these settings, and was {known} when a worker "
            "looked last: the answers would count for that one. Start `tutelage up` with these settings, then import"
        )


class _Reading:
    """One pass over the file.

    Lines that name no time follow `undated_at` in their order. That is before the task's recorded traffic: an old log
    certifies nothing as if it were today's.
    """

    def __init__(self, found: Source, *, undated_at: float = 0.0) -> None:
        self.tally = Tally()
        self._found = found
        self._undated_at = undated_at
        self._file = LogFile(found.path, now=found.now, counts=self.tally, judge=found.judge)

    def exchanges(self) -> Iterator[Exchange]:
        """The file's exchanges, each once; every line is counted."""
        return map(self._exchange, self._file.lines())

    def _exchange(self, line: Line) -> Exchange:
        logged, found = line.logged, self._found
        at = logged.at if logged.at is not None else self._undated_at + line.number * UNDATED_S
        exchange = as_exchange(
            logged, task=found.task, teacher=found.teacher, exchange_id=exchange_id(found.task, key=line.key), at=at
        )
        self.tally.prompts.add(logged.request.system_prompt)
        self.tally.ineligible += not exchange.eligible
        return exchange


def _another(model: str | None, teacher: str) -> str:
    who = f"answered by {model}" if model else "the log names no model"
    return f"{who}, the task's teacher is {teacher}: --by-teacher takes all lines as the teacher's"
