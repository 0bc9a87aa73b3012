"""A teacher that answers a labelled task: OpenAI-compatible, with a set latency and share of mistakes.

    python -m tutelage.demo.local_teacher --data FILE.csv --text COL --label COL --port P --latency-ms L --mistakes S

It stands in for a hosted model in demo and tests. It sees message texts only, and its labels are in this process only.
Sampling parameters and the model's name are accepted and change nothing, as the answer depends on the text alone.
"""

import argparse
import asyncio
import csv
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ledger.records import Usage
from router import wire
from router.errors import BadRequest, GatewayError
from router.wire import DONE, ChatRequest, Head, Reply, completion, completion_chunks, event, parse_chat

CHARACTERS_PER_TOKEN = 4  # OpenAI's rule of thumb for English
MESSAGE_OVERHEAD_TOKENS = 4  # per message, as chat templates add


class DataError(Exception):
    """The labelled file cannot be used."""


class UnknownText(BadRequest):
    """The message is none of the labelled file's."""

    status = 422
    code = "unknown_text"


@dataclass(frozen=True)
class Table:
    """The labelled task: text -> label, and every label once, sorted."""

    by_text: Mapping[str, str]
    labels: tuple[str, ...]


def answer(table: Table, text: str, *, mistakes: float, seed: int) -> str | None:
    """The label of `text`; for a share `mistakes` of all texts, drawn from (seed, text), one of the other labels.

    None for a text that is not in the table; blanks around it do not count. Needs two labels where `mistakes` > 0.
    """
    text = text.strip()
    label = table.by_text.get(text)
    if label is None:
        return None
    digest = blake2b(f"{seed}/{text}".encode(), digest_size=16).digest()
    if int.from_bytes(digest[:8]) / 2**64 >= mistakes:
        return label
    others = [other for other in table.labels if other != label]
    return others[int.from_bytes(digest[8:]) % len(others)]


def read_table(path: Path, *, text: str, label: str) -> Table:
    """The columns `text` and `label` of a CSV file; of a text that occurs twice the first row holds.

    Raises DataError where the file or a column is missing, where it is no UTF-8 or no CSV, has no rows, or a row
    lacks one of the two.
    """
    by_text: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row_text, row_label in _rows(csv.DictReader(file), path, columns=(text, label)):
                by_text.setdefault(row_text, row_label)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV in UTF-8: {error}") from error
    if not by_text:
        raise DataError(f"{path} has no rows")
    return Table(by_text, tuple(sorted(set(by_text.values()))))


def _rows(reader: "csv.DictReader[str]", path: Path, *, columns: tuple[str, str]) -> Iterator[tuple[str, ...]]:
    absent = [column for column in columns if column not in (reader.fieldnames or ())]
    if absent:
        raise DataError(f"{path} has no column {absent[0]!r}; its columns are {list(reader.fieldnames or ())}")
    for row in reader:
        cells = tuple((row[column] or "").strip() for column in columns)
        if not all(cells):
            raise DataError(f"{path}, line {reader.line_num}: {columns[cells.index('')]!r} is empty")
        yield cells


def create_app(answer_to: Callable[[str], str | None], *, model: str, latency_s: float) -> Starlette:
    """The ASGI app. `answer_to` gives the answer to a message's text, or None where it knows none."""

    async def chat_completions(http: Request) -> Response:
        request = parse_chat(await http.body())
        text = answer_to(_last_user_text(request))
        if text is None:
            raise UnknownText("this teacher knows the messages of its labelled file only", param="messages")
        await asyncio.sleep(latency_s)
        head = Head(f"chatcmpl-{uuid4().hex}", int(time.time()), model)
        reply = Reply(head, text, "stop", _usage(request, text))
        if not request.stream:
            return JSONResponse(completion(reply))
        chunks = completion_chunks(reply, include_usage=request.include_usage)
        return StreamingResponse(_each([*map(event, chunks), DONE]), media_type="text/event-stream")

    async def list_models(_: Request) -> Response:
        return JSONResponse(wire.models([wire.model(model, owner="tutelage")]))

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat_completions, methods=["POST"]),
            Route("/v1/models", list_models),
            Route("/health", health),
        ],
        exception_handlers={GatewayError: _refuse},
    )


async def _each(events: Sequence[bytes]) -> AsyncIterator[bytes]:
    # An async generator: Starlette would send a plain one through its thread pool.
    for each in events:
        yield each


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    return JSONResponse(error.body(), status_code=error.status)


def _last_user_text(request: ChatRequest) -> str:
    """The text of the last user message, its text parts joined. Raises BadRequest where there is no user message."""
    spoken = [message for message in request.messages if message["role"] == "user"]
    if not spoken:
        raise BadRequest("there is no user message", param="messages")
    return _text(spoken[-1])


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in content)


def _usage(request: ChatRequest, text: str) -> Usage:
    """A token for every four characters begun, and `MESSAGE_OVERHEAD_TOKENS` for every message."""
    read = sum(_tokens(_text(message)) + MESSAGE_OVERHEAD_TOKENS for message in request.messages)
    return Usage(read, _tokens(text))


def _tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve on loopback until stopped; exit status 2 where the file or an option cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m tutelage.demo.local_teacher", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--text", default="text", metavar="COLUMN")
    parser.add_argument("--label", default="label", metavar="COLUMN")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--mistakes", type=float, default=0.0, metavar="SHARE", help="from 0 to 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="local-teacher")
    options = parser.parse_args(arguments)
    try:
        table = read_table(options.data, text=options.text, label=options.label)
    except DataError as error:
        parser.exit(2, f"{error}\n")
    if not 0 <= options.mistakes <= 1 or options.latency_ms < 0:
        parser.error("--mistakes is a share from 0 to 1, --latency-ms is not negative")
    if options.mistakes and len(table.labels) < 2:
        parser.error(f"{options.data} has one label only: there are no mistakes to make, use --mistakes 0")

    def answer_to(text: str) -> str | None:
        return answer(table, text, mistakes=options.mistakes, seed=options.seed)

    app = create_app(answer_to, model=options.model, latency_s=options.latency_ms / 1e3)
    uvicorn.run(app, host="127.0.0.1", port=options.port, access_log=False, log_level="warning")
    return 0


if __name__ == "__main__":
    sys.exit(main())
