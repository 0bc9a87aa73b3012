"""`python -m ledger.ingest URL SPOOL_DIR`: the one process that moves spools into the ledger.

Rows and the offset behind them are written in one transaction, and rows are keyed by exchange id: killed anywhere,
it neither loses nor doubles a record. A database that does not answer leaves the data in the spool.
"""

import fcntl
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ledger.database import LedgerError, connect
from ledger.records import Draft, Exchange, Label, Record, TeacherReply
from ledger.schema import exchanges, spool_offsets, teacher_replies
from ledger.spool import CorruptSpool, read_segment, segments, writer_is_gone

POLL_S = 0.25
BATCH = 500
REJECTED = ".rejected"
log = logging.getLogger(__name__)


def run(engine: sa.Engine, directory: Path, *, stop: threading.Event) -> None:
    """Ingest until told to stop. Raises LedgerError where another ingester is at work on this folder."""
    with _only_one(directory):
        while not stop.is_set():
            try:
                moved = ingest_once(engine, directory)
            except sa.exc.OperationalError as error:
                log.warning("ledger not writable, records wait in the spool: %s", error.orig)
                moved = 0
            if not moved:
                stop.wait(POLL_S)
        ingest_once(engine, directory)


def ingest_once(engine: sa.Engine, directory: Path) -> int:
    """Move everything that is there; returns the number of records read. Finished segments are deleted."""
    moved = 0
    for path in segments(directory):
        finished = writer_is_gone(path)  # asked before reading: what a living writer adds meanwhile is not missed
        moved += _ingest_segment(engine, path)
        if finished:
            path.unlink()
            _forget_offset(engine, path)
    return moved


def lag_bytes(engine: sa.Engine, directory: Path) -> int:
    """Bytes in the spool that are not in the ledger yet."""
    return sum(max(0, path.stat().st_size - _offset(engine, path)) for path in segments(directory))


def _ingest_segment(engine: sa.Engine, path: Path) -> int:
    moved, offset = 0, _offset(engine, path)
    while True:
        batch, behind, corrupt = _read_batch(path, offset)
        if corrupt is not None:
            behind = _set_aside(path, corrupt)
        if behind == offset:
            return moved
        _store(engine, batch, segment=path.name, offset=behind)
        moved, offset = moved + len(batch), behind


def _read_batch(path: Path, offset: int) -> tuple[list[Record], int, CorruptSpool | None]:
    """Up to BATCH records, the offset behind them, and the corrupt line that ended the batch, if one did."""
    batch: list[Record] = []
    try:
        for record, behind in islice(read_segment(path, offset=offset), BATCH):
            batch.append(record)
            offset = behind
    except CorruptSpool as error:
        return batch, offset, error
    return batch, offset, None


def _set_aside(path: Path, corrupt: CorruptSpool) -> int:
    """Keep a corrupt line beside its segment and go on behind it: never stuck, never silently lost."""
    log.error("%s; kept in %s", corrupt, path.name + REJECTED)
    with path.open("rb") as source, path.with_name(path.name + REJECTED).open("ab") as target:
        source.seek(corrupt.offset)
        target.write(source.read(corrupt.length))
    return corrupt.offset + corrupt.length


def _store(engine: sa.Engine, batch: Sequence[Record], *, segment: str, offset: int) -> None:
    found = [record for record in batch if isinstance(record, Exchange)]
    labels = [record for record in batch if isinstance(record, Label)]
    replies = [_reply_row(e.id, e.at, e.teacher_reply, background=False) for e in found if e.teacher_reply]
    replies += [_reply_row(label.exchange_id, label.at, label.reply, background=True) for label in labels]
    with engine.begin() as connection:
        _insert_new(connection, exchanges, [_exchange_row(exchange) for exchange in found])
        _insert_new(connection, teacher_replies, replies)
        connection.execute(spool_offsets.delete().where(spool_offsets.c.segment == segment))
        connection.execute(spool_offsets.insert().values(segment=segment, offset=offset))


def _insert_new(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert; rows whose key is there already are the same records read twice."""
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


def _exchange_row(exchange: Exchange) -> dict[str, Any]:
    columns = {c.name for c in exchanges.columns}
    row = {name: getattr(exchange, name) for name in exchange.__struct_fields__ if name in columns}
    return row | _draft_columns(exchange.draft)


def _draft_columns(draft: Draft | None) -> dict[str, Any]:
    return {
        "draft_text": draft.text if draft else None,
        "draft_finish_reason": draft.finish_reason if draft else None,
        "draft_prompt_tokens": draft.usage.prompt_tokens if draft else None,
        "draft_completion_tokens": draft.usage.completion_tokens if draft else None,
        "draft_cost_usd": draft.cost_usd if draft else None,
        "evidence": draft.evidence if draft else None,
    }


def _reply_row(exchange_id: str, at: float, reply: TeacherReply, *, background: bool) -> dict[str, Any]:
    return {
        "exchange_id": exchange_id,
        "at": at,
        "background": background,
        "teacher": reply.teacher,
        "text": reply.text,
        "finish_reason": reply.finish_reason,
        "prompt_tokens": reply.usage.prompt_tokens,
        "completion_tokens": reply.usage.completion_tokens,
        "cost_usd": reply.cost_usd,
        "latency_s": reply.latency_s,
        "error": reply.error,
    }


def _offset(engine: sa.Engine, path: Path) -> int:
    query = sa.select(spool_offsets.c.offset).where(spool_offsets.c.segment == path.name)
    with engine.connect() as connection:
        return int(connection.execute(query).scalar() or 0)


def _forget_offset(engine: sa.Engine, path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(spool_offsets.delete().where(spool_offsets.c.segment == path.name))


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "ingester.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LedgerError(f"another ingester already serves {directory}") from error
        yield


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    url, directory = sys.argv[1:] if argv is None else argv
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
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
