"""The spool's record format: what was written by an earlier version is read by a later one, and all of it is kept."""

import re

import msgspec
import pytest
import sqlalchemy as sa

from ledger.database import connect
from ledger.ingest import ingest_once
from ledger.records import Draft, Exchange, Feedback, Label, Record, TeacherReply, Usage
from ledger.schema import exchanges, feedback, teacher_replies

# Literal lines: whoever changes the format has to change these, and to ask what becomes of lines in spools.
OLDEST_EXCHANGE = (
    b'{"type":"exchange","id":"e1","at":1.5,"task":"desk","origin":"client","model":"desk",'
    b'"messages":[{"role":"user","content":"a\\u0000b \xe2\x9c\x93"}],"params":{"max_tokens":5},'
    b'"prompt_fingerprint":"f","route":"student","reason":"accepted","status":200,"eligible":true,"reference":true,'
    b'"rho":0.05,"release":"desk--v000001","draft":{"text":"refund","finish_reason":"stop","evidence":{"min_lp":-0.1},'
    b'"usage":{"prompt_tokens":10,"completion_tokens":2},"cost_usd":0.001},"score":0.9,"threshold":0.5,'
    b'"teacher_reply":null,"answer":"refund","stream":true,"latency_s":0.2,"first_byte_s":0.1}\n'
)
EXCHANGE_OF_A_KEY = OLDEST_EXCHANGE.replace(b'"first_byte_s":0.1', b'"first_byte_s":0.1,"key":"key-0123456789ab"')
NOT_TO_TEACH = EXCHANGE_OF_A_KEY.replace(b'6789ab"', b'6789ab","teaches":false')
NEWEST_EXCHANGE = NOT_TO_TEACH.replace(b'"cost_usd":0.001}', b'"cost_usd":0.001,"latency_s":0.05}')
OLDEST_LABEL = (
    b'{"type":"label","exchange_id":"e1","at":2.5,"reply":{"teacher":"big","text":null,"finish_reason":null,'
    b'"usage":{"prompt_tokens":0,"completion_tokens":0},"cost_usd":0.0,"latency_s":0.0,"error":"TeacherDown"}}\n'
)
NEWEST_LABEL = OLDEST_LABEL.replace(b'"TeacherDown"', b'"TeacherDown","rationale":"he asks where it is"')
OLDEST_FEEDBACK = (
    b'{"type":"feedback","exchange_id":"e1","at":3.5,"good":false,"correction":"a refund","key":"key-0123456789ab"}\n'
)
EXCHANGE = Exchange(
    id="e1",
    at=1.5,
    task="desk",
    origin="client",
    model="desk",
    messages=[{"role": "user", "content": "a\x00b \u2713"}],
    params={"max_tokens": 5},
    prompt_fingerprint="f",
    route="student",
    reason="accepted",
    status=200,
    eligible=True,
    reference=True,
    rho=0.05,
    release="desk--v000001",
    draft=Draft("refund", "stop", {"min_lp": -0.1}, Usage(10, 2), 0.001),
    score=0.9,
    threshold=0.5,
    answer="refund",
    stream=True,
    latency_s=0.2,
    first_byte_s=0.1,
)
LABEL = Label(exchange_id="e1", at=2.5, reply=TeacherReply("big", None, error="TeacherDown"))
NEWEST_OF_LABELS = msgspec.structs.replace(
    LABEL, reply=msgspec.structs.replace(LABEL.reply, rationale="he asks where it is")
)
FEEDBACK = Feedback(exchange_id="e1", at=3.5, good=False, correction="a refund", key="key-0123456789ab")

OF_A_KEY = msgspec.structs.replace(EXCHANGE, key="key-0123456789ab")
UNTAUGHT = msgspec.structs.replace(OF_A_KEY, teaches=False)
NEWEST = msgspec.structs.replace(UNTAUGHT, draft=msgspec.structs.replace(EXCHANGE.draft, latency_s=0.05))


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (OLDEST_EXCHANGE, EXCHANGE),
        (EXCHANGE_OF_A_KEY, OF_A_KEY),
        (NOT_TO_TEACH, UNTAUGHT),
        (NEWEST_EXCHANGE, NEWEST),
        (OLDEST_LABEL, LABEL),
        (NEWEST_LABEL, NEWEST_OF_LABELS),
        (OLDEST_FEEDBACK, FEEDBACK),
    ],
)
def test_lines_keep_their_meaning(line, record):
    assert msgspec.json.decode(line, type=Record) == record


def counted_now(line):
    """Of tokens, what is none is not written any more; of those of the answer, what their teacher says of them is."""
    line = re.sub(rb'("error":"TeacherDown"[^}]*)', rb'\1,"logprobs":null', line)
    return line.replace(b'{"prompt_tokens":0,"completion_tokens":0}', b"{}")


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (NEWEST_EXCHANGE, NEWEST),
        (counted_now(NEWEST_LABEL), NEWEST_OF_LABELS),
        (counted_now(OLDEST_LABEL).replace(b'"TeacherDown"', b'"TeacherDown","rationale":null'), LABEL),
        (OLDEST_FEEDBACK, FEEDBACK),
    ],
)
def test_records_are_written_so(line, record):
    assert msgspec.json.decode(msgspec.json.encode(record)) == msgspec.json.decode(line)


def test_kinds_of_tokens_are_written_where_there_are_some():
    reply = msgspec.structs.replace(LABEL.reply, usage=Usage(10, 4, 3, reasoning_tokens=2))
    line = msgspec.json.encode(msgspec.structs.replace(LABEL, reply=reply))
    assert b'"usage":{"prompt_tokens":10,"completion_tokens":4,"cached_tokens":3,"reasoning_tokens":2}' in line
    assert msgspec.json.decode(line, type=Record).reply == reply


def test_a_field_of_a_later_version_does_not_stop_an_earlier_one():
    line = OLDEST_LABEL.replace(b'"at"', b'"new":{"x":[1]},"at"')
    assert msgspec.json.decode(line, type=Record) == LABEL


@pytest.mark.parametrize("wrong", [b'"origin":"nobody"', b'"route":7', b'"draft":{}', b'"at":null'])
def test_a_value_outside_the_format_is_noticed(wrong):
    name = wrong.split(b":")[0]
    line = OLDEST_EXCHANGE.replace(name, b'"ignored"', 1).replace(b'"status"', wrong + b',"status"')
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(line, type=Record)


def test_records_are_facts_and_do_not_change():
    with pytest.raises(AttributeError):
        EXCHANGE.answer = "other"  # type: ignore[misc]


def test_what_a_record_does_not_have_is_null_in_the_ledger(tmp_path):
    bare = msgspec.structs.replace(EXCHANGE, draft=None, release=None, score=None)
    (tmp_path / "0.jsonl").write_bytes(msgspec.json.encode(bare) + b"\n")
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    ingest_once(engine, tmp_path)
    missing = sa.and_(*(exchanges.c[name].is_(None) for name in ("evidence", "draft_text", "release", "score")))
    with engine.connect() as connection:
        assert connection.execute(sa.select(exchanges.c.id).where(missing)).scalars().all() == ["e1"]


def test_every_field_arrives_in_the_ledger(tmp_path):
    (tmp_path / "0.jsonl").write_bytes(NEWEST_EXCHANGE + NEWEST_LABEL + OLDEST_FEEDBACK)
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    assert ingest_once(engine, tmp_path) == 3
    with engine.connect() as connection:
        row = connection.execute(sa.select(exchanges)).mappings().one()
        reply = connection.execute(sa.select(teacher_replies)).mappings().one()
        said = connection.execute(sa.select(feedback)).mappings().one()
    assert dict(said) == msgspec.structs.asdict(FEEDBACK)
    draft = msgspec.to_builtins(EXCHANGE.draft)
    flat = msgspec.to_builtins(NEWEST) | {f"draft_{name}": draft[name] for name in ("text", "finish_reason")}
    flat |= {f"draft_{name}": draft["usage"][name] for name in ("prompt_tokens", "completion_tokens")}
    flat |= {"draft_cost_usd": draft["cost_usd"], "evidence": draft["evidence"], "seq": 1}
    flat["messages"] = [{"role": "user", "content": "a\ufffdb \u2713"}]  # no database has to take a NUL
    assert dict(row) == {name: value for name, value in flat.items() if name not in {"type", "draft", "teacher_reply"}}
    label = {name: value for name, value in msgspec.to_builtins(NEWEST_OF_LABELS.reply).items() if name != "usage"}
    usage = msgspec.structs.asdict(NEWEST_OF_LABELS.reply.usage)
    assert dict(reply) == {"exchange_id": "e1", "at": 2.5, "background": True, **usage, **label}
