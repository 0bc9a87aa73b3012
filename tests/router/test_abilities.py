"""What a student can do, and what it is asked in which words."""

import pytest

from router.abilities import as_spoken, beyond_student, joined_text

TOOL = {"type": "function", "function": {"name": "f"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def beyond(**fields):
    return beyond_student({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields})


def saying(*content, **fields):
    return beyond(messages=[{"role": "user", "content": list(content), **fields}])


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0, "top_p": 1, "n": 1, "seed": 3, "stop": ["."], "user": "u", "metadata": {"a": "b"}},
        {"response_format": {"type": "json_object"}},
        {"response_format": SCHEMA},
        {"response_format": {"type": "text"}, "modalities": ["text"]},
        {"logprobs": True, "top_logprobs": 3},
        {"tools": [TOOL], "tool_choice": "none", "parallel_tool_calls": False},
        {"tools": [], "a_field_from_the_future": None},
        {"messages": [{"role": "developer", "content": [{"type": "text", "text": "a"}]}]},
        {"messages": [{"role": "assistant", "content": "a", "refusal": None, "tool_calls": None, "annotations": []}]},
    ],
)
def test_a_greedy_answer_in_text_is_within_its_reach(fields):
    assert beyond(**fields) is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"temperature": 0.1}, "sampling"),
        ({"frequency_penalty": 1}, "sampling"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"n": 2}, "choices"),
        ({"tools": [TOOL]}, "tools"),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tools"),
        ({"functions": [{}]}, "tools"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "c"}]}, "tools"),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": [{}]}]}, "tools"),
        ({"audio": {"voice": "v"}}, "media"),
        ({"modalities": ["text", "audio"]}, "media"),
        ({"a_field_from_the_future": 1}, "unsupported"),
        ({"reasoning_effort": "low"}, "unsupported"),
        ({"response_format": {"type": "grammar"}}, "unsupported"),
        ({"response_format": {"type": "json_schema"}}, "unsupported"),
        ({"messages": [{"role": "assistant", "content": None}]}, "unsupported"),
        ({"messages": [{"role": "user", "content": "x", "weight": 1}]}, "unsupported"),
    ],
)
def test_everything_else_has_its_reason(fields, reason):
    assert beyond(**fields) == reason


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file"])
def test_parts_that_are_no_text_are_the_teachers(kind):
    assert saying({"type": "text", "text": "a"}, {"type": kind}) == "media"


def test_parts_that_nobody_knows_are_not_passed_over():
    assert saying({"type": "text", "text": "a"}, {"type": "smell"}) == "unsupported"
    assert saying() == "unsupported"


def test_the_student_hears_plain_text_under_the_roles_of_its_template():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [
        {"role": "developer", "content": parts, "refusal": None},
        {"role": "user", "content": "c", "name": "eve"},
    ]
    assert as_spoken(messages) == [
        {"role": "system", "content": "a\nb"},
        {"role": "user", "content": "c", "name": "eve"},
    ]
    assert messages[0]["content"] is parts


def test_text_is_joined_and_no_text_is_none():
    assert joined_text("a") == "a" and joined_text(None) is None
    assert joined_text([{"type": "text", "text": 3}]) is None
