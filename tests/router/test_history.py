import json

import orjson
import pytest

from router.history import BrokenLine, PassedOver, as_exchange, exchange_id, read_line

ASKED = [{"role": "system", "content": "Name the topic."}, {"role": "user", "content": "my parcel is lost"}]
BODY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "delivery"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 21, "completion_tokens": 2},
}
SPEND_LOG = {
    "request_id": "r-1",
    "call_type": "acompletion",
    "startTime": "2025-03-01T12:00:00.500+00:00",
    "model": "openai/gpt-4o",
    "spend": 0.002,
    "prompt_tokens": 21,
    "completion_tokens": 2,
    "messages": json.dumps(ASKED),
    "response": json.dumps(BODY),
}
SHAPES = {
    "pair": {"request": {"model": "gpt-4o", "messages": ASKED, "max_tokens": 5}, "response": BODY},
    "batch": {"id": "b", "request": {"model": "gpt-4o", "messages": ASKED}, "response": {"body": BODY}},
    "conversation": {"messages": [*ASKED, {"role": "assistant", "content": "delivery"}], "model": "gpt-4o"},
    "stored": {**BODY, "messages": [{"id": "m", "name": None, **message} for message in ASKED], "temperature": 1.0},
    "spend log": SPEND_LOG,
    "spend log with the proxy's request": {
        **SPEND_LOG,
        "messages": "{}",
        "proxy_server_request": json.dumps({"model": "gpt-4o", "messages": ASKED, "temperature": 0}),
    },
}


def read(entry):
    return read_line(orjson.dumps(entry))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_known_shape_says_the_same(shape):
    logged = read(SHAPES[shape])
    assert logged.request.messages == ASKED
    assert (logged.answer, logged.finish_reason) == ("delivery", "stop")
    assert logged.by(frozenset({"openai/gpt-4o"})) and not logged.by(frozenset({"openai/gpt-4o-mini"}))
    assert logged.request.beyond_student() is None


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_what_the_model_thought_is_read_and_does_not_change_which_line_it_is(name):
    message = {"role": "assistant", "content": "delivery", name: "a carrier has it"}
    body = {**BODY, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    with_it = [
        {"request": {"model": "gpt-4o", "messages": ASKED}, "response": body},
        {"messages": [*ASKED, message], "model": "gpt-4o"},
        {**SPEND_LOG, "response": json.dumps(body)},
    ]
    for entry, without in zip(with_it, ("pair", "conversation", "spend log"), strict=True):
        logged = read(entry)
        assert logged.rationale == "a carrier has it" and logged.meaning == read(SHAPES[without]).meaning
        made = as_exchange(logged, task="desk", teacher="big", exchange_id="i1", at=1.0)
        assert (made.teacher_reply.rationale, made.answer) == ("a carrier has it", "delivery")
        assert "carrier" not in str(made.messages)
    assert read(SHAPES["pair"]).rationale is None


def test_identity_time_tokens_and_cost_are_read():
    logged = read(SPEND_LOG)
    assert (logged.source_id, logged.at, logged.cost_usd) == ("r-1", 1_740_830_400.5, 0.002)
    assert (logged.usage.prompt_tokens, logged.usage.completion_tokens) == (21, 2)
    assert read(SHAPES["pair"]).source_id == "chatcmpl-1" and read(SHAPES["pair"]).at == 1_700_000_000
    plain = read(SHAPES["conversation"])
    assert (plain.source_id, plain.at) == (None, None)


def test_what_the_student_may_not_answer_is_kept_but_certifies_nothing():
    sampled = read({"request": {"model": "m", "messages": ASKED, "temperature": 0.7}, "response": BODY})
    row = as_exchange(sampled, task="desk", teacher="big", exchange_id="i1", at=1.0)
    assert (row.eligible, row.reference) == (False, False)
    row = as_exchange(read(SPEND_LOG), task="desk", teacher="big", exchange_id="i1", at=1.0)
    assert (row.origin, row.route, row.rho, row.eligible, row.reference) == ("import", "teacher", 1.0, True, True)
    assert row.teacher_reply.teacher == "big" and row.teacher_reply.text == row.answer == "delivery"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ([1], "no JSON object"),
        ({"prompt": "x", "completion": "y"}, "none of the known shapes"),
        ({"messages": "hello"}, "messages is not a list"),
        ({"messages": ASKED}, "the last message is the user's"),
        ({"messages": [{"role": "assistant", "content": "delivery"}]}, "messages is not a list"),
        ({"messages": [{"role": "wizard", "content": "x"}, {"role": "assistant", "content": "y"}]}, "role"),
        ({"request": {"messages": ASKED}, "response": {"choices": []}}, "choices"),
        ({"request": {"model": "m"}, "response": BODY}, "messages is not a list"),
        ({"request": {"messages": ASKED, "temperature": 9}, "response": BODY}, "temperature"),
        ({**SPEND_LOG, "startTime": "yesterday"}, "no time"),
    ],
)
def test_a_broken_line_says_what_is_wrong(entry, words):
    with pytest.raises(BrokenLine, match=words):
        read(entry)


def test_what_is_no_json_is_broken():
    with pytest.raises(BrokenLine, match="no JSON"):
        read_line(b'{"messages": [')


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({**SPEND_LOG, "status": "failure"}, "failed"),
        ({**SPEND_LOG, "messages": "{}", "response": "{}"}, "store_prompts_in_spend_logs"),
        ({**SPEND_LOG, "response": json.dumps({**BODY, "note": "a (litellm_truncated skipped 9 chars) b"})}, "a hole"),
        ({**SPEND_LOG, "messages": [{"role": "user", "content": "redacted-by-litellm"}]}, "redacted"),
        (BODY, "without its messages"),
        ({**BODY, "messages": ASKED, "choices": [{"message": {"content": None, "tool_calls": [{}]}}]}, "tool call"),
    ],
)
def test_sound_lines_without_use_are_passed_over_with_a_reason(entry, words):
    with pytest.raises(PassedOver, match=words):
        read(entry)


def test_an_exchange_id_is_stable_and_of_its_task():
    assert exchange_id("desk", key="r-1") == exchange_id("desk", key="r-1") != exchange_id("other", key="r-1")
    assert len(exchange_id("desk", key="r-1")) <= 40


def test_a_versions_date_counts_where_both_name_one():
    logged = read(SPEND_LOG)  # answered by gpt-4o-2024-08-06
    assert logged.by(frozenset({"gpt-4o"})) and logged.by(frozenset({"openai/gpt-4o-2024-08-06"}))
    assert not logged.by(frozenset({"openai/gpt-4o-2024-05-13"}))
