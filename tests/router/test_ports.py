from dataclasses import replace

import orjson

from router.ports import Canary
from router.wire import parse_chat
from tests.fakes import RELEASE

MANY = [f"conversation {number}" for number in range(5000)]


def taken(share, *, key=b"k", release=RELEASE):
    canary = Canary(release, share, key)
    return {each for each in MANY if canary.takes(each)}


def test_a_canary_takes_its_share_and_always_the_same():
    found = taken(0.1)
    assert 0.08 * len(MANY) < len(found) < 0.12 * len(MANY) and found == taken(0.1)
    assert found < taken(0.3) and taken(1.0) == set(MANY)


def test_each_release_and_each_key_draws_anew():
    other = replace(RELEASE, name="desk--v000002")
    for again in (taken(0.1, release=other), taken(0.1, key=b"l")):
        assert len(again & taken(0.1)) < 0.03 * len(MANY)


def asked(*said, **fields):
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": words} for number, words in enumerate(said)]
    body = {"model": "desk", "messages": [{"role": "system", "content": "Name it."}, *messages], **fields}
    return parse_chat(orjson.dumps(body)).conversation


def test_a_conversation_stays_the_same_as_it_grows_and_is_its_users():
    begun = asked("my money back")
    assert asked("my money back", "which order?", "the last one") == begun
    assert asked("where is it?") != begun
    assert asked("my money back", user="7") != begun == asked("my money back", temperature=0)
    assert asked("my money back", user="7", stream=True) == asked("my money back", "yes", "thanks", user="7")


def test_a_conversation_without_a_user_begins_with_its_first_message():
    assert "Name it." in asked()
