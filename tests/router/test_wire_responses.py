"""The Responses API in terms of chat completions."""

import orjson
import pytest

from router.wire_responses import Shell, parse_responses, response


def chat(**fields):
    found = parse_responses(orjson.dumps({"model": "desk", "input": "hi", **fields})).chat
    return None if found is None else found.raw


def test_instructions_and_text_are_messages():
    assert chat(instructions="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]


def test_a_conversation_with_calls_is_one_of_chat():
    found = chat(
        input=[
            {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
            {"type": "message", "role": "user", "content": "find"},
            {
                "type": "function_call",
                "call_id": "a",
                "name": "f",
                "arguments": "{}",
                "id": "fc_1",
                "status": "completed",
            },
            {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "1"},
            {"type": "function_call_output", "call_id": "b", "output": "2"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "both", "annotations": []}]},
        ]
    )["messages"]
    assert [message["role"] for message in found] == ["developer", "user", "assistant", "tool", "tool", "assistant"]
    assert found[0]["content"] == "Be brief." and found[-1]["content"] == "both"
    assert [each["function"]["name"] for each in found[2]["tool_calls"]] == ["f", "g"]
    assert found[4] == {"role": "tool", "tool_call_id": "b", "content": "2"}


def test_images_and_files_keep_their_content():
    image = {"type": "input_image", "image_url": "data:x", "detail": "low"}
    file = {"type": "input_file", "file_data": "data:y", "filename": "f.pdf"}
    (message,) = chat(input=[{"role": "user", "content": [{"type": "input_text", "text": "see"}, image, file]}])[
        "messages"
    ]
    assert message["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:y", "filename": "f.pdf"}},
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"max_output_tokens": 5}, {"max_completion_tokens": 5}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
        ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}}},
        ),
        (
            {"tool_choice": {"type": "function", "name": "f"}},
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"tool_choice": "none", "parallel_tool_calls": False}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True, "top_logprobs": 0}),
        ({"store": False, "truncation": "disabled", "metadata": {"a": "b"}}, {}),
        ({"temperature": 0, "top_p": 1, "user": "u"}, {"temperature": 0, "top_p": 1, "user": "u"}),
    ],
)
def test_each_field_has_its_word(fields, said):
    assert chat(**fields) == {"model": "desk", "messages": [{"role": "user", "content": "hi"}], **said}


@pytest.mark.parametrize(
    "fields",
    [
        {"store": True},
        {"background": True},
        {"truncation": "auto"},
        {"previous_response_id": "resp_0"},
        {"reasoning": {"effort": "low", "summary": "auto"}},
        {"include": ["reasoning.encrypted_content"]},
        {"text": {"format": {"type": "grammar"}}},
        {"tools": [{"type": "mcp"}]},
        {"tool_choice": {"type": "web_search"}},
        {"input": [{"type": "item_reference", "id": "i"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
    ],
)
def test_what_chat_has_no_word_for_is_not_translated(fields):
    assert chat(**fields) is None


def test_a_response_repeats_what_was_asked():
    asked = parse_responses(orjson.dumps({"model": "desk", "input": "hi", "instructions": "i", "max_output_tokens": 9}))
    choice = {"message": {"content": "a"}, "finish_reason": "stop"}
    found = response(Shell("x", 7, asked), {"choices": [choice], "usage": None})
    assert (found["id"], found["created_at"], found["instructions"], found["max_output_tokens"]) == (
        "resp_x",
        7,
        "i",
        9,
    )
    assert found["store"] is False and found["usage"]["total_tokens"] == 0
