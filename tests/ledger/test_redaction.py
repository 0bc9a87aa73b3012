"""What is personal never reaches the spool's bytes, whatever is around it."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from ledger.database import connect
from ledger.records import Draft, Feedback, Label, TeacherReply, Usage
from ledger.redaction import FAILED, KINDS, BadPattern, Redactor, compiled, holds_placeholder, redaction_key
from ledger.spool import SpoolWriter, segments
from tests.ledger.make import exchange, student_exchange

KEY = b"key"
REDACTOR = Redactor(KINDS, key=KEY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to ann@shop.example.com.", "write to <email:#>."),
        ("J\u00f6rg.M\u00fcller+x@b\u00fccher.de writes", "<email:#> writes"),
        ("call +49 (0)151 1234-5678 now", "call <phone:#> now"),
        ("call 0049 151 12345678, or 030/1234567", "call <phone:#>, or <phone:#>"),
        ("(212) 555-0187", "<phone:#>"),
        ("pay to DE89 3704 0044 0532 0130 00 and then", "pay to <iban:#> and then"),
        ("gb29nwbk60161331926819.", "<iban:#>."),
        ("card 4111 1111 1111 1111, 12/27", "card <card:#>, 12/27"),
        ("Card378282246310005!", "Card<card:#>!"),
        ("from 192.168.0.1:80 and 2001:db8::8a2e:370:7334.", "from <ip:#>:80 and <ip:#>."),
        ("ip:2001:db8::1", "ip:<ip:#>"),
    ],
)
def test_each_kind_is_found_where_it_ends(text, expected):
    assert re.sub(":[0-9a-f]{4}>", ":#>", REDACTOR.text(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "order 4111111111111112 of 2026-11-29 at 12:30:45",  # no card: its check digit is wrong
        "std::vector, house::Item, 10:20:30",
        "DE88 3704 0044 0532 0130 00"[:14],
        "AB12 " + 300 * "and then we wrote a long sentence about it ",
        ", ".join(f"order {number}" for number in range(10_000, 10_500)),
        "version 999.1.1.1, 3.14, 50 %, $1,250.00",
        "me@home, @name, a@b",
        "",
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert REDACTOR.text(text) == text


def test_equal_values_get_equal_placeholders_however_they_are_written():
    one, other = REDACTOR.text("DE89370400440532013000"), REDACTOR.text("de89 3704 0044 0532 0130 00")
    assert one == other != REDACTOR.text("GB29NWBK60161331926819")
    assert REDACTOR.text("Ann@Shop.de") == REDACTOR.text("ann@shop.de")
    assert REDACTOR.text("ann@shop.de") != Redactor(KINDS, key=b"another").text("ann@shop.de")
    assert holds_placeholder(one) and not holds_placeholder("<b>12</b>")


def luhn(digits):
    total = sum((2 * d - 9 if 2 * d > 9 else 2 * d) if i % 2 == 0 else d for i, d in enumerate(reversed(digits)))
    return [*digits, -total % 10]


def grouped(text, size):
    return " ".join(text[i : i + size] for i in range(0, len(text), size))


CARDS = st.lists(st.integers(0, 9), min_size=15, max_size=15).map(luhn).map(lambda d: "".join(map(str, d)))


@st.composite
def ibans(draw):
    country = draw(st.sampled_from(["DE", "FR", "GB", "NL", "ES"]))
    bank = draw(st.text("0123456789", min_size=14, max_size=26))
    number = int("".join(str(int(each, 36)) for each in f"{bank}{country}00"))
    return f"{country}{98 - number % 97:02d}{bank}"


EMAILS = st.from_regex(r"[a-z][a-z0-9._-]{0,12}@[a-z][a-z0-9-]{0,10}\.(com|de|co\.uk)", fullmatch=True)
PHONES = st.from_regex(r"\+[1-9][0-9]{1,2} [0-9]{3} [0-9]{4,7}|0[1-9][0-9]{2,3}[ /-][0-9]{5,7}", fullmatch=True)
ADDRESSES = st.ip_addresses().map(str).filter(lambda text: len(text) > 2)
VALUES = st.one_of(
    EMAILS, PHONES, ADDRESSES, CARDS, CARDS.map(lambda c: grouped(c, 4)), ibans(), ibans().map(lambda i: grouped(i, 4))
)
WORDS = st.text(st.characters(categories=["L", "Zs", "Po"], exclude_characters="@%'\u00b7.:#&*/\\"), max_size=20)


@rules(deadline=None, max_examples=500)
@given(value=VALUES, before=WORDS, after=WORDS)
def test_no_value_is_left_in_the_bytes_of_the_spool(tmp_path_factory, *, value, before, after):
    folder = tmp_path_factory.mktemp("spool")
    text = f"{before} {value} {after}"
    said = [
        exchange(1, messages=[{"role": "user", "content": text}]),
        exchange(2, messages=[{"role": "user", "content": [{"type": "text", "text": text}]}]),
        exchange(3, params={"user": value, "tools": [{value: [1, None, True, {"deep": text}]}]}),
        exchange(4, answer=text, teacher_reply=TeacherReply("big", text, "stop")),
        student_exchange(5, draft=Draft(text, "stop", {"x": 1.0}, Usage(1, 1)), answer=text),
        exchange(6, params={"metadata": {"number": int(value), "other": float(value)}})
        if value.isdecimal()
        else exchange(6),
        Label(exchange_id="id-7", at=1.0, reply=TeacherReply("big", text, "stop")),
        exchange(9, teacher_reply=TeacherReply("big", "yes", "stop", rationale=text)),
        Label(exchange_id="id-9", at=1.0, reply=TeacherReply("big", "yes", "stop", rationale=text)),
        Feedback(exchange_id="id-8", at=1.0, good=False, correction=text),
    ]
    spool = SpoolWriter(folder)
    for record in said:
        spool.append(REDACTOR.record(record))
    spool.close()
    kept = b"".join(path.read_bytes() for path in segments(folder))
    assert value.encode() not in kept


@given(st.text())
def test_what_is_redacted_stays_as_it_is(text):
    once = REDACTOR.text(text)
    if once == text:
        assert not any(kind in once for kind in ("<email:", "<iban:", "<card:"))
    else:
        assert holds_placeholder(once)


def test_a_prompt_that_is_kept_otherwise_than_it_is_read_is_none_for_a_student():
    private = exchange(2, messages=[{"role": "user", "content": "I am ann@shop.de"}])
    kept = REDACTOR.record(private)
    assert (kept.eligible, kept.reference, kept.rho) == (False, False, None)
    answered = exchange(2, answer="ann@shop.de", teacher_reply=TeacherReply("big", "ann@shop.de", "stop"))
    kept = REDACTOR.record(answered)
    assert kept.eligible and kept.reference and kept.answer == kept.teacher_reply.text != "ann@shop.de"
    assert REDACTOR.record(exchange(2, params={"user": "ann@shop.de"})).eligible  # no student reads it
    assert REDACTOR.is_private({"messages": private.messages}) and not REDACTOR.is_private({"user": "ann@shop.de"})


def test_the_configurations_own_texts_stay():
    system = "Answer as support@shop.de."
    redactor = Redactor(KINDS, key=KEY, constants=[system])
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "hi"}]
    assert redactor.record(exchange(1, messages=messages)) == exchange(1, messages=messages)
    assert redactor.text(f"{system} Or to ann@shop.de") != system


def test_own_patterns_are_found_beside_the_built_in_ones():
    redactor = Redactor(["email"], {"customer": r"K-\d{6}"}, key=KEY)
    found = redactor.text("K-123456 of ann@shop.de, +49 151 12345678")
    assert re.sub(":[0-9a-f]{4}>", ":#>", found) == "<customer:#> of <email:#>, +49 151 12345678"
    overlapping = Redactor(["email"], {"name": "ann@"}, key=KEY).text("ann@shop.de")
    assert re.fullmatch("<email:[0-9a-f]{4}>", overlapping)


@pytest.mark.parametrize(("pattern", "words"), [("(", "missing"), ("(?=a)", "RE2"), ("a*", "empty"), (r"(a)\1", "RE2")])
def test_a_pattern_that_cannot_be_used_is_refused(pattern, words):
    with pytest.raises(BadPattern, match=words):
        compiled(pattern)


def test_a_pattern_that_would_run_for_years_elsewhere_takes_no_time():
    redactor = Redactor([], {"slow": "(a+)+$"}, key=KEY)
    assert redactor.text("a" * 50_000 + "b") == "a" * 50_000 + "b"


@pytest.mark.parametrize("text", ["1234 " * 50_000, "DE11 " * 50_000, "DE11111111111111, " * 50_000, "1" * 100_000])
def test_what_is_all_candidates_takes_no_time_and_is_not_kept(text):
    began = time.process_time()
    assert len(REDACTOR.text(text)) < 100 or text in REDACTOR.text(text)
    assert time.process_time() - began < 2.0


def test_what_cannot_be_redacted_is_kept_without_its_texts(caplog):
    deep = []
    for _ in range(5000):
        deep = [deep]
    broken = student_exchange(
        2,
        params={"tools": deep, "user": "ann@shop.de"},
        messages=[{"role": "user", "content": "ann@shop.de"}],
        teacher_reply=TeacherReply("big", "ann@shop.de", "stop", Usage(3, 4), 0.5, rationale="ann@shop.de"),
    )
    kept = REDACTOR.record(broken)
    assert "ann@" not in str(kept) and "ann@" not in caplog.text
    assert (kept.messages, kept.params, kept.answer, kept.draft.text) == ([], {}, None, "")
    assert (kept.reason, kept.eligible, kept.rho) == (FAILED, False, None)
    assert (kept.teacher_reply.cost_usd, kept.teacher_reply.error, kept.status) == (0.5, FAILED, 200)
    lone = "ann@shop.de \ud800"
    label = REDACTOR.record(Label(exchange_id="i", at=1.0, reply=TeacherReply("big", lone)))
    assert (label.reply.text, label.reply.error) == (None, FAILED)
    label = REDACTOR.record(Label(exchange_id="i", at=1.0, reply=TeacherReply("big", "yes", rationale=lone)))
    assert (label.reply.text, label.reply.rationale, label.reply.error) == (None, None, FAILED)
    assert REDACTOR.record(Feedback(exchange_id="i", at=1.0, good=False, correction=lone)).correction is None


def test_the_key_is_the_ledgers_own(tmp_path):
    engine, other = (connect(f"sqlite:///{tmp_path}/{name}.db") for name in "ab")
    assert redaction_key(engine) == redaction_key(engine) != redaction_key(other)
    assert len(redaction_key(engine)) == 32


@pytest.mark.parametrize(
    ("answer", "tokens", "kept"),
    [
        ("to ann", ["to", " ann"], True),
        ("to ann@shop.de", ["to", " ann@", "shop.de"], False),  # the answer holds it
        ("to ann", ["to", " ann@shop.de"], False),  # a token that the teacher did not write
    ],
)
def test_tokens_are_kept_of_an_answer_that_holds_nothing_and_none_of_them_may(answer, tokens, kept):
    told = [[(token, -0.5), ([0xE2, 0x9C], -2.0)] for token in tokens]
    record = Label(exchange_id="i", at=1.0, reply=TeacherReply("big", answer, "stop", logprobs=told))
    found = REDACTOR.record(record).reply
    assert found.logprobs == (told if kept else None)
    assert (found.text == answer) == ("@" not in answer)


def test_what_cannot_be_redacted_has_no_tokens_either():
    reply = TeacherReply("big", "ann@shop.de \ud800", logprobs=[[("fine", -0.5)]])
    assert REDACTOR.record(Label(exchange_id="i", at=1.0, reply=reply)).reply.logprobs is None


def test_tokens_of_what_was_thought_are_not_kept_where_they_spell_what_is_taken_out_of_it():
    thought, answer = ["The", " user", " ann", "@", "shop", ".de", " asks"], ["Billing"]
    for tokens, kept in ((thought + answer, False), (thought[:2] + answer, True), (answer, True)):
        told = [[(token, -0.5), ("x", -2.0)] for token in tokens]
        reply = TeacherReply("big", "Billing", "stop", rationale="".join(thought), logprobs=told)
        found = REDACTOR.record(Label(exchange_id="i", at=1.0, reply=reply)).reply
        assert (found.text, "ann@" in found.rationale) == ("Billing", False)
        assert found.logprobs == (told if kept else None)
