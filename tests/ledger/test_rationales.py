from ledger.database import connect
from ledger.ingest import store
from ledger.rationales import rationales
from ledger.records import Label, TeacherReply
from tests.ledger.make import exchange, student_exchange


def test_those_that_are_asked_for_and_recorded_are_found_of_requests_and_of_labels(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    thought = [exchange(n, teacher_reply=TeacherReply("big", "yes", "stop", rationale=f"why {n}")) for n in range(3)]
    late = Label(exchange_id="id-000004", at=9.0, reply=TeacherReply("big", "yes", "stop", rationale="why 4"))
    store(engine, [*thought, exchange(3), student_exchange(4), late])
    asked = [f"id-{n:06d}" for n in (1, 2, 3, 4, 7)]
    assert rationales(engine, asked) == {"id-000001": "why 1", "id-000002": "why 2", "id-000004": "why 4"}
    assert rationales(engine, []) == {}


def test_thousands_are_found_at_once(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    reply = TeacherReply("big", "yes", "stop", rationale="why")
    store(engine, [exchange(n, teacher_reply=reply) for n in range(2500)])
    assert len(rationales(engine, [f"id-{n:06d}" for n in range(2500)])) == 2500
