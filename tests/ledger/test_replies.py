"""What teachers' answers took, read back by exchange."""

from ledger.database import connect
from ledger.ingest import store
from ledger.records import Label, TeacherReply, Usage
from ledger.replies import Reply, replies
from tests.ledger.make import exchange, student_exchange


def test_it_is_what_was_recorded_of_answers_also_of_labels_that_came_later(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    usage = Usage(10, 2, cached_tokens=4, reasoning_tokens=1)
    asked = exchange(1, teacher_reply=TeacherReply("big", "refund", "stop", usage, 0.01, 0.5))
    lost = exchange(2, teacher_reply=TeacherReply("big", None, error="timed out"))
    label = Label(exchange_id="id-000003", at=4.0, reply=TeacherReply("big", "refund", "stop", Usage(7, 1), 0.02, 0.7))
    store(engine, [asked, lost, student_exchange(3), label, student_exchange(4), exchange(5)])
    found = replies(engine, [f"id-00000{n}" for n in (1, 2, 3, 4)])
    assert found == {"id-000001": Reply(usage, 0.01, 0.5), "id-000003": Reply(Usage(7, 1), 0.02, 0.7)}
