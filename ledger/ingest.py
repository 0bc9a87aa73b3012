"""`python -m ledger.ingest URL SPOOL_DIR`: the one process that moves spools into the ledger.

Rows and the offset behind them are written in one transaction, and rows are keyed by exchange id: killed anywhere,
it neither loses nor doubles a record. A database that does not answer leaves the data in the spool; a record that
cannot be read or stored is kept beside its segment.
"""

import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ledger import logs, totals
from ledger.database import LedgerError, connect, parts, writing
from ledger.ended import FORGOTTEN
from ledger.records import Exchange, Feedback, Label, Record
from ledger.rows import exchange_row, reply_row
from ledger.schema import exchanges, feedback, spool_offsets, teacher_replies
from ledger.spool import CorruptSpool, read_segment, segments, writer_is_gone

POLL_S = 0.25
LONGEST_WAIT_S = 10.0
BATCH = 500
LOCK = "ingester.lock"
REJECTED = ".rejected"
# What a database says of a value it cannot hold, now or later. Every other error passes with time.
UNSTORABLE = (sa.exc.DataError, sa.exc.IntegrityError, OverflowError)
log = logging.getLogger(__name__)


def run(engine: sa.Engine, directory: Path, *, stop: threading.Event, poll_s: float = POLL_S) -> None:
    """Ingest until told to stop, and then once more. Outlives a database or a disk that does not take the records.

    Raises LedgerError where another ingester is at work on this folder.
    """
    with _only_one(directory):
        wait_s = poll_s
        while not stop.is_set():
            moved = _tried(engine, directory)
            wait_s = poll_s if moved is not None else min(2 * wait_s, LONGEST_WAIT_S)
            if not moved:
                stop.wait(wait_s)
        _tried(engine, directory)


def ingest_once(engine: sa.Engine, directory: Path, *, batch: int = BATCH) -> int:
    """Move everything that is there, `batch` records a transaction; returns the number of records newly stored.

    A segment whose writer is gone is deleted. Raises LedgerError where another ingester is at work on this folder.
    """
    with _only_one(directory):
        return _ingest(engine, directory, batch)


def store(engine: sa.Engine, records: Sequence[Record]) -> int:
    """Put records into the ledger past the spool, all in one transaction; returns how many of them are new."""
    with writing(engine) as connection:
        return _insert(connection, records)


def store_log(engine: sa.Engine, records: Sequence[Record], *, teacher: str, at: float) -> int:
    """The same with what is imported `at` this time, in seconds since the epoch: whoever does that says that these are
    the teacher's answers (`ledger.teachers`), those among them that are there already."""
    ids = [record.id for record in records if isinstance(record, Exchange)]
    with writing(engine) as connection:
        stored = _insert(connection, records)
        for part in parts(ids):
            said = sa.and_(teacher_replies.c.exchange_id.in_(part), teacher_replies.c.text.is_not(None))
            connection.execute(teacher_replies.update().where(said).values(teacher=teacher, at=at))
        return stored


def lag_bytes(engine: sa.Engine, directory: Path) -> int:
    """Bytes in the spool that are not in the ledger yet."""
    with engine.connect() as connection:
        offsets = {name: offset for name, offset in connection.execute(sa.select(spool_offsets))}
    return sum(max(0, _size(path) - offsets.get(path.name, 0)) for path in segments(directory))


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LedgerError(f"another ingester already serves {directory}: stop it first") from error
        yield


def _tried(engine: sa.Engine, directory: Path) -> int | None:
    """Records newly stored; None where something did not work: what was not stored waits in the spool."""
    try:
        return _ingest(engine, directory, BATCH)
    except (sa.exc.SQLAlchemyError, OSError) as error:
        log.warning("records wait in %s: %s", directory, getattr(error, "orig", error))
        return None


def _ingest(engine: sa.Engine, directory: Path, batch: int) -> int:
    stored = 0
    for path in segments(directory):
        finished = writer_is_gone(path)  # asked before reading: what a living writer adds meanwhile is not missed
        segment = _Segment(engine, path)
        stored += segment.move(batch)
        if finished:
            segment.retire()
    return stored


@dataclass
class _Segment:
    """One segment on its way into the ledger; everything before `offset` is there."""

    engine: sa.Engine
    path: Path
    offset: int = 0

    def __post_init__(self) -> None:
        query = sa.select(spool_offsets.c.offset).where(spool_offsets.c.segment == self.path.name)
        with self.engine.connect() as connection:
            self.offset = connection.execute(query).scalar() or 0

    def move(self, batch: int) -> int:
        """Move all complete lines; returns the number of records newly stored."""
        stored = 0
        while True:
            records, behind, corrupt = _read_batch(self.path, self.offset, batch)
            stored += self._store(records, behind)
            if corrupt is not None:
                self._set_aside(corrupt.length, str(corrupt))
            elif not records:
                return stored

    def retire(self) -> None:
        """Delete the segment; a torn last line is kept, though `append` never returned for it."""
        if torn := _size(self.path) - self.offset:
            self._set_aside(torn, f"{self.path}: the last line is torn")
        self.path.unlink()
        with writing(self.engine) as connection:
            connection.execute(spool_offsets.delete().where(spool_offsets.c.segment == self.path.name))

    def _store(self, records: Sequence[tuple[Record, int]], behind: int) -> int:
        """In one transaction, or one by one where the database refuses a value of one of them."""
        if not records:
            return 0
        try:
            with writing(self.engine) as connection:
                stored = _insert(connection, [record for record, _ in records])
                self._advance(connection, behind)
        except UNSTORABLE as error:
            if len(records) > 1:
                return sum(self._store([one], one[1]) for one in records)
            why = getattr(error, "orig", error)
            self._set_aside(
                behind - self.offset, f"{self.path}: the record at byte {self.offset} cannot be stored: {why}"
            )
            return 0
        self.offset = behind
        return stored

    def _set_aside(self, length: int, why: str) -> None:
        """Keep a line beside its segment and go on behind it: never stuck, never silently lost."""
        kept = self.path.with_name(self.path.name + REJECTED)
        log.error("%s; kept in %s", why, kept.name)
        with self.path.open("rb") as source, kept.open("ab") as target:
            source.seek(self.offset)
            target.write(source.read(length))
            target.flush()
            os.fsync(target.fileno())
        with writing(self.engine) as connection:
            self._advance(connection, self.offset + length)
        self.offset += length

    def _advance(self, connection: sa.Connection, offset: int) -> None:
        values = {"segment": self.path.name, "offset": offset}
        insert = _dialect(connection).insert(spool_offsets).values(values)
        connection.execute(insert.on_conflict_do_update(index_elements=["segment"], set_={"offset": offset}))


def _read_batch(path: Path, offset: int, size: int) -> tuple[list[tuple[Record, int]], int, CorruptSpool | None]:
    """Up to `size` records, each with the offset behind it, the last offset, and the corrupt line that came next."""
    records: list[tuple[Record, int]] = []
    corrupt = None
    try:
        for record_and_offset in islice(read_segment(path, offset=offset), size):
            records.append(record_and_offset)
    except CorruptSpool as error:
        corrupt = error
    return records, records[-1][1] if records else offset, corrupt


def _insert(connection: sa.Connection, records: Sequence[Record]) -> int:
    """Insert what is new; returns how many records that were."""
    found = [record for record in records if isinstance(record, Exchange)]
    labels = [record for record in records if isinstance(record, Label)]
    counted: list[Exchange | Label] = [*found, *labels]
    before = totals.known(connection, counted)
    replies = [reply_row(e.id, e.at, e.teacher_reply, background=False) for e in found if e.teacher_reply]
    stored = _insert_new(connection, exchanges, list(_numbered(connection, found)))
    _insert_new(connection, teacher_replies, replies)
    said = [record for record in records if isinstance(record, Feedback)]
    later = [*(label.exchange_id for label in labels), *(each.exchange_id for each in said)]
    gone = _forgotten(connection, later)
    late = [
        reply_row(label.exchange_id, label.at, label.reply, background=True)
        for label in labels
        if label.exchange_id not in gone
    ]
    stored += _insert_new(connection, teacher_replies, late)
    totals.add(connection, counted, before=before)  # the label of a forgotten request was paid for as well
    return stored + _heed(connection, [each for each in said if each.exchange_id not in gone])


def _forgotten(connection: sa.Connection, ids: Sequence[str]) -> set[str]:
    """Of these exchanges those that are forgotten: what comes of them afterwards is not kept either."""
    query = sa.select(exchanges.c.id).where(exchanges.c.prompt_fingerprint == FORGOTTEN)
    return {
        found for part in parts(ids) for found in connection.execute(query.where(exchanges.c.id.in_(part))).scalars()
    }


def _heed(connection: sa.Connection, said: Sequence[Feedback]) -> int:
    """Keep what was said last of each exchange; what is there already was read before, or is older."""
    insert = _dialect(connection).insert(feedback)
    newer = feedback.c.at < insert.excluded.at
    columns = {name: insert.excluded[name] for name in ("at", "good", "correction", "key")}
    insert = insert.on_conflict_do_update(index_elements=["exchange_id"], set_=columns, where=newer)
    insert = insert.execution_options(preserve_rowcount=True)  # PostgreSQL's driver says -1 otherwise
    return sum(connection.execute(insert, msgspec.structs.asdict(each)).rowcount for each in said)


def _numbered(connection: sa.Connection, found: Sequence[Exchange]) -> Iterator[dict[str, Any]]:
    """Rows in the order of their recording: who writes is alone, so no lower number is ever added behind a higher."""
    last = connection.execute(sa.select(sa.func.max(exchanges.c.seq))).scalar() or 0
    for seq, exchange in enumerate(found, last + 1):
        yield {**exchange_row(exchange), "seq": seq}


def _insert_new(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> int:
    """Insert; rows whose key is there already are the same records read twice."""
    if not rows:
        return 0
    insert = _dialect(connection).insert(table).on_conflict_do_nothing(index_elements=list(table.primary_key))
    return connection.execute(insert.execution_options(preserve_rowcount=True), rows).rowcount


def _dialect(connection: sa.Connection) -> Any:
    """Where this database's `insert` with `on_conflict_*` is found."""
    return postgresql if connection.dialect.name == "postgresql" else sqlite


def _size(path: Path) -> int:
    """Bytes; 0 where the segment has just been retired."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    url, directory = sys.argv[1:] if argv is None else argv
    logs.begin()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        run(connect(url), Path(directory), stop=stop)
    except LedgerError as error:
        log.error("%s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
