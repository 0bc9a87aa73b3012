"""What is asked of a teacher beside a request, what is kept of it, and what its client sees."""

from copy import deepcopy

import orjson
import pytest

from router.teacher_logprobs import MOST, kept, show, taken, wanted
from router.wire import parse_chat


def token(text, logprob, *others, told=True):
    """As OpenAI writes it; others are pairs of text and log-probability."""
    own = {"token": text, "logprob": logprob, "bytes": list(text.encode()) if told else None}
    return {**own, "top_logprobs": [token(*other) for other in others]} if others else {**own, "top_logprobs": []}


def choice(*tokens):
    return {"index": 0, "logprobs": {"content": list(tokens), "refusal": None}}


def request(**fields):
    return parse_chat(orjson.dumps({"model": "desk", "messages": [{"role": "user", "content": "hi"}], **fields}))


@pytest.mark.parametrize(
    ("asked", "top", "beside"),
    [
        ({}, 0, {}),
        ({}, 5, {"logprobs": True, "top_logprobs": 5}),
        ({"logprobs": True}, 5, {"logprobs": True, "top_logprobs": 5}),
        ({"logprobs": True, "top_logprobs": 2}, 5, {"logprobs": True, "top_logprobs": 5}),
        ({"logprobs": True, "top_logprobs": 9}, 5, {}),
        ({"logprobs": True, "top_logprobs": 9}, 0, {}),
    ],
)
def test_as_much_is_asked_for_as_is_wanted_by_either(asked, top, beside):
    assert wanted(request(**asked), top=top) == beside


def test_a_token_is_kept_before_its_alternatives_and_none_of_them_twice():
    found = taken(choice(token("refund", -0.25, ("refund", -0.25), ("loan", -1.6)), token("s", -3.0)), top=5)
    assert found == [[("refund", -0.25), ("loan", -1.6)], [("s", -3.0)]]
    assert taken(choice(token("a", -2.0, ("b", -0.2), ("c", -4.0))), top=1) == [[("a", -2.0), ("b", -0.2)]]


def test_bytes_count_and_the_text_where_there_are_none():
    half = {"token": "\\xe2\\x9c", "logprob": -0.5, "bytes": [0xE2, 0x9C], "top_logprobs": []}
    assert taken(choice(half, token("a", -0.5, told=False)), top=5) == [[([0xE2, 0x9C], -0.5)], [("a", -0.5)]]


def test_numbers_are_rounded_and_bounded():
    assert taken(choice(token("a", -0.123456, ("b", -1e9))), top=5) == [[("a", -0.1235), ("b", -9999.0)]]


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        {"content": None},
        {"content": [{"token": "a"}]},
        {"content": [{"token": "a", "logprob": "x"}]},
        {"content": [{"token": "a", "logprob": -1.0, "bytes": [300]}]},
        [1],
        {"tokens": ["a"], "token_logprobs": [-1.0]},
    ],
)
def test_what_cannot_be_read_is_not_kept_and_troubles_nobody(told):
    found = {"logprobs": told}
    assert taken(found, top=5) == []
    show(found, asked=2)
    show(found, asked=None)
    assert found == {"logprobs": None}


def test_a_client_sees_what_it_asked_for():
    whole = choice(token("a", -0.1, ("b", -2.0), ("c", -4.0)))
    seen = {asked: deepcopy(whole) for asked in (None, 0, 1, 5)}
    for asked, found in seen.items():
        show(found, asked=asked)
    assert seen[None]["logprobs"] is None
    assert seen[5] == whole
    shown = {asked: seen[asked]["logprobs"]["content"][0] for asked in (0, 1)}
    assert [len(shown[asked]["top_logprobs"]) for asked in (0, 1)] == [0, 1]
    assert {each["logprob"] for each in shown.values()} == {-0.1}


def test_of_too_many_tokens_none_are_kept():
    most = taken(choice(*[token("a", -0.1)] * MOST), top=5)
    assert len(most) == MOST and kept(most) is most
    assert kept(taken(choice(*[token("a", -0.1)] * (MOST + 9)), top=5)) is None and kept([]) is None
