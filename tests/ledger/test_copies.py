"""What of our own questions is found by a client's words."""

import pytest

from calibration.question import Judge, Pair, question
from distill.synthesis import brief
from ledger.copies import copies
from ledger.database import connect
from ledger.ingest import store
from tests.ledger.make import exchange

ASKED = "where is my parcel?\u2028it is late"
JUDGE = Judge("referee", "m", "")
OURS = {"params": {}, "key": None, "reference": False, "eligible": False}


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def user(content):
    return {"role": "user", "content": content}


def find(engine, *ids, task="desk"):
    with engine.connect() as connection:
        return copies(connection, ids, task=task)


@pytest.mark.parametrize(
    ("origin", "messages"),
    [
        ("curate", [{"role": "system", "content": "the prompt"}, user(ASKED)]),
        ("recertify", [{"role": "system", "content": "another prompt"}, user(ASKED)]),
        ("probe", [user([{"type": "text", "text": ASKED}])]),
        ("judge", question(JUDGE, Pair(ASKED, "a", "b"), swapped=True)),
        ("writer", brief(["one", f" {ASKED} ", "two"], prompt="Name the topic.")["messages"]),
    ],
)
def test_whatever_we_have_asked_in_these_words_is_found(engine, origin, messages):
    instructed = [{"role": "developer", "content": "the prompt"}, user(ASKED)]
    store(engine, [exchange(1, messages=instructed), exchange(2, origin=origin, messages=messages, **OURS)])
    assert find(engine, "id-000001") == ["id-000002"]
    assert find(engine, "id-000001", task="mail") == []


@pytest.mark.parametrize(
    ("origin", "messages"),
    [
        ("client", [user(ASKED)]),
        ("judge", question(JUDGE, Pair("another", ASKED, ASKED), swapped=False)),
        ("judge", [user("no JSON")]),
        ("judge", [user("[1]")]),
        ("judge", []),
        ("writer", brief(["another", "one more"], prompt=ASKED)["messages"]),
        ("probe", [user(ASKED), {"role": "assistant", "content": "it is here"}, user("thanks")]),
    ],
)
def test_what_only_resembles_it_is_not(engine, origin, messages):
    store(engine, [exchange(1, messages=[user(ASKED)]), exchange(2, origin=origin, messages=messages, **OURS)])
    assert find(engine, "id-000001") == []


def test_a_judge_is_asked_about_the_last_question_whatever_follows_it(engine):
    begun = [user(ASKED), {"role": "assistant", "content": "Topic:"}]
    judged = question(JUDGE, Pair(ASKED, "a", "b"), swapped=False)
    store(engine, [exchange(1, messages=begun), exchange(2, origin="judge", messages=judged, **OURS)])
    assert find(engine, "id-000001") == ["id-000002"]


def test_an_empty_question_is_in_no_copy(engine):
    judged = question(JUDGE, Pair("", "a", "b"), swapped=True)
    store(engine, [exchange(1, messages=[user("")]), exchange(2, origin="judge", messages=judged, **OURS)])
    assert find(engine, "id-000001") == []


def test_of_many_all_are_found(engine):
    """More than one statement asks for, and more than are read at a time."""
    asked = [exchange(n, messages=[user(f"{n} {ASKED}")]) for n in range(1100)]
    ours = [exchange(2000 + n, origin="probe", messages=[user(f"{n} {ASKED}")], **OURS) for n in range(1200)]
    store(engine, [*asked, *ours])
    found = find(engine, *(each.id for each in asked))
    assert found == [each.id for each in ours[:1100]]
