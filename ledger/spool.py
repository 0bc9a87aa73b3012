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
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ledger.records import Record

SUFFIX = ".jsonl"
PROBE = b" " * 512  # blank lines are no records; large enough to notice a full disk

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
    """Appends records; safe between threads. Rotates to a new segment at `segment_bytes`."""

    def __init__(self, directory: Path, *, fsync_interval_s: float = 1.0, segment_bytes: int = 64 << 20) -> None:
        self._directory = directory
        self._fsync_interval_s = fsync_interval_s
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._file: int | None = None
        self._size = 0
        self._failed = False
        self._closed = threading.Event()
        self._dirty = False
        threading.Thread(target=self._keep_synced, name="spool fsync", daemon=True).start()

    @property
    def available(self) -> bool:
        """True unless the last append failed and a probe of a few bytes still does."""
        if not self._failed:
            return True
        with self._lock:
            try:
                self._write(PROBE + b"\n")
            except OSError:
                return False
            self._failed = False
            return True

    def append(self, record: Record) -> None:
        """Keep one record. Raises SpoolUnavailable, and the segment stays as it was."""
        line = _encoder.encode(record) + b"\n"
        with self._lock:
            try:
                self._write(line)
            except OSError as error:
                self._failed = True
                raise SpoolUnavailable(f"spool folder {self._directory}: {error.strerror}") from error

    def close(self) -> None:
        """Sync and close the segment; a later append opens a new one."""
        self._closed.set()
        with self._lock:
            self._close_segment()

    def _write(self, line: bytes) -> None:
        """Write all of the line or none of it: what a full disk took of it is cut off again."""
        if self._file is None or self._size + len(line) > self._segment_bytes:
            self._close_segment()
            self._file = _open_segment(self._directory)
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)
        self._dirty = True

    def _close_segment(self) -> None:
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
        self._file, self._size, self._dirty = None, 0, False

    def _keep_synced(self) -> None:
        while not self._closed.wait(self._fsync_interval_s):
            with self._lock:
                # A duplicate, so that the slow sync runs without the lock that appends wait for.
                file = os.dup(self._file) if self._file is not None and self._dirty else None
                self._dirty = False
            if file is not None:
                _sync(file)


def _open_segment(directory: Path) -> int:
    """A locked segment; it gets its name only once it is locked, so no reader takes it for a dead writer's."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
    unnamed = path.with_suffix(".opening")
    file = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    unnamed.rename(path)
    return file


def _sync(file: int) -> None:
    try:
        os.fsync(file)
    except OSError as error:
        log.error("spool fsync: %s", error.strerror)
    finally:
        os.close(file)


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
            behind = offset + len(line)
            if line.strip():
                try:
                    record = _decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise CorruptSpool(path, offset=offset, length=len(line)) from error
                yield record, behind
            offset = behind


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
