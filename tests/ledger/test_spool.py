"""What append returned for is there, whatever happens afterwards; what failed leaves no trace."""

import errno
import os
import signal
import subprocess
import sys
import textwrap

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
