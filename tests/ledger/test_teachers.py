import math

import sqlalchemy as sa

from ledger import teachers
from ledger.database import connect, writing
from ledger.ingest import store
from ledger.queries import fresh_since
from ledger.schema import exchanges, settings
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
        assert teachers.answers(connection, "desk") == teachers.ANYBODYS
    for now, model in ((1.0, "big"), (3.0, "bgi"), (4.0, "big"), (6.0, "other"), (8.0, "big")):
        teachers.note(engine, "desk", model=model, now=now)
    store(engine, [exchange(n) for n in range(10)])
    with engine.connect() as connection:
        found = teachers.answers(connection, "desk")
        assert teachers.since(connection, "desk") == 8.0
        mine = connection.execute(sa.select(exchanges.c.at).where(found.condition(exchanges.c.at))).scalars().all()
    assert sorted(mine) == [at for at in map(float, range(10)) if found.hold(at)] == [0, 1, 2, 3, 5, 6, 9]


def test_what_a_version_before_has_kept_is_read(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    with writing(engine) as connection:
        connection.execute(settings.insert().values(key="teacher of desk", value='["big", 5.0]'))
    with engine.connect() as connection:
        assert teachers.since(connection, "desk") == 5.0
        assert teachers.answers(connection, "desk").spans == ((5.0, math.inf),)
    teachers.note(engine, "desk", model="other", now=7.0)
    with engine.connect() as connection:
        assert teachers.answers(connection, "desk").spans == ((7.0, math.inf),)
