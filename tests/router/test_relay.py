"""A teacher's chunks as clients get them, however its provider orders them."""

import orjson
import pytest

from router.relay import StreamTally
from router.teacher_logprobs import MOST
from router.wire import DONE, Head

HEAD = Head("chatcmpl-1", 1, "desk")
USAGE = {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}


def chunk(delta, **fields):
    return {
        "id": "theirs",
        "model": "theirs",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None, **fields}],
    }


def relayed(*chunks, include_usage=True, top=0, asked=None):
    tally = StreamTally(HEAD, include_usage=include_usage, top=top, asked=asked)
    raw = b"".join([tally.take(chunks[:2]), tally.take(chunks[2:]), tally.end()])
    assert raw.endswith(DONE)
    return tally, [orjson.loads(event.removeprefix(b"data: ")) for event in raw.split(b"\n\n")[:-2]]


ROLE, WORD, END = {"role": "assistant", "content": ""}, {"content": "yes"}, {"finish_reason": "stop"}


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(ROLE), chunk(WORD), chunk({}, **END), {"choices": [], "usage": USAGE}],
        [chunk(ROLE), chunk(WORD), chunk({}, **END) | {"usage": USAGE}],
        [chunk(ROLE), chunk(WORD) | {"usage": USAGE}, chunk({}, **END) | {"usage": USAGE}],
        [chunk(ROLE), chunk(WORD), chunk({}, **END), chunk({}) | {"usage": USAGE}],
        [chunk(ROLE), chunk(ROLE | WORD), chunk(ROLE, **END), {"choices": [], "usage": USAGE}],
        [{"choices": [{"delta": ROLE}]}, {"choices": [{"delta": WORD}]}, chunk({}, **END) | {"usage": USAGE}],
    ],
)
@pytest.mark.parametrize("include_usage", [True, False])
def test_one_id_one_role_one_end_and_usage_once_and_last(chunks, include_usage):
    tally, told = relayed(*map(orjson.loads, map(orjson.dumps, chunks)), include_usage=include_usage)
    assert {(each["id"], each["model"]) for each in told} == {("chatcmpl-1", "desk")}
    choices = [choice for each in told for choice in each["choices"]]
    assert ["role" in choice["delta"] for choice in choices] == [True, False, False]
    assert [choice["finish_reason"] for choice in choices] == [None, None, "stop"]
    assert [each["usage"] for each in told if "usage" in each] == [USAGE] * include_usage
    assert not include_usage or told[-1]["choices"] == []
    body = tally.body()
    assert (body["choices"][0]["message"]["content"], body["usage"]) == ("yes", USAGE)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_what_was_thought_is_passed_on_and_added_up_apart_from_the_answer(name):
    tally, told = relayed(chunk(ROLE), chunk({name: "a "}), chunk({name: "b"}), chunk(WORD), chunk({}, **END))
    assert [choice["delta"].get(name) for each in told for choice in each["choices"]] == [None, "a ", "b", None, None]
    message = tally.body()["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("yes", "a b")
    assert tally.characters == len("yes") + len("a b")  # who leaves before the end pays for both


def test_of_several_answers_the_first_is_kept_and_all_are_passed_on():
    tally, told = relayed(chunk(ROLE), chunk(ROLE, index=1), chunk(WORD), chunk({"content": "no"}, index=1))
    assert tally.body()["choices"][0]["message"]["content"] == "yes"
    assert [choice["index"] for each in told for choice in each["choices"]] == [0, 1, 0, 1]


def test_a_chunk_without_choices_that_tells_something_else_goes_on():
    _, told = relayed({"choices": [], "prompt_filter_results": [1]})
    assert told[0]["prompt_filter_results"] == [1]


def told(text, *others):
    return {
        "token": text,
        "logprob": -0.5,
        "bytes": None,
        "top_logprobs": [{"token": o, "logprob": -2.0} for o in others],
    }


def with_logprobs(text, *tokens, **fields):
    return chunk({"content": text}, logprobs={"content": list(tokens)}, **fields)


def test_what_is_recorded_of_tokens_is_not_what_a_client_sees():
    chunks = [
        chunk(ROLE),
        with_logprobs("ref", told("ref", "re")),
        with_logprobs("und", told("und", "use")),
        chunk({}, **END),
    ]
    for asked, seen in ((None, [None, None]), (0, [[], []]), (1, [["re"], ["use"]])):
        tally, events = relayed(*orjson.loads(orjson.dumps(chunks)), top=5, asked=asked)
        assert tally.logprobs == [[("ref", -0.5), ("re", -2.0)], [("und", -0.5), ("use", -2.0)]]
        shown = [each["choices"][0]["logprobs"] for each in events[1:3]]
        assert [one and [o["token"] for o in one["content"][0]["top_logprobs"]] for one in shown] == seen
    tally, events = relayed(*orjson.loads(orjson.dumps(chunks)))
    assert tally.logprobs is None and events[1]["choices"][0]["logprobs"] == chunks[1]["choices"][0]["logprobs"]


def test_of_several_answers_the_first_ones_tokens_are_recorded():
    tally, _ = relayed(with_logprobs("a", told("a")), with_logprobs("b", told("b"), index=1), top=5)
    assert tally.logprobs == [[("a", -0.5)]]


def test_of_a_stream_of_too_many_tokens_none_are_recorded_and_none_are_held():
    many = [told("a")] * MOST
    tally, _ = relayed(with_logprobs("a", *many), top=5)
    assert len(tally.logprobs) == MOST
    tally, events = relayed(with_logprobs("a", *many), *[with_logprobs("b", told("b"))] * 9, top=5, asked=0)
    assert tally.logprobs is None and len(tally._places) == MOST + 1
    assert [bool(each["choices"][0]["logprobs"]) for each in events] == [True] * 10  # the client sees all
