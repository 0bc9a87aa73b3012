"""What the gateway itself costs: microseconds of CPU of one process per request, without network and engine.

    python -m bench.gateway

Drives the ASGI app in this process, on both routes, over an in-memory student and teacher and a real spool; one whose
release has as many lessons as it may, of which the request is one, too. A first
figure to watch; the comparison with peers over real sockets is `python -m bench.peers`.
"""

import asyncio
import random
import statistics
import tempfile
import time
import timeit
from dataclasses import replace
from pathlib import Path

import orjson

from calibration.familiar import MOST, Familiar
from ledger.spool import SpoolWriter
from router.app import create_app
from router.ports import ServedRelease
from tests.fakes import RELEASE, UNSURE, FakeReleases, FakeStudent, draft, gateway

ROUNDS, REQUESTS = 15, 200
LENGTHS = (40, 100, 500)  # characters; of longer texts no more is looked at
QUESTION = (
    "the transfer that was sent to my savings account on monday has not arrived and the shop says it is not theirs"
)
BODY = orjson.dumps(
    {
        "model": "desk",
        "messages": [{"role": "system", "content": "Name the topic."}, {"role": "user", "content": QUESTION}],
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


async def measure(student: FakeStudent, release: ServedRelease, spool_dir: Path) -> float:
    """Microseconds a request, of one round."""
    spool = SpoolWriter(spool_dir)
    app = create_app(gateway(student=student, spool=spool, releases=FakeReleases(release)))
    started = time.process_time()
    for _ in range(REQUESTS):
        assert await ask(app) == 200
    took_s = time.process_time() - started
    spool.close()
    return took_s / REQUESTS * 1e6


def lessons() -> Familiar:
    """As many as a release keeps, of the length of the request, of a small vocabulary."""
    rng = random.Random(0)
    words = ["".join(rng.choices("aeioulnrst", k=rng.randint(2, 9))) for _ in range(2000)]
    texts = [" ".join(rng.choices(words, k=20)) for _ in range(MOST)]
    return Familiar.with_all_of([*texts, QUESTION], seed=0).but(0.0, of=[QUESTION])


def compared(known: Familiar, text: str) -> float:
    """Microseconds to compare a text with the lessons, the least of the rounds."""
    return min(timeit.repeat(lambda: known.has(text), number=REQUESTS, repeat=ROUNDS)) / REQUESTS * 1e6


def main() -> None:
    """Print a line per way: least, median and largest of the rounds, which take turns; then what comparing takes."""
    unsure, knowing = FakeStudent(draft(evidence=UNSURE)), replace(RELEASE, familiar=lessons())
    ways = {
        "student": (FakeStudent(), RELEASE),
        "student, compared with its lessons": (FakeStudent(), knowing),
        "teacher": (unsure, RELEASE),
    }
    rounds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, (student, release) in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                rounds[way].append(asyncio.run(measure(student, release, Path(folder))))
    for way, took in rounds.items():
        print(f"{way}: {min(took):.0f} / {statistics.median(took):.0f} / {max(took):.0f} us a request")
    for length in LENGTHS:
        text = (QUESTION * 5)[:length]
        print(f"compared with its lessons, {length} characters: {compared(knowing.familiar, text):.0f} us")


if __name__ == "__main__":
    main()
