"""The spool: each process appends what it answered to a file of its own, before the reply's last byte.

One record is one line and one write: when `append` returns, `kill -9` of the process loses nothing. A power cut can
take at most the last `fsync_interval_s` seconds. The writer holds a lock on its segment, so a reader can tell a
finished segment from a living one.
"""

import fcntl
import logging
import os
import secrets
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ledger.records import Record

SUFFIX = ".jsonl"
PROBE_BYTES = 4096

log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


class SpoolUnavailable(Exception):
    """Records cannot be kept at the moment; the message names the folder and the system's reason."""


class CorruptSpool(Exception):
    """A complete line that is no record."""

    def __init__(self, path: Path, *, offset: int, length: int) -> None:
        super().__init__(f"{path}: the line at byte {offset} is no record")
        self.offset = offset
        self.length = length


class SpoolWriter:
    """Appends records; safe between threads and across forks.

    A segment ends at `segment_bytes` and after `segment_s`: the ingester then deletes it, so that what is forgotten in
    the ledger is not kept here.
    """

    def __init__(
        self,
        directory: Path,
        *,
        fsync_interval_s: float = 1.0,
        segment_bytes: int = 64 << 20,
        segment_s: float = 600.0,
    ) -> None:
        self._directory = directory
        self._fsync_interval_s = fsync_interval_s
        self._segment_bytes = segment_bytes
        self._segment_s = segment_s
        self._opened_at = 0.0
        self._failed = False
        self._file: int | None = None
        self._closing: threading.Event | None = None
        self._start()
        _writers.add(self)

    @property
    def available(self) -> bool:
        """True unless the last append failed and the folder still takes no few kilobytes."""
        if self._failed and _takes_bytes(self._directory):
            self._failed = False
        return not self._failed

    def append(self, record: Record) -> None:
        """Keep one record. Raises SpoolUnavailable, and then nothing of the record is kept."""
        line = _encoder.encode(record) + b"\n"
        with self._lock:
            try:
                self._write(self._segment_for(line), line)
            except OSError as error:
                self._failed = True
                raise SpoolUnavailable(f"spool folder {self._directory}: {error.strerror}") from error

    def close(self) -> None:
        """Sync and close the segment; a later append opens a new one."""
        with self._lock:
            self._close_segment()
            if self._closing is not None:
                self._closing.set()
            self._closing = None

    def _start(self) -> None:
        """A writer without a segment and with locks that nobody holds."""
        self._lock = threading.Lock()  # one append at a time
        self._syncing = threading.Lock()  # the segment stays open while it is synced; appends do not wait for it
        self._file = None
        self._closing = None
        self._size = 0
        self._dirty = False

    def _segment_for(self, line: bytes) -> int:
        if self._size and self._size + len(line) > self._segment_bytes:
            self._close_segment()
        if self._file is None:
            self._file, self._opened_at = _open_segment(self._directory), time.monotonic()
        if self._closing is None:
            self._closing = threading.Event()
            threading.Thread(target=self._keep_synced, args=(self._closing,), name="spool fsync", daemon=True).start()
        return self._file

    def _write(self, file: int, line: bytes) -> None:
        """Write all of the line or none of it.

        A segment that took a part of a line is cut back and ends there: bytes that a reader may have seen are never
        written over.
        """
        try:
            written = os.write(file, line)
            while written < len(line):
                written += os.write(file, line[written:])
        except OSError:
            try:
                os.ftruncate(file, self._size)
            finally:
                self._close_segment()
            raise
        self._size += len(line)
        self._dirty = True
        self._failed = False

    def _close_segment(self) -> None:
        with self._syncing:
            file = self._file
            self._file, self._size, self._dirty = None, 0, False
            if file is not None:
                _sync(file)
                os.close(file)

    def _keep_synced(self, closing: threading.Event) -> None:
        while not closing.wait(self._fsync_interval_s):
            with self._syncing:
                if self._file is not None and self._dirty:
                    self._dirty = False  # before the sync: what is appended during it is synced next time
                    _sync(self._file)
            self._end_old_segment()

    def _end_old_segment(self) -> None:
        """No append waits for its sync."""
        with self._lock, self._syncing:
            if self._file is None or time.monotonic() - self._opened_at < self._segment_s:
                return
            file, self._file, self._size = self._file, None, 0
        _sync(file)
        os.close(file)

    def _leave_to_parent(self) -> None:
        """In a forked child: the segment, its lock and the thread are the parent's."""
        if self._file is not None:
            os.close(self._file)  # or a dead parent's segment would look alive as long as the child lives
        self._start()


_writers: weakref.WeakSet[SpoolWriter] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for writer in list(_writers):
        writer._leave_to_parent()


os.register_at_fork(after_in_child=_leave_all_to_parent)


def _open_segment(directory: Path) -> int:
    """A locked segment; it gets its name only once it is locked, so no reader takes it for a dead writer's."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
    unnamed = path.with_suffix(".opening")
    file = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        unnamed.rename(path)
        _sync_directory(directory)
    except OSError:
        os.close(file)
        unnamed.unlink(missing_ok=True)
        raise
    return file


def _sync(file: int) -> None:
    try:
        os.fsync(file)
    except OSError as error:
        log.error("spool fsync: %s", error.strerror)


def _sync_directory(directory: Path) -> None:
    """Make the segment's name as durable as its bytes."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    _sync(file)
    os.close(file)


def _takes_bytes(directory: Path) -> bool:
    """Whether a file of a few kilobytes can be written; it is gone again afterwards."""
    probe = directory / f"{os.getpid()}-{secrets.token_hex(4)}.probe"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            return os.write(file, bytes(PROBE_BYTES)) == PROBE_BYTES
        finally:
            os.close(file)
            probe.unlink()
    except OSError:
        return False


def read_segment(path: Path, *, offset: int) -> Iterator[tuple[Record, int]]:
    """Records from a byte offset on, each with the offset behind it.

    A torn last line is not yielded: its request was never answered. Raises CorruptSpool at a complete line that
    cannot be decoded.
    """
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                record = _decoder.decode(line)
            except msgspec.DecodeError as error:
                raise CorruptSpool(path, offset=offset, length=len(line)) from error
            offset += len(line)
            yield record, offset


def segments(directory: Path) -> list[Path]:
    """Segments in the order in which they were opened."""
    return sorted(directory.glob(f"*{SUFFIX}"))


def writer_is_gone(path: Path) -> bool:
    """Whether no process holds the segment any more."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
