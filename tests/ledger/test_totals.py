"""What is stored is counted once, however often it is read, and sums of before are those that were counted since."""

import math
import random
from dataclasses import replace

import pytest
from alembic import command
from alembic.config import Config

from ledger import totals
from ledger.database import MIGRATIONS, connect, writing
from ledger.forgetting import Meant, find, forget
from ledger.ingest import store
from ledger.records import Draft, Label, TeacherReply, Usage
from ledger.totals import ALL, HOUR_S, Of, Sums
from tests.ledger.make import exchange, student_exchange

LABEL = TeacherReply("big", "refund", "stop", Usage(11, 2, cached_tokens=4), 0.02, 0.1)


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path / 'ledger.db'}")


def read(engine, **of):
    with engine.connect() as connection:
        return totals.read(connection, **of)


def label(number, reply=LABEL):
    return Label(exchange_id=f"id-{number:06d}", at=float(number) + 1, reply=reply)


def everything():
    """A bit of everything that is paid for, in two hours and two tasks."""
    late = 2.5 * HOUR_S
    yield exchange(0)
    yield exchange(1, at=late, key="shop")
    yield exchange(2, task=None, status=502, route="none", teacher_reply=TeacherReply("big", None, error="down"))
    yield exchange(3, reason="unsure", draft=Draft("x", "stop", {}, Usage(9, 1), 0.001), release="desk--v000001")
    yield from (student_exchange(number, at=late) for number in range(4, 8))
    yield exchange(8, origin="judge", reason="own")
    yield exchange(9, origin="import")
    yield exchange(10, task="till")
    yield from (label(number) for number in (4, 6))
    yield label(5, TeacherReply("big", None, error="TeacherUnavailable"))


def test_it_is_counted_by_hour_and_in_all(engine):
    store(engine, list(everything()))
    hours = {hour: found for hour, of, found in read(engine, since=0.0) if of == Of("desk", "", "", "client")}
    assert hours == {0: Sums(requests=1, paid_usd=0.01, teacher_prompt_tokens=10, teacher_completion_tokens=1)}
    students = Of("desk", "desk--v000001", "", "client")
    (late,) = [found for hour, of, found in read(engine, since=0.0) if (hour, of) == (2 * HOUR_S, students)]
    assert (late.requests, late.student_answers, late.answer_tokens, late.pairs) == (4, 4, 48, 2)
    assert (late.label_usd, late.draft_usd) == (pytest.approx(0.04), pytest.approx(0.004))
    assert (late.pair_x, late.pair_y) == (24.0, pytest.approx(0.04))
    assert (late.teacher_prompt_tokens, late.teacher_cached_tokens) == (22, 8)
    (early,) = [found for hour, of, found in read(engine, since=0.0) if (hour, of) == (0, students)]
    assert (early.requests, early.student_answers, early.near_x, early.near_y) == (1, 0, 10.0, 0.01)
    everywhere = {of: found for _, of, found in read(engine)}
    assert everywhere[students] == early + late
    assert everywhere[Of("desk", "", "shop", "client")].requests == 1
    assert everywhere[Of("", "", "", "client")].requests == 1
    assert everywhere[Of("desk", "", "", "judge")].paid_usd == 0.01
    assert not any(of.origin == "import" for of in everywhere)


def test_what_is_read_twice_is_counted_once(engine):
    records = list(everything())
    store(engine, records)
    once = read(engine)
    store(engine, records)
    store(engine, [*records[:3], *records[:3]])
    assert read(engine) == once


def test_in_whatever_pieces_it_comes_it_is_the_same(tmp_path):
    records = list(everything())
    engines = [connect(f"sqlite:///{tmp_path / name}") for name in ("whole", "pieces")]
    store(engines[0], records)
    draw, left = random.Random(0), records
    while left:
        size = draw.randint(1, 4)
        store(engines[1], left[:size])
        left = left[size:]
    whole, pieces = ({(hour, of): found for hour, of, found in read(engine, since=0.0)} for engine in engines)
    assert whole.keys() == pieces.keys()
    assert all(close(pieces[of], found) for of, found in whole.items())


def close(one, other):
    return all(math.isclose(getattr(one, name), getattr(other, name), abs_tol=1e-12) for name in totals.SUMS)


def test_a_ledger_of_before_is_summed_as_what_comes(engine):
    store(engine, list(everything()))
    counted = {(hour, of): found for hour, of, found in [*read(engine, since=0.0), *read(engine)]}
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0010")
    engine = connect(str(engine.url))
    filled = {(hour, of): found for hour, of, found in [*read(engine, since=0.0), *read(engine)]}
    assert filled.keys() == counted.keys()
    for of, found in counted.items():
        assert close(filled[of], replace(found, teacher_cached_tokens=0))  # which nobody knew before


def test_the_label_of_a_request_that_was_forgotten_meanwhile_is_paid_for(engine):
    store(engine, [student_exchange(0), student_exchange(1)])
    meant = Meant(exchanges=("id-000000",))
    forget(engine, find(engine, meant, due=1e12), meant=meant, now=1.0)
    store(engine, [label(0)])
    assert sum(found.label_usd for _, _, found in read(engine)) == pytest.approx(0.02)


def test_what_is_paid_for_no_exchange_is_charged(engine):
    with writing(engine) as connection:
        totals.charge(connection, "desk", origin="training", usd=40.0, at=2.5 * HOUR_S)
        totals.charge(connection, "desk", origin="training", usd=2.0, at=9.5 * HOUR_S)
    assert read(engine) == [(ALL, Of("desk", "", "", "training"), Sums(paid_usd=42.0))]
    assert [hour for hour, _, _ in read(engine, since=0.0)] == [2 * HOUR_S, 9 * HOUR_S]
    assert [hour for hour, _, _ in read(engine, since=3.0 * HOUR_S)] == [9 * HOUR_S]
    assert [hour for hour, _, _ in read(engine, since=0.0, until=9.0 * HOUR_S)] == [2 * HOUR_S]
    assert read(engine, task="till") == []
