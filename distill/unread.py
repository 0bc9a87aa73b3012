"""Rows of the ledger read once each, though they are not recorded in the order of their arrival.

A request is recorded when its reply ends: a quick one may be read before a slow one that arrived earlier. To go on
behind the newest that was read would pass over the slow ones, and these are not like the others.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from ledger.queries import Position

LATE_S = 180.0  # so long after its arrival a request may be recorded: time-outs and retries of both upstreams
AT_ONCE = 10_000  # rows a reading


class Recorded(Protocol):
    """A row with the exchange it is of."""

    @property
    def exchange_id(self) -> str: ...  # noqa: D102

    @property
    def at(self) -> float: ...  # noqa: D102


Row = TypeVar("Row", bound=Recorded)


class Unread:
    """Remembers what was read of the last minutes, and passes it over."""

    def __init__(self) -> None:
        self._read: dict[str, float] = {}
        self._newest = 0.0

    def pages(self, read: Callable[..., Sequence[Row]]) -> Iterator[list[Row]]:
        """What has come, a page at a time; `read(after=, limit=)` gives rows behind a position, in their order."""
        position: Position = (self._newest - LATE_S, "")
        while True:
            rows = read(after=position, limit=AT_ONCE)
            fresh = [row for row in rows if row.exchange_id not in self._read]
            self._remember(fresh)
            if fresh:
                yield fresh
            if len(rows) < AT_ONCE:
                return
            position = (rows[-1].at, rows[-1].exchange_id)

    def _remember(self, rows: Sequence[Recorded]) -> None:
        if not rows:
            return
        self._read |= {row.exchange_id: row.at for row in rows}
        self._newest = max(self._newest, rows[-1].at)
        self._read = {each: at for each, at in self._read.items() if at >= self._newest - LATE_S}
