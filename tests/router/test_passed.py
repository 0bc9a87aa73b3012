"""What is read of requests and replies that the provider answers."""

import orjson
import pytest

from ledger.records import Usage
from router.errors import BadRequest, TeacherUnavailable
from router.passed import LEGACY_MAX_TOKENS, Heard, parse_completion, parse_embedding, read_reply, tally


def completion(**fields):
    return parse_completion(orjson.dumps({"model": "big", "prompt": "say", **fields}))


def test_a_stream_asks_for_usage_whatever_its_client_wants():
    asked = completion(stream=True, new=1)
    assert asked.body["stream_options"] == {"include_usage": True} and asked.body["new"] == 1
    assert not asked.counted.include_usage and "stream_options" not in completion().body


def test_the_size_is_that_of_the_text_and_openais_default_limit():
    assert completion(prompt="a" * 400).counted.estimate_tokens(answer=999) == 100 + LEGACY_MAX_TOKENS
    assert completion(prompt=[1, 2, 3], max_tokens=7).counted.max_tokens == 7
    assert parse_embedding(orjson.dumps({"model": "e", "input": ["a" * 400]})).counted.estimate_tokens(answer=0) > 100


def test_what_was_embedded_is_not_kept():
    asked = parse_embedding(orjson.dumps({"model": "e", "input": ["secret"], "dimensions": 3}))
    assert asked.body["input"] == ["secret"] and b"secret" not in orjson.dumps(asked.kept.raw)
    assert asked.kept.params == {"dimensions": 3}
    assert completion().kept.messages == [{"role": "user", "content": "say"}]


@pytest.mark.parametrize(
    ("parse", "body", "param"),
    [
        (parse_completion, {"model": "m"}, "prompt"),
        (parse_embedding, {"model": "m"}, "input"),
        (parse_embedding, {"model": "m", "input": "a", "encoding_format": "int8"}, "encoding_format"),
    ],
)
def test_bad_requests_name_their_field(parse, body, param):
    with pytest.raises(BadRequest) as caught:
        parse(orjson.dumps(body))
    assert caught.value.param == param


def test_replies_are_read_by_their_kind():
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    assert read_reply("embeddings", {"data": [{}], "usage": usage}) == Heard(None, "stop", Usage(3, 0), True)
    choice = {"text": "a", "finish_reason": "stop"}
    assert read_reply("completions", {"choices": [choice]}) == Heard("a", "stop", Usage(), True)


@pytest.mark.parametrize("path", ["completions", "embeddings", "responses"])
@pytest.mark.parametrize("body", [{}, {"choices": []}, {"data": None, "output": 3, "status": "x"}])
def test_what_is_no_reply_is_the_teachers_fault(path, body):
    if path == "embeddings" and body.get("data", 0) is None:
        body = {"data": [], "usage": 3}
    with pytest.raises(TeacherUnavailable):
        read_reply(path, body)


def test_several_answers_are_streamed_and_the_first_is_kept():
    told = tally(completion(stream=True, n=2), "x")
    told.take({"choices": [{"index": 1, "text": "other"}]})
    sent = orjson.loads(
        told.take({"id": "theirs", "choices": [{"index": 0, "text": "a", "finish_reason": "stop"}]})[6:]
    )
    assert (sent["id"], sent["model"], told.heard.text, told.heard.ended) == ("cmpl-x", "big", "a", True)
