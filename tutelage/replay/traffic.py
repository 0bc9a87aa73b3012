"""A log divided into tasks: what each asks of which model, how often, at how many tokens. Its newest rows are kept.

Facts only: knows no price and no student.
"""

import hashlib
import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger.texts import variable_text
from router.abilities import Beyond
from router.history import Logged
from router.settings import ConfigError
from tutelage.logfile import Counts, Line, LogFile
from tutelage.replay.narrowness import Narrowness, narrowness

MONTH_S = 365.25 / 12 * 86_400
TOLD_EVERY = 500  # lines
LOOKED_AT = 2000  # newest rows of a task from which its narrowness is read: clustering takes a millisecond a row
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class TaskLog:
    """One task of a log: one system message, answered by one model (None: the log names none).

    `beyond`: why how many requests could not be asked of a student at all; of `estimated` ones the log tells no tokens,
    and a quarter of their characters stands for them. Tokens are means a request. `monthly`: requests a month, None
    where lines have no times. `newest`: the last rows, in the order of their times.
    """

    model: str | None
    system_prompt: str | None
    requests: int
    beyond: Mapping[Beyond, int]
    estimated: int
    prompt_tokens: float
    answer_tokens: float
    monthly: float | None
    newest: tuple[Line, ...]

    @property
    def name(self) -> str:
        """Its system message, short, on one line."""
        if self.system_prompt is None:
            return "(no system message)"
        line = " ".join(self.system_prompt.split())
        return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}\u2026"

    @property
    def eligible(self) -> int:
        """Requests that a student could be asked."""
        return self.requests - sum(self.beyond.values())

    @property
    def rows(self) -> list[Line]:
        """The newest rows that a student could be asked."""
        return [line for line in self.newest if line.logged.request.beyond_student() is None]

    def narrowness(self) -> Narrowness:
        """Read from the newest rows."""
        sample = [line.logged for line in self.newest[-LOOKED_AT:]]
        return narrowness([_changing(logged) for logged in sample], [logged.answer for logged in sample])


@dataclass(frozen=True)
class Log:
    """A whole file: its SHA-256, what became of its lines, how many seconds lie between its first time and its last
    (None where it has no two times), and its tasks, largest first."""

    path: Path
    digest: str
    counts: Counts
    span_s: float | None
    tasks: tuple[TaskLog, ...]

    def choose(self, wanted: str | None) -> int:
        """The place among the tasks of the one that is meant: its number from 1, a part of its system message, or None:
        the one with the most requests that a student could be asked.

        Raises ConfigError where that is no task, or several.
        """
        if wanted is None:
            return max(range(len(self.tasks)), key=lambda place: self.tasks[place].eligible)
        if wanted.isdecimal() and 1 <= int(wanted) <= len(self.tasks):
            return int(wanted) - 1
        found = [place for place, task in enumerate(self.tasks) if wanted and wanted in (task.system_prompt or "")]
        if len(found) != 1:
            what = f"is in the system messages of {len(found)} tasks" if found else "is no task's"
            raise ConfigError(
                f"--task {wanted!r} {what}: give a number from 1 to {len(self.tasks)}, or a part of one system message"
            )
        return found[0]


def read(path: Path, *, rows: int, skip_broken: bool, now: float, progress: Callable[[int, int], None]) -> Log:
    """Read the whole file; of each task the newest `rows` are kept. `progress` gets bytes read and bytes in all.

    Raises LogRefused as `tutelage import` does.
    """
    counts, found = Counts(), dict[tuple[str | None, str | None], _Gathered]()
    file = LogFile(path, now=now, counts=counts)
    for line in file.lines():
        task = (line.logged.model, line.logged.request.system_prompt)
        found.setdefault(task, _Gathered(rows)).add(line)
        if counts.lines % TOLD_EVERY == 0:
            progress(file.read_bytes, path.stat().st_size)
    counts.refuse(path, skip_broken=skip_broken)
    span_s = _span(found.values())
    tasks = [gathered.task(*task, span_s=span_s) for task, gathered in found.items()]
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return Log(path, digest, counts, span_s, tuple(sorted(tasks, key=lambda task: -task.requests)))


class _Gathered:
    """What one task's lines come to so far."""

    def __init__(self, rows: int) -> None:
        self.first, self.last = math.inf, -math.inf
        self._rows = rows
        self._newest: list[tuple[float, int, Line]] = []  # a heap: the oldest is the first
        self._requests = self._dated = self._estimated = self._prompt_tokens = self._answer_tokens = 0
        self._beyond = Counter[Beyond]()

    def add(self, line: Line) -> None:
        """One more request."""
        logged = line.logged
        self._requests += 1
        self._count_tokens(logged)
        if reason := logged.request.beyond_student():
            self._beyond[reason] += 1
        if logged.at is not None:
            self._dated += 1
            self.first, self.last = min(self.first, logged.at), max(self.last, logged.at)
        keep = heapq.heappush if len(self._newest) < self._rows else heapq.heappushpop
        # Lines that name no time are older than those that do, as they are for `tutelage import`.
        keep(self._newest, (-math.inf if logged.at is None else logged.at, line.number, line))

    def _count_tokens(self, logged: Logged) -> None:
        told = logged.usage.prompt_tokens > 0
        self._estimated += not told
        self._prompt_tokens += logged.usage.prompt_tokens if told else logged.request.estimate_prompt_tokens()
        self._answer_tokens += logged.usage.completion_tokens if told else max(1, len(logged.answer) // 4)

    def task(self, model: str | None, system_prompt: str | None, *, span_s: float | None) -> TaskLog:
        """All of it as facts."""
        n = self._requests
        return TaskLog(
            model=model,
            system_prompt=system_prompt,
            requests=n,
            beyond=dict(self._beyond),
            estimated=self._estimated,
            prompt_tokens=self._prompt_tokens / n,
            answer_tokens=self._answer_tokens / n,
            monthly=n * MONTH_S / span_s if span_s and self._dated == n else None,
            newest=tuple(line for *_, line in sorted(self._newest)),
        )


def _span(parts: Iterable[_Gathered]) -> float | None:
    """Of the whole log: a task that was asked twice within a minute is not asked so all month."""
    ends = [(part.first, part.last) for part in parts]
    span_s = max(last for _, last in ends) - min(first for first, _ in ends)
    return span_s if 0 < span_s < math.inf else None


def _changing(logged: Logged) -> str:
    """The part of the prompt that changes; "" where it is no text."""
    try:
        return variable_text(logged.request.messages)
    except ValueError:
        return ""
