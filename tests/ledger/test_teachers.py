import math

from ledger import teachers
from ledger.database import connect
from ledger.queries import fresh_since


def test_traffic_begins_anew_where_the_model_behind_a_teachers_name_is_another_one(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    found = []
    for now, model in ((1.0, "openai/big"), (2.0, "openai/big"), (3.0, "openai/bigger"), (4.0, "openai/bigger")):
        teachers.note(engine, "desk", model=model, now=now)
        with engine.connect() as connection:
            assert teachers.since(connection, "mail") == -math.inf
            found.append((teachers.since(connection, "desk"), fresh_since(connection, "desk")))
    assert found == [(-math.inf, -math.inf), (-math.inf, -math.inf), (3.0, 3.0), (3.0, 3.0)]
