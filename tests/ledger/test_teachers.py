import math

import sqlalchemy as sa

from ledger import teachers
from ledger.database import connect, writing
from ledger.ingest import store
from ledger.queries import fresh_since
from ledger.records import TeacherReply, Usage
from ledger.schema import exchanges, settings, teacher_replies
from ledger.teachers import Answers
from tests.ledger.make import exchange


def test_traffic_begins_anew_where_the_model_behind_a_teachers_name_is_another_one(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    found = []
    for now, model in ((1.0, "openai/big"), (2.0, "openai/big"), (3.0, "openai/bigger"), (4.0, "openai/bigger")):
        teachers.note(engine, "desk", model=model, now=now)
        with engine.connect() as connection:
            assert teachers.since(connection, "mail") == -math.inf
            found.append((teachers.since(connection, "desk"), fresh_since(connection, "desk")))
    assert found == [(-math.inf, -math.inf), (-math.inf, -math.inf), (3.0, 3.0), (3.0, 3.0)]


def test_a_model_that_comes_back_has_its_answers_of_before_and_certifies_with_none_of_them(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    with engine.connect() as connection:
        assert teachers.answers(connection, "desk", teacher="big") == Answers("big")
    for now, model in ((1.0, "big"), (3.0, "bgi"), (4.0, "big"), (6.0, "other"), (8.0, "big")):
        teachers.note(engine, "desk", model=model, now=now)
    store(engine, [exchange(n) for n in range(10)])
    with engine.connect() as connection:
        found = teachers.answers(connection, "desk", teacher="big")
        assert teachers.since(connection, "desk") == 8.0
    assert counted(engine, found) == [0, 1, 2, 3, 5, 6, 9]


def counted(engine, answers):
    """The times of the exchanges whose answers count, alike by the database and without it."""
    same = teacher_replies.c.exchange_id == exchanges.c.id
    query = sa.select(exchanges.c.at, teacher_replies.c.teacher).join_from(
        exchanges, teacher_replies, same, isouter=True
    )
    theirs = answers.condition(exchanges.c.at, teacher_replies.c.teacher)
    with engine.connect() as connection:
        found = [at for at, _ in connection.execute(query.where(theirs).order_by(exchanges.c.at))]
        assert found == sorted(row.at for row in connection.execute(query) if answers.hold(*row))
    return found


def test_another_teachers_answers_do_not_count_and_what_nobody_has_answered_is_anybodys(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    small = TeacherReply("small", "label", "stop", Usage(10, 1), 0.01, 0.2)
    store(engine, [exchange(0), exchange(1, teacher_reply=small), exchange(2, teacher_reply=None), exchange(3)])
    assert counted(engine, Answers("big")) == [0, 2, 3]
    assert counted(engine, Answers("big", ((0.0, 2.0),))) == [2]
    assert counted(engine, Answers("small")) == [1, 2] and counted(engine, teachers.ANYBODYS) == [0, 1, 2, 3]


def test_what_a_version_before_has_kept_is_read(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    with writing(engine) as connection:
        connection.execute(settings.insert().values(key="teacher of desk", value='["big", 5.0]'))
    with engine.connect() as connection:
        assert teachers.since(connection, "desk") == 5.0
        assert teachers.answers(connection, "desk", teacher="a").spans == ((5.0, math.inf),)
    teachers.note(engine, "desk", model="other", now=7.0)
    with engine.connect() as connection:
        assert teachers.answers(connection, "desk", teacher="a").spans == ((7.0, math.inf),)
