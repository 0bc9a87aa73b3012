"""A ledger of many tasks with several releases each, and traffic of every kind that their metrics tell apart."""

import time
from collections.abc import Iterator
from itertools import count, product

from bench.peers.subject import promote
from calibration.evidence import SHORT
from ledger import decisions, live, progress
from ledger.database import connect
from ledger.decisions import Decision
from ledger.ingest import store
from ledger.live import Live
from ledger.progress import Progress
from ledger.records import Exchange
from router.metrics_state import DECIDED
from router.settings import Settings
from tests.ledger.make import exchange, student_exchange

TASKS, RELEASES = 50, 5
NAMES = tuple(f"task-{number:02d}" for number in range(TASKS))
ESCALATED = {"route": "teacher", "reason": "unsure", "score": 0.1, "teacher_reply": exchange(0).teacher_reply}
LIVE = Live(since=1.0, answers=900, references=60, errors=2, agreement=0.96, low=0.9, high=0.99, alarm=0.2)


def fill(settings: Settings) -> None:
    """Of each task releases, the last of them in force, decisions of every kind, and what a worker has published."""
    engine, now = connect(settings.ledger.url), time.time()
    for task in NAMES:
        for _ in range(RELEASES):
            name = promote(engine, task, SHORT, settings=settings, now=now)
        for action, trigger in DECIDED:
            decisions.record(engine, Decision(now, task, action, trigger, "as it was found"))
        on_its_way = Progress(rows=120, rows_needed=300, references=200, references_needed=200, expected_at=now)
        progress.publish(engine, task, on_its_way, now=now)
        live.publish(engine, name, LIVE)
    store(engine, [*traffic()])
    engine.dispose()


def in_force() -> dict[str, str]:
    """The last release of each task."""
    return {task: _release(task, RELEASES) for task in NAMES}


def traffic() -> Iterator[Exchange]:
    """Of each task and release what the student has answered and what it has left to the teacher; streams too."""
    numbers = count()
    for task, release, stream in product(NAMES, range(1, RELEASES + 1), (False, True)):
        asked = {"task": task, "model": task, "stream": stream, "first_byte_s": 0.02, "latency_s": 0.03}
        asked["release"] = _release(task, release)
        yield student_exchange(next(numbers), **asked)
        yield student_exchange(next(numbers), **asked, **ESCALATED)


def _release(task: str, number: int) -> str:
    return f"{task}--v{number:06d}"
