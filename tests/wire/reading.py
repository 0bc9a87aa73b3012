"""What came over the wire, read as a suspicious client would: every rule of OpenAI's streams and errors by itself."""

from dataclasses import dataclass
from typing import Any

import orjson

USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")
DATA = b"data: "
DONE = b"[DONE]"


@dataclass(frozen=True)
class Reply:
    """One HTTP reply, undecoded."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.content)

    @property
    def events(self) -> list[bytes]:
        """The data of its server-sent events; nothing else may stand between them."""
        *events, rest = self.content.split(b"\n\n")
        assert rest == b"", "the last event does not end"
        assert all(event.startswith(DATA) and b"\n" not in event for event in events), "something that is no event"
        return [event.removeprefix(DATA) for event in events]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [orjson.loads(event) for event in self.events if event != DONE]

    @property
    def text(self) -> str:
        return "".join(choice["delta"].get("content") or "" for choice in self._choices)

    @property
    def finish_reasons(self) -> list[str]:
        return [choice["finish_reason"] for choice in self._choices if choice["finish_reason"] is not None]

    @property
    def _choices(self) -> list[dict[str, Any]]:
        return [choice for chunk in self.chunks for choice in chunk["choices"]]


def check_stream(reply: Reply, *, route: str, model: str, include_usage: bool) -> None:
    """A stream of one answer, whole."""
    check_head(reply, status=200, kind="text/event-stream")
    assert reply.headers["x-tutelage-route"] == route
    events, chunks = reply.events, reply.chunks
    assert events[-1] == DONE and events.count(DONE) == 1, "[DONE] stands once, at the end"
    assert {chunk["id"] for chunk in chunks} == {f"chatcmpl-{reply.headers['x-tutelage-exchange-id']}"}
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk["model"] for chunk in chunks} == {model}
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [n for n, choice in enumerate(choices) if "role" in choice["delta"]] == [0], "the role comes once, first"
    assert [n for n, choice in enumerate(choices) if choice["finish_reason"]] == [len(choices) - 1]
    assert all(choice["index"] == 0 for choice in choices)
    _check_usage(chunks, include_usage=include_usage)


def _check_usage(chunks: list[dict[str, Any]], *, include_usage: bool) -> None:
    told = [chunk for chunk in chunks if chunk.get("usage") is not None]
    assert len(told) == include_usage, "usage comes once where it is asked for, and never otherwise"
    if include_usage:
        assert told == chunks[-1:] and told[0]["choices"] == [], "usage comes last, by itself"
        check_sum(told[0]["usage"])


def check_completion(reply: Reply, *, route: str, model: str) -> None:
    """An unstreamed answer."""
    check_head(reply, status=200, kind="application/json")
    assert reply.headers["x-tutelage-route"] == route
    body = reply.json
    assert body["id"] == f"chatcmpl-{reply.headers['x-tutelage-exchange-id']}"
    assert (body["object"], body["model"]) == ("chat.completion", model)
    (choice,) = body["choices"]
    assert choice["message"]["role"] == "assistant" and choice["finish_reason"]
    check_sum(body["usage"])


def check_sum(usage: dict[str, Any]) -> None:
    prompt, completion, total = (usage[name] for name in USAGE)
    assert prompt > 0 and completion > 0 and prompt + completion == total, "usage does not add up"


def check_error(reply: Reply, *, status: int, code: str | None, param: str | None = None, kind: str = "any") -> None:
    """OpenAI's error body."""
    check_head(reply, status=status, kind="application/json")
    assert set(reply.json) == {"error"}
    error = reply.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"] and error["type"] in (
        "invalid_request_error",
        "rate_limit_error",
        "server_error",
    )
    assert kind in ("any", error["type"])
    assert (error["code"], error["param"]) == (code, param)


def check_broken(reply: Reply, *, route: str) -> None:
    """A stream that could not be ended: its last event is an error, and nothing claims that it is whole."""
    check_head(reply, status=200, kind="text/event-stream")
    assert reply.headers["x-tutelage-route"] == route
    assert DONE not in reply.events
    assert set(reply.chunks[-1]) == {"error"}
    error = reply.chunks[-1]["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["type"] == "server_error"
    assert not any("error" in chunk for chunk in reply.chunks[:-1])


def check_head(reply: Reply, *, status: int, kind: str) -> None:
    assert reply.status == status, reply.content[:300]
    assert reply.headers["content-type"].partition(";")[0] == kind
    assert reply.headers["x-request-id"]
