"""What waits in a spool: bytes, age, and the room left on its disk. Measured from the files alone, so that it is known
while the ledger is away."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger.records import Exchange, Record
from ledger.spool import CorruptSpool, read_segment, segments

REJECTED = "*.rejected"
LOOKED_AT = 16  # segments at most: the ingester takes them in their order, and each gateway process has one


@dataclass(frozen=True)
class Backlog:
    """Of one folder: `bytes` in its segments, of which `waiting` are not in the ledger, the oldest of them since
    `oldest_at` (seconds since the epoch; None where nothing waits); `rejected` files of lines that no ledger takes;
    `free` bytes on the disk."""

    bytes: int = 0
    waiting: int = 0
    oldest_at: float | None = None
    rejected: int = 0
    free: int = 0


def backlog(directory: Path, offsets: Mapping[str, int]) -> Backlog:
    """As it is now. `offsets`: how far the ledger has each segment. Of the first segments that wait one record is read.
    Raises OSError."""
    sizes = {path: size for path in segments(directory) if (size := _size(path)) is not None}
    behind = {path: offsets.get(path.name, 0) for path in sizes}
    waiting = {path: sizes[path] - behind[path] for path in sizes if sizes[path] > behind[path]}
    began = [at for path in [*waiting][:LOOKED_AT] if (at := _began(path, behind[path])) is not None]
    return Backlog(
        bytes=sum(sizes.values()),
        waiting=sum(waiting.values()),
        oldest_at=min(began, default=None),
        rejected=len(list(directory.glob(REJECTED))),
        free=shutil.disk_usage(directory).free,
    )


def _size(path: Path) -> int | None:
    """None where the ingester has just deleted it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _began(path: Path, offset: int) -> float | None:
    """When the first record behind the offset was made; of a request, when it was answered."""
    try:
        record = next((record for record, _ in read_segment(path, offset=offset)), None)
    except (FileNotFoundError, CorruptSpool):
        return None
    return None if record is None else _at(record)


def _at(record: Record) -> float:
    return record.at + record.latency_s if isinstance(record, Exchange) else record.at
