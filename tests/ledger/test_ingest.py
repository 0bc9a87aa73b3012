"""Records move once: whatever is killed, repeated, torn or corrupt."""

import signal
import subprocess
import sys
import threading
import time

import pytest
import sqlalchemy as sa

from ledger.database import LedgerError, connect
from ledger.ingest import ingest_once, lag_bytes, run
from ledger.records import Label, TeacherReply
from ledger.schema import exchanges, spool_offsets, teacher_replies
from ledger.spool import SpoolWriter, segments
from tests.ledger.make import exchange, student_exchange


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def ids(engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(exchanges.c.id).order_by(exchanges.c.id)).scalars())


def write(directory, records):
    writer = SpoolWriter(directory)
    for record in records:
        writer.append(record)
    return writer


def test_a_living_segment_is_followed_and_a_finished_one_deleted(engine, tmp_path):
    writer = write(tmp_path, [exchange(1)])
    assert ingest_once(engine, tmp_path) == 1
    writer.append(student_exchange(2))
    assert lag_bytes(engine, tmp_path) > 0
    assert ingest_once(engine, tmp_path) == 1
    assert lag_bytes(engine, tmp_path) == 0
    assert len(segments(tmp_path)) == 1
    writer.close()
    assert ingest_once(engine, tmp_path) == 0
    assert segments(tmp_path) == []
    assert ids(engine) == ["id-000001", "id-000002"]


def test_reading_a_segment_twice_changes_nothing(engine, tmp_path):
    label = Label(exchange_id="id-000002", at=3.0, reply=TeacherReply("big", "refund", "stop"))
    write(tmp_path, [exchange(1), student_exchange(2), label])
    ingest_once(engine, tmp_path)
    with engine.begin() as connection:
        connection.execute(spool_offsets.delete())
    ingest_once(engine, tmp_path)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(teacher_replies.c.exchange_id, teacher_replies.c.background)).all()
    assert ids(engine) == ["id-000001", "id-000002"]
    assert sorted(map(tuple, rows)) == [("id-000001", False), ("id-000002", True)]


def test_a_corrupt_line_is_set_aside_and_what_follows_is_stored(engine, tmp_path):
    writer = write(tmp_path, [exchange(1)])
    (path,) = segments(tmp_path)
    with path.open("ab") as file:
        file.write(b"{broken}\n")
    writer.append(exchange(2))
    assert ingest_once(engine, tmp_path) == 2
    assert ids(engine) == ["id-000001", "id-000002"]
    assert path.with_name(path.name + ".rejected").read_bytes() == b"{broken}\n"


def test_a_second_ingester_is_refused(engine, tmp_path):
    stop = threading.Event()
    first = threading.Thread(target=run, args=(engine, tmp_path), kwargs={"stop": stop})
    first.start()
    try:
        deadline = time.monotonic() + 5
        while not (tmp_path / "ingester.lock").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        with pytest.raises(LedgerError, match="another ingester"):
            run(engine, tmp_path, stop=stop)
    finally:
        stop.set()
        first.join()


def test_kill_9_of_the_ingester_neither_loses_nor_doubles(engine, tmp_path):
    spool = tmp_path / "spool"
    writer = SpoolWriter(spool, segment_bytes=50_000)
    command = [sys.executable, "-m", "ledger.ingest", str(engine.url), str(spool)]
    for part in range(3):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 1.2
        number = part * 100_000
        while time.monotonic() < until:
            writer.append(exchange(number))
            number += 1
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
    writer.close()
    expected = sorted(r.id for path in segments(spool) for r in _read(path))
    ingest_once(engine, spool)
    found = ids(engine)
    assert len(found) == len(set(found)) > 300
    assert set(expected) <= set(found)
    assert segments(spool) == []


def _read(path):
    from ledger.spool import read_segment

    return [record for record, _ in read_segment(path, offset=0)]
