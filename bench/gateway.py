"""What the gateway itself costs: microseconds of CPU of one process per request, without network and engine.

    python -m bench.gateway

Drives the ASGI app in this process, on both routes, over an in-memory student and teacher and a real spool. A first
figure to watch; the comparison with peers over real sockets is a benchmark of its own, not made yet.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import orjson

from ledger.spool import SpoolWriter
from router.app import create_app
from tests.fakes import UNSURE, FakeStudent, draft, gateway

ROUNDS, REQUESTS = 15, 200
BODY = orjson.dumps(
    {
        "model": "desk",
        "messages": [{"role": "system", "content": "Name the topic."}, {"role": "user", "content": "x" * 120}],
    }
)
SCOPE = {
    "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
    "path": "/v1/chat/completions", "raw_path": b"/v1/chat/completions", "query_string": b"", "root_path": "",
    "headers": [(b"content-type", b"application/json")], "server": ("bench", 80), "client": ("bench", 1),
}  # fmt: skip


async def ask(app) -> int:
    status = 0

    async def receive():
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message):
        nonlocal status
        status = message.get("status", status)

    await app(dict(SCOPE), receive, send)
    return status


async def measure(route: str, spool_dir: Path) -> list[float]:
    """Microseconds a request, one figure a round."""
    student = FakeStudent() if route == "student" else FakeStudent(draft(evidence=UNSURE))
    spool = SpoolWriter(spool_dir)
    app, rounds = create_app(gateway(student=student, spool=spool)), []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(REQUESTS):
            assert await ask(app) == 200
        rounds.append((time.process_time() - started) / REQUESTS * 1e6)
    spool.close()
    return rounds


def main() -> None:
    """Print a line per route: least, median and largest of the rounds."""
    for route in ("student", "teacher"):
        with tempfile.TemporaryDirectory() as folder:
            rounds = asyncio.run(measure(route, Path(folder)))
        print(f"{route}: {min(rounds):.0f} / {statistics.median(rounds):.0f} / {max(rounds):.0f} us a request")


if __name__ == "__main__":
    main()
