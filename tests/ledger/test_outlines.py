import math

import pytest

from ledger.database import connect
from ledger.forgetting import Meant, find, forget
from ledger.ingest import store, store_log
from ledger.outlines import lessons_begin, outlines
from ledger.queries import rows_of, task_rows
from ledger.records import Feedback, TeacherReply
from ledger.teachers import Answers
from tests.ledger.make import exchange, student_exchange

LOST = TeacherReply("big", None, error="TeacherUnavailable")


@pytest.fixture
def engine(tmp_path):
    """Lessons are 0, 2, 3, 4 and 8; 8 is another teacher's."""
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    changed = {
        1: {"teacher_reply": LOST},
        5: {"eligible": False},
        6: {"teaches": False},
        7: {"origin": "synthetic"},
        8: {"teacher_reply": TeacherReply("other", "refund", "stop")},
    }
    store(engine, [exchange(n, **changed.get(n, {})) for n in range(9) if n != 4])
    store(engine, [student_exchange(4)])  # which no teacher was asked
    store(engine, [Feedback(exchange_id="id-000004", at=5.0, good=False, correction="delivery")])
    return engine


def test_an_outline_says_what_its_row_is(engine):
    forget(engine, find(engine, Meant(("id-000003",)), due=math.inf), meant=Meant(("id-000003",)), now=9.0)
    found, rows = outlines(engine, "desk", since=0.0), task_rows(engine, "desk")
    assert [row.exchange_id for row in found] == [row.exchange_id for row in rows] and len(found) == 8
    for row, whole in zip(found, rows, strict=True):
        for name in ("answered_at", "at", "eligible", "reference", "rho", "teaches", "teacher", "replied", "forgotten"):
            assert getattr(row, name) == getattr(whole, name)
        assert (row.labelled, row.corrected) == (whole.teacher_text is not None, whole.correction is not None)
    assert [row.exchange_id[-1] for row in found if row.lesson] == ["0", "2", "4", "8"]
    assert [row.at for row in outlines(engine, "desk", since=6.0)] == [6.0, 8.0]


@pytest.mark.parametrize(
    ("teacher", "until", "most", "begins"),
    [
        ("big", math.inf, 1, 4.0),  # corrected, and nobody else's
        (None, math.inf, 1, 8.0),
        ("big", 3.0, 1, 3.0),
        ("big", 3.0, 2, 2.0),
        ("big", 3.0, 4, 0.0),  # there are not so many
        ("big", -math.inf, 1, 0.0),
    ],
)
def test_where_the_newest_lessons_begin(engine, *, teacher, until, most, begins):
    assert lessons_begin(engine, "desk", said=Answers(teacher), until=until, most=most) == begins


def test_only_what_the_model_of_now_has_said_is_counted(engine):
    said = Answers("big", ((-math.inf, 1.0), (2.5, math.inf)))
    assert lessons_begin(engine, "desk", said=said, until=math.inf, most=2) == 3.0
    assert lessons_begin(engine, "desk", said=said, until=2.0, most=1) == 0.0
    store_log(engine, [exchange(50, at=1.5, origin="import")], teacher="big", at=9.0)
    assert lessons_begin(engine, "desk", said=said, until=2.0, most=1) == 1.5


def test_many_rows_come_in_the_order_that_is_asked_for(engine):
    store(engine, [exchange(n) for n in range(100, 1300)])
    many = [f"id-{n:06d}" for n in range(1299, 99, -1)]
    assert [row.exchange_id for row in rows_of(engine, many)] == many
    wanted = ["id-000008", "nobody", "id-000000"]
    assert [row.exchange_id for row in rows_of(engine, wanted)] == ["id-000008", "id-000000"]
    assert rows_of(engine, wanted)[1] == task_rows(engine, "desk")[0]
