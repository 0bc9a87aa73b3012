"""Records move once: whatever is killed, repeated, torn or corrupt."""

import fcntl
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

import msgspec
import pytest
import sqlalchemy as sa

from ledger.database import LedgerError, connect
from ledger.ingest import ingest_once, lag_bytes, run, store
from ledger.queries import task_rows
from ledger.records import Feedback, Label, TeacherReply, Usage
from ledger.schema import exchanges, feedback, spool_offsets, teacher_replies
from ledger.spool import SpoolWriter, segments
from tests.ledger.make import exchange, student_exchange


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


@pytest.fixture
def start():
    """Starts this Python with arguments; none of these processes outlives the test."""
    started = []

    def one(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.communicate()


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
    assert list(tmp_path.glob("*.rejected")) == []


def test_exchanges_are_numbered_in_the_order_of_their_recording(engine, tmp_path):
    for numbers in ((5, 3), (3, 1), (4,)):
        write(tmp_path, [exchange(number) for number in numbers]).close()
        ingest_once(engine, tmp_path)
    with engine.connect() as connection:
        found = connection.execute(sa.select(exchanges.c.id).order_by(exchanges.c.seq)).scalars().all()
    assert [one[-1] for one in found] == ["5", "3", "1", "4"]


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
    write(tmp_path, [exchange(1)]).close()
    stop = threading.Event()
    first = threading.Thread(target=run, args=(engine, tmp_path), kwargs={"stop": stop})
    first.start()
    try:
        wait_until(lambda: segments(tmp_path) == [])  # it is at work, so it holds the lock
        with pytest.raises(LedgerError, match="another ingester"):
            run(engine, tmp_path, stop=stop)
    finally:
        stop.set()
        first.join()


def test_no_ingestion_beside_a_running_ingester(engine, tmp_path):
    with (tmp_path / "ingester.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(LedgerError, match=str(tmp_path)):
            ingest_once(engine, tmp_path)
    assert ingest_once(engine, tmp_path) == 0


def test_only_what_is_new_counts_as_stored(engine, tmp_path):
    late = Label(exchange_id="id-000002", at=3.0, reply=TeacherReply("big", "late", "stop"))
    write(tmp_path, [exchange(1), exchange(1, answer="again"), student_exchange(2), late, late]).close()
    assert ingest_once(engine, tmp_path, batch=2) == 3
    with engine.connect() as connection:
        assert connection.execute(sa.select(exchanges.c.answer).order_by("id")).scalars().all() == ["label 1", "refund"]


def test_a_label_may_come_before_its_exchange(engine, tmp_path):
    write(tmp_path, [Label(exchange_id="id-000002", at=3.0, reply=TeacherReply("big", "refund"))])
    write(tmp_path, [student_exchange(2)])
    assert ingest_once(engine, tmp_path) == 2
    assert [row.teacher_text for row in task_rows(engine, "desk")] == ["refund"]


def test_a_torn_last_line_of_a_dead_writer_is_kept(engine, tmp_path, caplog):
    write(tmp_path, [exchange(1)]).close()
    (path,) = segments(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"type":"exchange","id":"torn')
    assert ingest_once(engine, tmp_path) == 1
    assert segments(tmp_path) == []
    assert path.with_name(path.name + ".rejected").read_bytes() == b'{"type":"exchange","id":"torn'
    assert "torn" in caplog.text


def test_a_torn_last_line_of_a_living_writer_is_waited_for(engine, tmp_path):
    writer = write(tmp_path, [exchange(1)])
    (path,) = segments(tmp_path)
    line = msgspec.json.encode(exchange(2)) + b"\n"
    with path.open("ab", buffering=0) as file:
        file.write(line[:40])
        assert ingest_once(engine, tmp_path) == 1
        file.write(line[40:])
    assert ingest_once(engine, tmp_path) == 1
    assert list(tmp_path.glob("*.rejected")) == []
    writer.close()


def test_a_record_that_no_column_holds_is_kept_and_stops_nothing(engine, tmp_path):
    reply = TeacherReply("big", "x", "stop", Usage(prompt_tokens=2**70))
    writer = write(tmp_path, [exchange(1), exchange(2, teacher_reply=reply), exchange(3)])
    (path,) = segments(tmp_path)
    assert ingest_once(engine, tmp_path) == 2
    assert ids(engine) == ["id-000001", "id-000003"]
    kept = path.with_name(path.name + ".rejected").read_bytes()
    assert msgspec.json.decode(kept)["id"] == "id-000002"
    assert lag_bytes(engine, tmp_path) == 0
    writer.close()


@pytest.mark.sqlite
def test_a_locked_or_missing_database_is_outlived(engine, tmp_path, caplog):
    spool = tmp_path / "spool"
    stop = threading.Event()
    writer = write(spool, [exchange(1)])
    with engine.connect() as connection:
        connection.execute(sa.text("PRAGMA busy_timeout=1"))  # the pool has one connection: the ingester's next
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ingester = threading.Thread(target=run, args=(engine, spool), kwargs={"stop": stop, "poll_s": 0.01})
    ingester.start()
    try:
        wait_until(lambda: "database is locked" in caplog.text)
        assert len(segments(spool)) == 1
        other.execute("ALTER TABLE exchanges RENAME TO gone")
        other.execute("COMMIT")
        wait_until(lambda: "no such table" in caplog.text)
        other.execute("ALTER TABLE gone RENAME TO exchanges")
        wait_until(lambda: ids(engine) == ["id-000001"])
        writer.append(exchange(2))
        wait_until(lambda: ids(engine) == ["id-000001", "id-000002"])
    finally:
        stop.set()
        ingester.join()


def test_what_is_appended_before_the_stop_is_stored_after_it(engine, tmp_path):
    stop = threading.Event()
    stop.set()
    write(tmp_path, [exchange(1)])
    run(engine, tmp_path, stop=stop)
    assert ids(engine) == ["id-000001"]


WRITER = """
import sys, time
from pathlib import Path
from ledger.spool import SpoolWriter
from tests.ledger.make import exchange
writer, number = SpoolWriter(Path(sys.argv[1]), segment_bytes=50_000), int(sys.argv[2])
while True:
    writer.append(exchange(number))
    print(f"id-{number:06d}", flush=True)
    number += 1
    time.sleep(0.001)
"""


def test_kill_9_of_writers_and_ingesters_neither_loses_nor_doubles(engine, tmp_path, start):
    spool = tmp_path / "spool"
    promised: list[str] = []
    for part in range(3):
        writer = start("-c", WRITER, str(spool), str(part * 100_000))
        ingester = start("-m", "ledger.ingest", str(engine.url), str(spool))
        promised += [writer.stdout.readline().strip() for _ in range(200)]
        reader = threading.Thread(target=keep_lines, args=(writer.stdout, promised))
        reader.start()
        wait_until(lambda first=f"id-{part * 100_000:06d}": first in ids(engine))
        time.sleep(0.02 * part)
        for process in (ingester, writer):
            process.send_signal(signal.SIGKILL)
            process.wait()
        reader.join()
    ingest_once(engine, spool)
    found = ids(engine)
    assert len(found) == len(set(found))
    assert set(promised) <= set(found)
    assert segments(spool) == []


def keep_lines(out: IO[str], lines: list[str]) -> None:
    lines += out.read().split()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it has not come true in time"
        time.sleep(0.01)


def test_the_last_word_on_an_answer_counts_however_often_and_in_whatever_order_it_is_read(engine):
    early = Feedback(exchange_id="id-000001", at=1.0, good=True)
    late = Feedback(exchange_id="id-000001", at=2.0, good=False, correction="refund", key="key-1")
    assert store(engine, [late]) == 1
    assert store(engine, [early, late]) == 0
    with engine.connect() as connection:
        (found,) = connection.execute(sa.select(feedback)).mappings()
    assert dict(found) == msgspec.structs.asdict(late)
    assert store(engine, [Feedback(exchange_id="id-000001", at=3.0, good=True)]) == 1


def test_what_no_database_takes_as_it_is_costs_no_record(engine):
    """NUL is no character for PostgreSQL, and its columns have a length; what others write has neither limit."""
    messages = [{"role": "user", "content": "a\x00b"}]
    reply = TeacherReply("big", "yes\x00", "s" * 99, Usage(1, 1), 0.0, 0.1)
    odd = exchange(1, model="m" * 200, messages=messages, answer="yes\x00", teacher_reply=reply)
    assert store(engine, [odd]) == 1
    with engine.connect() as connection:
        assert connection.execute(sa.select(exchanges.c.model, exchanges.c.answer)).one() == ("m" * 128, "yes\ufffd")
        assert connection.execute(sa.select(teacher_replies.c.finish_reason)).scalar() == "s" * 32
        found = sa.select(sa.func.count()).where(exchanges.c.model == "m" * 200)
        assert connection.execute(found).scalar() == 1
    assert task_rows(engine, "desk")[0].messages == [{"role": "user", "content": "a\ufffdb"}]


def test_json_is_kept_without_nul_and_otherwise_as_it_is(engine):
    params = {"user": "u\x00", "stop": ["\x00", "\\u0000", "\\\x00", '"\x00"', "\\\\u0000"]}
    store(engine, [exchange(1, params=params)])
    kept = {"user": "u\ufffd", "stop": ["\ufffd", "\\u0000", "\\\ufffd", '"\ufffd"', "\\\\u0000"]}
    assert task_rows(engine, "desk")[0].params == kept
    with engine.connect() as connection:  # one field, as `tutelage forget --user` asks for it
        assert connection.execute(sa.select(exchanges.c.params["user"].as_string())).scalar() == "u\ufffd"
