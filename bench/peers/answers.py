"""What the model server of the measurement says: vLLM's shapes, made once and served from files (`upstream.c`)."""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import orjson

ASKED_FOR = (0, 5, 20)  # alternatives a token
LENGTHS = (20, 100)  # tokens
PROMPT_TOKENS = 40


@dataclass(frozen=True)
class Answer:
    """One of the answers. `usage` of a stream: 0 none, 1 at the end, 2 with every chunk, as its options ask for."""

    stream: bool
    top: int
    tokens: int
    usage: int
    sure: bool

    @property
    def name(self) -> str:
        """As `upstream.c` spells it."""
        words = "sure" if self.sure else "unsure"
        return f"stream{self.stream:d}-top{self.top}-tokens{self.tokens}-usage{self.usage}-{words}"

    def pieces(self) -> list[bytes]:
        """Raw HTTP; of a stream one piece an event."""
        if not self.stream:
            return [_whole(200, self._completion())]
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        first, *rest = [_framed(b"data: " + orjson.dumps(chunk) + b"\n\n") for chunk in self._chunks()]
        return [head + first, *rest, _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"]

    def _completion(self) -> dict[str, Any]:
        logprobs = {"content": [self._token(i) for i in range(self.tokens)]} if self.top else None
        message = {"role": "assistant", "content": text(self.tokens), "refusal": None, "tool_calls": []}
        choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "stop", "stop_reason": None}
        return {**_head("chat.completion"), "choices": [choice], "usage": _usage(self.tokens)}

    def _chunks(self) -> Iterator[dict[str, Any]]:
        yield self._chunk({"role": "assistant", "content": ""}, so_far=0)
        for i in range(self.tokens):
            logprobs = {"content": [self._token(i)]} if self.top else None
            yield self._chunk({"content": _word(i)}, so_far=i + 1, logprobs=logprobs)
        yield self._chunk({}, so_far=self.tokens, finish_reason="stop")
        if self.usage:
            yield {**_head("chat.completion.chunk"), "choices": [], "usage": _usage(self.tokens)}

    def _chunk(
        self, delta: dict[str, str], *, so_far: int, logprobs: Any = None, finish_reason: str | None = None
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        usage = {"usage": _usage(so_far)} if self.usage == 2 else {}
        return {**_head("chat.completion.chunk"), "choices": [choice], **usage}

    def _token(self, place: int) -> dict[str, Any]:
        """The likeliest alternatives, the token itself first: nearly certain, or one among several."""
        first = -0.01 - 0.001 * place if self.sure else -1.2
        later = math.log(-math.expm1(first)) - 0.7
        words = [_word(place), *(f" or{n:02d}" for n in range(1, self.top))]
        logprobs = [first, *(round(later - 0.7 * n, 6) for n in range(self.top - 1))]
        found = [
            {"token": word, "logprob": logprob, "bytes": list(word.encode())}
            for word, logprob in zip(words, logprobs, strict=True)
        ]
        return {**found[0], "top_logprobs": found}


def text(tokens: int) -> str:
    """What every answer of so many tokens says."""
    return "".join(map(_word, range(tokens)))


def write_answers(folder: Path) -> None:
    """All that may be asked for, the model list, and an error for everything else."""
    folder.mkdir()
    for stream, top, tokens, usage, sure in product((False, True), ASKED_FOR, LENGTHS, (0, 1, 2), (True, False)):
        if stream or not usage:
            answer = Answer(stream, top, tokens, usage, sure)
            _write(folder / answer.name, answer.pieces())
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "bench"} for name in ("desk", "mock")]
    _write(folder / "models", [_whole(200, {"object": "list", "data": models, "status": "ok"})])
    _write(folder / "unknown", [_whole(400, {"error": {"message": "no such answer", "type": "invalid_request_error"}})])


def _write(path: Path, pieces: list[bytes]) -> None:
    path.write_bytes(b"".join(struct.pack("=I", len(piece)) + piece for piece in pieces))


def _whole(status: int, body: dict[str, Any]) -> bytes:
    data = orjson.dumps(body)
    head = f"HTTP/1.1 {status} Mock\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _word(place: int) -> str:
    return f" word{place}" if place else "refund"


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-0123456789abcdef0123456789abcdef", "object": kind, "created": 1_790_000_000, "model": "m"}


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens}
