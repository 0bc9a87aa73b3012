"""A teacher that answers a labelled task: OpenAI-compatible, with a set latency and share of mistakes.

    python -m tutelage.demo.local_teacher --data FILE.csv --text COL --label COL --port P --latency-ms L --mistakes S

It stands in for a hosted model in demo and tests. It sees message texts only, and its labels are in this process only.
"""

import argparse
import asyncio
import csv
import hashlib
import random
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ledger.records import Usage
from router.wire import DONE, Head, Reply, completion, completion_chunks, event, models

MESSAGE_OVERHEAD_TOKENS = 4  # per message, as chat templates add


class DataError(Exception):
    """The labelled file cannot be used."""


@dataclass(frozen=True)
class LabelledTask:
    """Text -> label, and how often and how the teacher is wrong."""

    table: Mapping[str, str]
    mistakes: float
    seed: int

    def answer(self, text: str) -> str | None:
        """The label; for a share of the texts, drawn from seed and text, another one. None for an unknown text."""
        label = self.table.get(text)
        if label is None:
            return None
        rng = random.Random(hashlib.sha256(f"{self.seed}/{text}".encode()).digest())
        others = sorted(set(self.table.values()) - {label})
        return rng.choice(others) if others and rng.random() < self.mistakes else label


def read_table(path: Path, *, text: str, label: str) -> dict[str, str]:
    """Text -> label; of a text that occurs twice the first row holds. Raises DataError."""
    table: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = {text, label} - set(reader.fieldnames or ())
            if missing:
                raise DataError(f"{path} has no column {sorted(missing)}; its columns are {reader.fieldnames}")
            for row in reader:
                table.setdefault(row[text], row[label])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}") from error
    if not table:
        raise DataError(f"{path} has no rows")
    return table


def create_app(task: LabelledTask, *, model: str, latency_s: float) -> Starlette:
    """The ASGI app."""

    async def chat_completions(http: Request) -> Response:
        body = await http.json()
        await asyncio.sleep(latency_s)
        answer = task.answer(_last_user_text(body["messages"]))
        if answer is None:
            return _unknown_text()
        reply = Reply(Head("chatcmpl-local", 0, model), answer, "stop", _usage(body["messages"], answer))
        if not body.get("stream"):
            return JSONResponse(completion(reply))
        include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return StreamingResponse(_events(reply, include_usage), media_type="text/event-stream")

    async def list_models(_: Request) -> Response:
        return JSONResponse(models([model]))

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat_completions, methods=["POST"]),
            Route("/v1/models", list_models),
            Route("/health", health),
        ]
    )


async def _events(reply: Reply, include_usage: bool) -> AsyncIterator[bytes]:
    for chunk in completion_chunks(reply, include_usage=include_usage):
        yield event(chunk)
    yield DONE


def _last_user_text(messages: Sequence[Mapping[str, Any]]) -> str:
    spoken = [message["content"] for message in messages if message["role"] == "user"]
    return str(spoken[-1]) if spoken else ""


def _usage(messages: Sequence[Mapping[str, Any]], answer: str) -> Usage:
    """Tokens by the rule of thumb of four characters a token."""
    read = sum(len(str(message["content"])) / 4 + MESSAGE_OVERHEAD_TOKENS for message in messages)
    return Usage(round(read), max(1, round(len(answer) / 4)))


def _unknown_text() -> Response:
    message = "this teacher knows the messages of its labelled file only, and this is none of them"
    error = {"message": message, "type": "invalid_request_error", "param": "messages", "code": "unknown_text"}
    return JSONResponse({"error": error}, status_code=422)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; exit status 2 where the file cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m tutelage.demo.local_teacher", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--mistakes", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="local-teacher")
    options = parser.parse_args(arguments)
    try:
        table = read_table(options.data, text=options.text, label=options.label)
    except DataError as error:
        parser.exit(2, f"{error}\n")
    app = create_app(
        LabelledTask(table, options.mistakes, options.seed), model=options.model, latency_s=options.latency_ms / 1e3
    )
    uvicorn.run(app, host="127.0.0.1", port=options.port, access_log=False, log_level="warning")
    return 0


if __name__ == "__main__":
    sys.exit(main())
