"""A log file of another system, line by line: what is sound, what is broken, what is passed over, what is repeated.

Knows no task and no ledger: who reads says what is passed over.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from router.history import BrokenLine, Logged, PassedOver, read_line

SHOWN = 5  # broken lines that an error quotes
CLOCK_SLACK_S = 60.0  # a log written a moment ago on a machine whose clock is ahead


class LogRefused(Exception):
    """The file cannot be used; the message says why and what to do. Nothing was changed."""


def readable(path: Path) -> Path:
    """The path of a file that can be read. Raises LogRefused."""
    if not path.is_file():
        raise LogRefused(f"{path}: no such file")
    if not os.access(path, os.R_OK):
        raise LogRefused(f"{path} may not be read: its permissions forbid it")
    return path


@dataclass
class Counts:
    """What became of a file's lines."""

    lines: int = 0
    sound: int = 0
    repeated: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, str]] = field(default_factory=list)

    def left_out(self) -> Iterator[str]:
        """The lines that are not used, in words."""
        if self.repeated:
            yield f"  {self.repeated} repeat an earlier line"
        if self.broken:
            yield f"  {len(self.broken)} cannot be used and are left out, the first is line {self.broken[0][0]}"
        for reason, count in self.passed_over.most_common():
            yield f"  {count} passed over: {reason}"

    def refuse(self, path: Path, *, skip_broken: bool) -> None:
        """Raises LogRefused where lines are broken that may not be skipped, or none is sound."""
        if self.broken and not skip_broken:
            quoted = "\n".join(f"  line {number}: {why}" for number, why in self.broken[:SHOWN])
            raise LogRefused(
                f"{path}: {len(self.broken)} of {self.lines} lines cannot be used:\n{quoted}\n"
                "nothing was done; mend them, or leave them out with --skip-broken"
            )
        if not self.sound:
            reasons = "; ".join(f"{count} x {reason}" for reason, count in self.passed_over.most_common())
            raise LogRefused(f"{path}: no line can be used ({reasons or 'no line at all'})")


@dataclass(frozen=True)
class Line:
    """A sound line. `key` identifies it in any reading of this log."""

    number: int
    key: str
    logged: Logged


class LogFile:
    """One pass over a file, counted in `counts`."""

    def __init__(
        self, path: Path, *, now: float, counts: Counts, judge: Callable[[Logged], None] = lambda _: None
    ) -> None:
        """`judge` raises PassedOver for what says nothing to whoever reads. Raises LogRefused without such a file."""
        self.read_bytes = 0
        self._path = readable(path)
        self._now = now
        self._judge = judge
        self._counts = counts
        self._seen: dict[str, tuple[int, str]] = {}
        self._same: Counter[str] = Counter()

    def lines(self) -> Iterator[Line]:
        """The file's sound lines, each once."""
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                self._counts.lines = number
                self.read_bytes += len(line)
                if not line.strip():
                    continue
                try:
                    taken = self._take(line, number)
                except BrokenLine as error:
                    self._counts.broken.append((number, str(error)))
                except PassedOver as error:
                    self._counts.passed_over[str(error)] += 1
                else:
                    if taken is not None:
                        yield taken

    def _take(self, line: bytes, number: int) -> Line | None:
        logged = read_line(line)
        self._judge(logged)
        if logged.at is not None and logged.at > self._now + CLOCK_SLACK_S:
            raise BrokenLine(f"its time lies in the future, {logged.at - self._now:.0f} s from now")
        key = self._key(logged, line.strip(), number)
        if key is None:
            self._counts.repeated += 1
            return None
        self._counts.sound += 1
        return Line(number, key, logged)

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
