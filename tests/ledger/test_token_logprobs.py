"""What a teacher says of its answer's tokens arrives in the ledger as it was, and is read of few rows at a time."""

import msgspec
import pytest
import sqlalchemy as sa

from ledger.database import connect
from ledger.ingest import ingest_once, store
from ledger.records import Label, TeacherReply
from ledger.schema import teacher_replies
from ledger.token_logprobs import packed, piece, recorded, texts, token_bytes
from tests.ledger.make import exchange, student_exchange

TOLD = [[("re", -0.25), ([0xE2, 0x9C], -1.6)], [("fund\x00\u2713", -0.5)]]


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def reply(told):
    return TeacherReply("big", "refund", "stop", logprobs=told)


def test_it_goes_through_the_spool_into_the_ledger_and_out_again(engine, tmp_path):
    label = Label(exchange_id="id-000002", at=3.0, reply=reply(TOLD))
    said = [exchange(1, teacher_reply=reply(TOLD)), student_exchange(2), label, exchange(3)]
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "0.jsonl").write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in said))
    ingest_once(engine, spool)
    asked = [f"id-{number:06d}" for number in (3, 2, 1, 4)]
    assert dict(recorded(engine, asked)) == {"id-000001": TOLD, "id-000002": TOLD}
    assert dict(recorded(engine, asked[:1])) == {}


def test_none_is_null(engine):
    store(engine, [exchange(1, teacher_reply=reply(None)), exchange(2, teacher_reply=reply([]))])
    with engine.connect() as connection:
        assert connection.execute(sa.select(teacher_replies.c.logprobs)).scalars().all() == [None, None]


@pytest.mark.parametrize("token", [b"refund", "\u2713".encode(), b"\xe2\x9c", b"\xff", b""])
def test_a_token_is_its_bytes(token):
    assert token_bytes(piece(token)) == token


def test_its_texts_are_looked_through_with_what_is_none_by_itself():
    assert texts(TOLD) == "refund\x00\u2713\nre\n\ufffd\nfund\x00\u2713" and texts([]) == ""


def test_a_row_of_five_alternatives_takes_about_a_hundred_bytes_a_token():
    place = [(f" piece{n}", -1.2345) for n in range(6)]
    assert 100 <= len(packed([place] * 10)) / 10 <= 140
