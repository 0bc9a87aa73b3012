"""More questions than were asked: what the teacher writes is compared with what is known, and asked as clients ask."""

import json
import random
from dataclasses import replace

import pytest

from distill import clusters
from distill.gateway import GatewayUnavailable
from distill.synthesis import (
    ROUND,
    SEEDS_SHOWN,
    WRITTEN_AT_ONCE,
    as_asked,
    brief,
    read,
    requests_needed,
    write,
)
from ledger.clients import CLIENT_FIELDS
from tests.distill.tiny import row

THINGS = ("parcel", "invoice", "password", "refund", "voucher", "address", "account", "order", "gift card", "receipt")
SEEDS = [f"where is the {thing} that I have waited for since {day}" for thing in THINGS for day in ("Monday", "May")]


def teacher(*replies):
    """A writer that says these things in turn, then nothing new any more, and keeps what it was asked."""
    said, asked = iter(replies), []

    def ask(requests):
        asked.extend(requests)
        return [next(said, json.dumps(SEEDS[:2])) for _ in requests]

    ask.asked = asked
    return ask


def new(count, *, seed=0):
    draw = random.Random(seed)
    return ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz ", k=40)).strip() for _ in range(count)]


def have_written(ask, *, most, **fields):
    chosen = {"known": SEEDS, "prompt": None, "seed": 0, "progress": lambda done, total: None}
    return write(SEEDS, most=most, ask=ask, **{**chosen, **fields})


def test_what_is_new_is_kept_and_what_is_known_is_not():
    texts = new(9)
    found = have_written(teacher(json.dumps([*texts, SEEDS[3].upper()])), most=WRITTEN_AT_ONCE)
    assert found.texts == texts and "more examples would help" in found.ended
    assert found.passed["known already"] >= 1


def test_two_alike_are_one():
    text = "my parcel 17 has not arrived although the shop told me that it would be here by the weekend"
    found = have_written(teacher(json.dumps([text, text.replace("17", "18"), " "])), most=3)
    assert found.texts == [text] and found.passed["empty"] == 1


def test_what_is_much_longer_than_any_example_is_no_message_of_its_kind():
    found = have_written(teacher(json.dumps(["ab " * 200])), most=1)
    assert not found.texts and found.passed["too long"] == 1


def test_it_ends_with_as_many_as_were_asked_for_and_asks_for_no_more():
    ask = teacher(*(json.dumps(new(10, seed=seed)) for seed in range(9)))
    assert len(have_written(ask, most=25).texts) == 25
    assert len(ask.asked) == requests_needed(25) == 3


def test_each_request_shows_other_examples_and_the_seed_decides():
    def asked(seed):
        ask = teacher(*(json.dumps(new(10, seed=number)) for number in range(9)))
        have_written(ask, most=30, seed=seed)
        return [request["messages"][1]["content"] for request in ask.asked]

    assert len(set(asked(0))) == 3 and asked(0) == asked(0) != asked(1)
    assert all(len(shown.splitlines()) == SEEDS_SHOWN for shown in asked(0))


def test_replies_that_are_no_list_are_counted_and_end_nothing():
    ask = teacher("I would rather not.", None, *(json.dumps(new(10, seed=seed)) for seed in range(9)))
    found = have_written(ask, most=40)
    assert (len(found.texts), found.unread, found.unanswered, found.ended) == (40, 1, 1, None)
    words = list(found.words())
    assert "1 replies were no JSON array of strings" in words and "1 requests for more had no reply" in words


def test_a_last_reply_that_is_no_list_ends_nothing():
    ask = teacher(json.dumps(new(9)), "I would rather not.", json.dumps(new(1, seed=1)))
    assert len(have_written(ask, most=10).texts) == 10


def test_a_teacher_that_writes_no_lists_is_told_as_that():
    found = have_written(lambda requests: ["I would rather not."] * len(requests), most=100)
    assert (found.unread, found.texts) == (ROUND, [])
    assert "none was what was asked for" in found.ended and "examples" not in found.ended


def test_a_teacher_that_answers_nothing_any_more_ends_it_with_its_reason():
    written = [json.dumps(new(10, seed=seed)) for seed in range(ROUND)]

    def ask(requests):
        if not written:
            raise GatewayUnavailable("the teacher answered none of 8 requests: a budget has no room")
        return [written.pop() for _ in requests]

    found = have_written(ask, most=500)
    assert len(found.texts) == 80 and found.ended.endswith("a budget has no room")
    assert not any("examples" in words for words in found.words())
    with pytest.raises(GatewayUnavailable, match="no room"):
        have_written(ask, most=500)


def test_what_would_be_recorded_otherwise_is_passed_over():
    found = have_written(teacher(json.dumps(["write to ann@shop.de", *new(2)])), most=2, is_private=lambda t: "@" in t)
    assert found.texts == new(2) and found.passed["private"] == 1


def test_what_is_known_is_looked_at_once_however_many_rounds_there_are(monkeypatch):
    seen = []
    monkeypatch.setattr(clusters, "_shingles", lambda text: seen.append(text) or frozenset({text.encode()}))
    ask = teacher(*(json.dumps(new(10, seed=seed)) for seed in range(50)))
    assert len(have_written(ask, most=400).texts) == 400
    assert len(seen) == len(SEEDS) + 400


@pytest.mark.parametrize(
    "reply",
    ['["a", "b"]', '```json\n["a",\n "b"]\n```', 'Here they are: ["a", "b"]. Enjoy!'],
    ids=["bare", "fence", "talk"],
)
def test_a_list_is_read_wherever_it_stands(reply):
    assert read(reply) == ["a", "b"]


@pytest.mark.parametrize("reply", [None, "", "[", "]", "[1, 2]", '{"a": 1}', '["a", {"b": 1}]'])
def test_anything_else_is_none(reply):
    assert read(reply) is None


def test_the_writer_knows_what_the_task_is_for():
    said = brief(["a", 'b "quoted"\nline'], prompt="Name the topic.")["messages"]
    assert "Name the topic." in said[0]["content"] and str(WRITTEN_AT_ONCE) in said[0]["content"]
    assert [json.loads(line) for line in said[1]["content"].splitlines()] == ["a", 'b "quoted"\nline']


def test_it_is_asked_as_clients_ask_but_for_who_they_are():
    params = {"max_tokens": 5, "stream": True, "response_format": {"type": "json_object"}}
    params |= dict.fromkeys(CLIENT_FIELDS, "u-1")
    messages = ({"role": "system", "content": "s"}, {"role": "user", "content": "u", "name": "u-1"})
    like = replace(row("u", "refund"), messages=messages, params=params)
    assert as_asked(like, "new") == {
        "max_tokens": 5,
        "response_format": {"type": "json_object"},
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "new"}],
    }
