"""The checks of `tests.wire.reading` see what they are for: each defect planted into a good reply makes them fail.

Client libraries notice none of these (docs/faults.md says more), so a check that saw none of them either would be
worth nothing.
"""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.wire.reading import Reply, check_broken, check_completion, check_error, check_stream

HEAD = {"x-request-id": "1", "x-tutelage-exchange-id": "1", "x-tutelage-route": "student"}
ID = "chatcmpl-1"


def chunk(delta: str, finish_reason: str = "null") -> str:
    choice = f'{{"index":0,"delta":{delta},"finish_reason":{finish_reason}}}'
    return f'data: {{"id":"{ID}","object":"chat.completion.chunk","model":"desk","choices":[{choice}]}}\n\n'


ROLE, WORD, END = chunk('{"role":"assistant","content":""}'), chunk('{"content":"yes"}'), chunk("{}", '"stop"')
USAGE = (
    f'data: {{"id":"{ID}","object":"chat.completion.chunk","model":"desk","choices":[],'
    '"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}\n\n'
)
DONE = "data: [DONE]\n\n"
STREAM = Reply(200, {**HEAD, "content-type": "text/event-stream"}, (ROLE + WORD + END + USAGE + DONE).encode())
WHOLE = Reply(
    200,
    {**HEAD, "content-type": "application/json"},
    f'{{"id":"{ID}","object":"chat.completion","model":"desk","choices":[{{"index":0,"finish_reason":"stop",'
    '"message":{"role":"assistant","content":"yes"}}],'
    '"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}'.encode(),
)
ERROR = Reply(
    429,
    {**HEAD, "content-type": "application/json"},
    b'{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}',
)
BROKEN = replace(
    STREAM,
    content=(ROLE + WORD).encode()
    + b'data: {"error":{"message":"broke off","type":"server_error","param":null,"code":"teacher_unavailable"}}\n\n',
)


def stream(reply: Reply) -> None:
    check_stream(reply, route="student", model="desk", include_usage=True)
    assert reply.text == "yes"


def whole(reply: Reply) -> None:
    check_completion(reply, route="student", model="desk")


def error(reply: Reply) -> None:
    check_error(reply, status=429, code="rate_limit_exceeded", kind="rate_limit_error")


def broken(reply: Reply) -> None:
    check_broken(reply, route="student")


def swap(old: str, new: str, *, count: int = -1) -> Callable[[Reply], Reply]:
    def plant(reply: Reply) -> Reply:
        text = reply.content.decode()
        assert old in text, "the defect cannot be planted"
        return replace(reply, content=text.replace(old, new, count).encode())

    return plant


def head(**headers: str) -> Callable[[Reply], Reply]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda reply: replace(reply, headers={**reply.headers, **named})


def new_ids(reply: Reply) -> Reply:
    numbers = iter(range(100))
    text = re.sub(ID, lambda _: f"chatcmpl-{next(numbers)}", reply.content.decode())
    return replace(reply, content=text.encode())


@pytest.mark.parametrize(("check", "good"), [(stream, STREAM), (whole, WHOLE), (error, ERROR), (broken, BROKEN)])
def test_a_good_reply_passes(check, good):
    check(good)


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(swap(DONE, ""), id="no [DONE]"),
        pytest.param(swap(DONE, DONE + DONE), id="[DONE] twice"),
        pytest.param(swap(END + USAGE + DONE, DONE + END + USAGE), id="[DONE] before the end"),
        pytest.param(new_ids, id="a new id per chunk"),
        pytest.param(swap(ROLE, ROLE + ROLE), id="the role twice"),
        pytest.param(swap(ROLE, ""), id="no role"),
        pytest.param(swap(ROLE + WORD, WORD + ROLE), id="the role after text"),
        pytest.param(swap(END, END + END), id="two finish reasons"),
        pytest.param(swap(END, ""), id="no finish reason"),
        pytest.param(swap(USAGE, ""), id="no usage"),
        pytest.param(swap(USAGE, USAGE + USAGE), id="usage twice"),
        pytest.param(swap('"total_tokens":3', '"total_tokens":4'), id="usage that does not add up"),
        pytest.param(swap(WORD, ""), id="lost text"),
        pytest.param(swap(WORD, WORD + WORD), id="doubled text"),
        pytest.param(swap('"model":"desk"', '"model":"upstream"', count=1), id="the upstream's model"),
        pytest.param(swap(WORD, WORD.rstrip("\n") + "\n"), id="events run together"),
        pytest.param(swap(WORD, ": comment\n" + WORD), id="a line that is no event"),
        pytest.param(swap("data: ", "data:", count=1), id="no space behind data"),
        pytest.param(head(content_type="application/json"), id="a wrong content type"),
        pytest.param(head(x_tutelage_route="teacher"), id="the other route"),
        pytest.param(head(x_request_id=""), id="no request id"),
        pytest.param(lambda reply: replace(reply, status=201), id="a wrong status"),
    ],
)
def test_a_stream_with_a_defect_does_not(plant):
    with pytest.raises((AssertionError, ValueError)):
        stream(plant(STREAM))


def test_usage_that_nobody_asked_for_is_seen():
    with pytest.raises(AssertionError, match="usage"):
        check_stream(STREAM, route="student", model="desk", include_usage=False)


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(swap('"total_tokens":3', '"total_tokens":2'), id="usage that does not add up"),
        pytest.param(swap(ID, "chatcmpl-2"), id="another id than the header's"),
        pytest.param(swap("chat.completion", "chat.completion.chunk"), id="a chunk"),
        pytest.param(swap('"finish_reason":"stop"', '"finish_reason":null'), id="no finish reason"),
        pytest.param(head(content_type="text/plain"), id="a wrong content type"),
        pytest.param(head(x_tutelage_route="teacher"), id="the other route"),
    ],
)
def test_a_whole_answer_with_a_defect_does_not(plant):
    with pytest.raises(AssertionError):
        whole(plant(WHOLE))


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(swap("rate_limit_exceeded", "other"), id="a wrong code"),
        pytest.param(swap("rate_limit_error", "server_error"), id="a wrong type"),
        pytest.param(swap('"param":null,', ""), id="no param"),
        pytest.param(swap('{"error":', '{"detail":'), id="FastAPI's own shape"),
        pytest.param(lambda reply: replace(reply, content=b"Internal Server Error"), id="plain text"),
        pytest.param(lambda reply: replace(reply, status=500), id="a wrong status"),
        pytest.param(head(content_type="text/plain"), id="a wrong content type"),
        pytest.param(head(x_request_id=""), id="no request id"),
    ],
)
def test_an_error_with_a_defect_does_not(plant):
    with pytest.raises((AssertionError, ValueError)):
        error(plant(ERROR))


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(lambda reply: replace(reply, content=(ROLE + WORD).encode()), id="silence"),
        pytest.param(lambda reply: replace(reply, content=reply.content + DONE.encode()), id="an error, then [DONE]"),
        pytest.param(lambda reply: replace(reply, content=reply.content + WORD.encode()), id="text after the error"),
    ],
)
def test_a_broken_stream_that_does_not_say_so_does_not(plant):
    with pytest.raises((AssertionError, ValueError)):
        broken(plant(BROKEN))
