import pytest

from ledger import trials
from ledger.database import connect
from ledger.ingest import ingest_once
from ledger.spool import SpoolWriter
from tests.ledger.make import exchange, student_exchange

NAME, OTHER = "desk--v000001", "desk--v000002"


@pytest.fixture
def record(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")

    def write(*records):
        spool = SpoolWriter(tmp_path / "spool")
        for each in records:
            spool.append(each)
        spool.close()
        ingest_once(engine, tmp_path / "spool")
        return engine

    return write


@pytest.mark.parametrize(
    ("fields", "went"),
    [
        ({"latency_s": 0.4}, (False, False, 0.4)),
        ({"reason": "unsure", "route": "teacher", "latency_s": 2.0}, (False, False, None)),
        ({"reason": "truncated", "route": "teacher"}, (False, False, None)),
        ({"reason": "student_unavailable", "route": "teacher"}, (True, False, None)),
        ({"reason": "no_evidence", "route": "teacher"}, (True, False, None)),
        ({"status": 502, "route": "none"}, (True, False, None)),  # a stream that broke off
        ({"status": 499, "route": "none"}, (False, False, None)),  # its client has seen a part
        ({"reason": "client_left", "status": 499, "route": "none"}, (False, True, None)),
    ],
)
def test_how_a_request_went(record, fields, went):
    (found,) = trials.asked(record(student_exchange(1, **fields)), NAME, limit=None)
    assert (found.failed, found.left, found.latency_s) == went


@pytest.mark.parametrize("reason", ["too_long", "decoding_mode", "new_alias", "certificate_expired"])
def test_what_it_was_not_asked_to_draft_is_no_request_of_its(record, reason):
    engine = record(student_exchange(1, reason=reason, route="teacher"))
    assert trials.count(engine, NAME, since=0.0) == 0


def test_requests_come_in_the_order_of_their_recording_from_a_time_on(record):
    order = (5, 3, 4, 1, 6)
    engine = record(*(student_exchange(number, release=OTHER if number == 4 else NAME) for number in order))
    assert [each.seq for each in trials.asked(engine, NAME, since=3.0, limit=2)] == [1, 2]
    assert [each.seq for each in trials.asked(engine, NAME, since=3.0, seqs=(2, None), limit=None)] == [2, 5]
    assert [each.seq for each in trials.asked(engine, OTHER, seqs=(1, 5), limit=None)] == [3]
    assert [each.at for each in trials.asked(engine, NAME, since=5.5, limit=9)] == [6.0]
    assert [each.at for each in trials.first(engine, NAME, since=2.0, limit=2)] == [3.0, 5.0]
    assert trials.count(engine, NAME, since=3.0) == 3


def test_a_teachers_answers_are_those_where_nothing_was_in_force(record):
    engine = record(
        exchange(1, latency_s=1.0),
        exchange(2, latency_s=2.0, reason="unsure"),
        exchange(3, latency_s=3.0, status=502, route="none"),
        exchange(4, latency_s=4.0, task="mail"),
        exchange(5, latency_s=5.0, origin="import"),
        exchange(6, latency_s=6.0),
    )
    assert trials.teachers_latencies(engine, "desk", seqs=(1, 6)) == [1.0, 6.0]
    assert trials.teachers_latencies(engine, "desk", seqs=(2, 5)) == []


def test_before_it_answered_another_release_or_else_the_teacher(record):
    teacher = [exchange(number, latency_s=float(number)) for number in (1, 2, 3)]
    engine = record(*teacher, student_exchange(4, latency_s=9.0))
    assert trials.latencies_before(engine, "desk", but=NAME, until=3.0, limit=5) == [2.0, 1.0]
    record(student_exchange(5, release=OTHER, latency_s=0.5), student_exchange(8, release=OTHER, latency_s=0.8))
    assert trials.latencies_before(engine, "desk", but=NAME, until=8.0, limit=5) == [0.5]
    assert trials.latencies_before(engine, "desk", but=OTHER, until=8.0, limit=5) == [9.0]
