"""Chat chunks told as events: the order, the numbers, and who closes what."""

import orjson

from router import wire
from router.responses_stream import Narration, stream_events
from router.wire_responses import Shell, parse_responses, response

SHELL = Shell("x", 1, parse_responses(b'{"model": "desk", "input": "hi", "stream": true}'))


def told(*deltas, finish_reason="stop", usage=None):
    """All events of a stream of these deltas."""
    narration = Narration(SHELL)
    events = list(narration.begin())
    for delta in deltas:
        events += narration.take({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    events += narration.take({"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    events += narration.take({"choices": [], "usage": usage})
    return [*events, *narration.end()]


def call(index, **function):
    return {"tool_calls": [{"index": index, "id": f"call_{index}", "function": function}]}


def test_text_and_calls_are_items_in_the_order_in_which_they_begin():
    pieces = (call(0, name="f", arguments="{"), call(0, arguments="}"), call(1, name="g", arguments="{}"))
    events = told({"role": "assistant", "content": ""}, {"content": "so"}, *pieces, finish_reason="tool_calls")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    added = [event["item"]["type"] for event in events if event["type"] == "response.output_item.added"]
    assert added == ["message", "function_call", "function_call"]
    output = events[-1]["response"]["output"]
    assert [item.get("arguments") for item in output] == [None, "{}", "{}"]
    assert [item["call_id"] for item in output[1:]] == ["call_0", "call_1"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == output


def test_a_stream_ends_as_the_same_answer_unstreamed():
    usage = {"prompt_tokens": 4, "completion_tokens": 2}
    message = {"role": "assistant", "content": "a refund"}
    whole = response(SHELL, {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})
    streamed = told({"content": "a "}, {"content": "refund"}, usage=usage)[-1]["response"]
    whole["output"][0].pop("id"), streamed["output"][0].pop("id")
    assert streamed == whole


def test_a_refusal_is_one():
    events = told({"refusal": "No"}, {"refusal": "."})
    assert [event["delta"] for event in events if event["type"] == "response.refusal.delta"] == ["No", "."]
    assert events[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_an_answer_that_was_cut_off_is_incomplete():
    last = told({"content": "a"}, finish_reason="length")[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_an_answer_without_a_word_is_an_empty_message():
    (item,) = told()[-1]["response"]["output"]
    assert item["content"][0]["text"] == ""


async def test_who_leaves_at_the_first_event_leaves_no_chunks_open():
    closed = []

    async def chunks():
        try:
            while True:
                yield wire.event(wire.opening_chunk(wire.Head("x", 1, "m")))
        finally:
            closed.append(True)

    events = stream_events(chunks(), SHELL)
    first = await anext(events)
    await events.aclose()
    assert closed == [True]
    assert orjson.loads(first.split(b"\n")[1].removeprefix(b"data: "))["type"] == "response.created"
