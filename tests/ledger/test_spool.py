"""What append returned for is there, whatever happens afterwards; what failed leaves no trace."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from ledger.records import Exchange, Label, TeacherReply
from ledger.spool import CorruptSpool, SpoolUnavailable, SpoolWriter, read_segment, segments, writer_is_gone
from tests.ledger.make import exchange, student_exchange


def records(directory):
    return [record for path in segments(directory) for record, _ in read_segment(path, offset=0)]


def test_records_come_back_as_they_went(tmp_path):
    written = [
        exchange(1),
        student_exchange(2),
        Label(exchange_id="id-000002", at=3.0, reply=TeacherReply("big", None, error="x")),
    ]
    writer = SpoolWriter(tmp_path)
    for record in written:
        writer.append(record)
    assert records(tmp_path) == written  # before close: a reader need not wait
    writer.close()
    assert isinstance(records(tmp_path)[0], Exchange)


def test_segments_rotate_and_tell_a_living_writer_from_a_dead_one(tmp_path):
    writer = SpoolWriter(tmp_path, segment_bytes=1000)
    for number in range(10):
        writer.append(exchange(number))
    found = segments(tmp_path)
    assert len(found) > 1
    assert [writer_is_gone(path) for path in found] == [True] * (len(found) - 1) + [False]
    assert [record.id for record in records(tmp_path)] == [f"id-{n:06d}" for n in range(10)]
    writer.close()
    assert writer_is_gone(found[-1])


def test_reading_goes_on_from_an_offset_and_stops_at_a_torn_line(tmp_path):
    writer = SpoolWriter(tmp_path)
    writer.append(exchange(1))
    writer.append(exchange(2))
    writer.close()
    (path,) = segments(tmp_path)
    (_, first), (_, second) = read_segment(path, offset=0)
    assert [record.id for record, _ in read_segment(path, offset=first)] == ["id-000002"]
    with path.open("ab") as file:
        file.write(b'{"type":"exchange","id":"torn')
    assert list(read_segment(path, offset=second)) == []


def test_a_complete_line_that_is_no_record_is_named(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"type": "exchange"}\n')
    with pytest.raises(CorruptSpool, match="byte 0"):
        list(read_segment(path, offset=0))


def test_a_full_disk_leaves_whole_lines_and_is_noticed_until_it_ends(tmp_path, monkeypatch):
    writer = SpoolWriter(tmp_path)
    writer.append(exchange(1))
    real = os.write

    calls = iter([True])

    def partly(file, data):
        if next(calls, False):
            return real(file, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", partly)
    with pytest.raises(SpoolUnavailable, match="No space left"):
        writer.append(exchange(2))
    assert not writer.available
    monkeypatch.setattr(os, "write", real)
    assert writer.available
    writer.append(exchange(3))
    assert [record.id for record in records(tmp_path)] == ["id-000001", "id-000003"]


def test_a_real_size_limit_of_the_system_is_survived(tmp_path):
    script = textwrap.dedent("""
        import resource, signal, sys
        from pathlib import Path
        from ledger.spool import SpoolUnavailable, SpoolWriter
        from tests.ledger.make import exchange
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        writer, kept = SpoolWriter(Path(sys.argv[1])), 0
        try:
            for number in range(100):
                writer.append(exchange(number))
                kept += 1
        except SpoolUnavailable:
            print(kept)
    """)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 100
    assert len(records(tmp_path)) == int(done.stdout)


def test_kill_9_loses_nothing_that_was_appended(tmp_path):
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from ledger.spool import SpoolWriter
        from tests.ledger.make import exchange
        writer, number = SpoolWriter(Path(sys.argv[1]), segment_bytes=20_000), 0
        while True:
            writer.append(exchange(number))
            print(number, flush=True)
            number += 1
    """)
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    promised = [int(process.stdout.readline()) for _ in range(300)]
    process.send_signal(signal.SIGKILL)
    promised += [int(line) for line in process.stdout.read().split()]
    process.wait()
    found = [record.id for record in records(tmp_path)]
    assert len(found) == len(set(found))
    assert {f"id-{number:06d}" for number in promised} <= set(found)
    assert all(map(writer_is_gone, segments(tmp_path)))


def test_a_segment_that_failed_ends_where_it_was_whole(tmp_path, monkeypatch):
    """A reader may have seen the bytes that are cut off: none are ever written in their place."""
    writer = SpoolWriter(tmp_path)
    writer.append(exchange(1))
    (failed,) = segments(tmp_path)
    whole = failed.read_bytes()
    real = os.write
    seen = []

    def partly(file, data):
        if seen:
            raise OSError(errno.ENOSPC, "No space left on device")
        seen.append(real(file, data[:50]))
        return seen[0]

    with monkeypatch.context() as full:
        full.setattr(os, "write", partly)
        with pytest.raises(SpoolUnavailable, match=str(tmp_path)):
            writer.append(exchange(2))
    assert failed.read_bytes() == whole
    assert writer_is_gone(failed)
    writer.append(exchange(3))
    assert failed.read_bytes() == whole
    assert [record.id for record in records(tmp_path)] == ["id-000001", "id-000003"]
    assert sorted(tmp_path.iterdir()) == segments(tmp_path)


def test_a_folder_that_cannot_be_written_is_unavailable_until_it_can(tmp_path):
    folder = tmp_path / "spool"
    folder.write_text("a file is in the way")
    writer = SpoolWriter(folder)
    assert writer.available  # nothing has failed yet
    for _ in range(2):
        with pytest.raises(SpoolUnavailable, match="spool"):
            writer.append(exchange(1))
        assert not writer.available
    folder.unlink()
    assert writer.available
    writer.append(exchange(2))
    assert [record.id for record in records(folder)] == ["id-000002"]
    assert sorted(folder.iterdir()) == segments(folder)


def test_a_record_longer_than_a_segment_gets_one_of_its_own(tmp_path):
    writer = SpoolWriter(tmp_path, segment_bytes=100)
    for number in range(3):
        writer.append(exchange(number))
    assert [len(list(read_segment(path, offset=0))) for path in segments(tmp_path)] == [1, 1, 1]


def test_a_forked_child_writes_to_a_segment_of_its_own(tmp_path):
    script = textwrap.dedent("""
        import os, sys, time
        from pathlib import Path
        from ledger.spool import SpoolWriter
        from tests.ledger.make import exchange
        writer = SpoolWriter(Path(sys.argv[1]))
        writer.append(exchange(1))
        if os.fork() == 0:
            writer.append(exchange(2))
            print("child", os.getpid(), flush=True)
            time.sleep(60)
        writer.append(exchange(3))
        os.wait()
    """)
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    try:
        deadline = time.monotonic() + 10
        while len(records(tmp_path)) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        of_parent, of_child = segments(tmp_path)
        assert [r.id for r, _ in read_segment(of_parent, offset=0)] == ["id-000001", "id-000003"]
        assert [r.id for r, _ in read_segment(of_child, offset=0)] == ["id-000002"]
        process.kill()
        process.wait()
        assert writer_is_gone(of_parent)  # although its child lives
        assert not writer_is_gone(of_child)
    finally:
        process.kill()
        os.kill(child, signal.SIGKILL)


def test_appended_bytes_are_synced_within_the_interval_also_after_a_pause(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (real(file), synced.append(os.fstat(file).st_size)))
    writer = SpoolWriter(tmp_path, fsync_interval_s=0.02)
    for number in range(2):
        writer.append(exchange(number))
        (path,) = segments(tmp_path)
        deadline = time.monotonic() + 5
        while path.stat().st_size not in synced and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_size in synced
    counts, deadline = [-1, len(synced)], time.monotonic() + 5
    while counts[-1] != counts[-2] and time.monotonic() < deadline:  # what was under way then is done
        time.sleep(0.2)
        counts.append(len(synced))
    assert counts[-1] == counts[-2]  # nothing new, nothing to sync
    writer.close()


def test_a_closed_writer_opens_a_new_segment(tmp_path):
    writer = SpoolWriter(tmp_path)
    writer.append(exchange(1))
    writer.close()
    writer.close()
    writer.append(exchange(2))
    assert [writer_is_gone(path) for path in segments(tmp_path)] == [True, False]
    writer.close()


def test_a_segment_ends_by_itself_after_its_time_and_nothing_is_lost(tmp_path):
    writer = SpoolWriter(tmp_path, fsync_interval_s=0.01, segment_s=0.05)
    for number in range(3):
        writer.append(exchange(number))
        deadline = time.monotonic() + 5
        while not writer_is_gone(segments(tmp_path)[-1]) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert writer_is_gone(segments(tmp_path)[-1])
    assert len(segments(tmp_path)) == 3 and len(records(tmp_path)) == 3
    writer.close()
