"""What releases would have answered of the requests that were left to the teacher since they are unlike their lessons.

    python -m bench.unfamiliar FOLDER       # of a run that has ended: its tutelage.yaml, ledger and adapters

Real vLLM drafts them as the gateway would have; a draft that the release would have accepted is compared with what the
teacher has answered, beside those that it did accept and that were references.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import sqlalchemy as sa

from bench.parts import started
from calibration.agreement import disagreement
from calibration.calibrator import Calibrator
from distill.adapters import AdapterServer
from ledger.database import connect
from ledger.drafts import UNFAMILIAR
from ledger.prices import Price
from ledger.releases import Release, history
from ledger.schema import exchanges, teacher_replies
from router.cascade import draft_budget
from router.errors import StudentUnavailable
from router.http_client import HttpClient
from router.settings import Settings, load
from router.student import VllmStudent
from router.wire import ChatRequest, parse_chat
from tutelage.processes import programs
from tutelage.provision import Home

AT_ONCE, READY_S = 16, 600.0


@contextmanager
def engine(settings: Settings, config: Path, home: Home) -> Iterator[AdapterServer]:
    """The student's vLLM alone."""
    (part,) = (each for each in programs(settings, config, home) if each.name == "student")
    with tempfile.TemporaryDirectory() as logs, started([part], Path(logs)):
        yield AdapterServer(settings.student.url)


def asked(ledger: sa.Engine, release: Release, *condition: sa.ColumnElement[bool]) -> Sequence[sa.Row]:
    """Requests under a release to which the teacher's answer is known."""
    query = (
        sa.select(exchanges.c.model, exchanges.c.messages, exchanges.c.params, exchanges.c.draft_text)
        .add_columns(teacher_replies.c.text)
        .join(teacher_replies, teacher_replies.c.exchange_id == exchanges.c.id)
        .where(exchanges.c.release == release.name, teacher_replies.c.text.is_not(None), *condition)
    )
    with ledger.connect() as connection:
        return connection.execute(query).all()


async def accepted(settings: Settings, release: Release, rows: Sequence[sa.Row]) -> list[bool]:
    """Of each draft that the release would have given to a client, whether it differs from the teacher's answer."""
    task = settings.tasks[release.task]
    calibrator, threshold = Calibrator.from_dict(release.calibrator or {}), (release.certificate or {})["threshold"]
    gate = asyncio.Semaphore(AT_ONCE)

    async def differs(request: ChatRequest, answer: str) -> bool | None:
        async with gate:
            try:
                budget = draft_budget(request, task.max_tokens)
                draft = await student.draft(request, model=release.name, max_tokens=budget, prefix=task.prefix)
            except StudentUnavailable:
                return None
        if not draft.can_be_accepted(task.prefix) or calibrator.score(draft.evidence) < threshold:
            return None
        return bool(disagreement(draft.text, answer))

    async with HttpClient() as http:
        student = VllmStudent(http, url=settings.student.url, price=Price(0.0, 0.0), timeout_s=60.0)
        requests = [
            parse_chat(orjson.dumps({**row.params, "model": row.model, "messages": row.messages, "stream": False}))
            for row in rows
        ]
        found = await asyncio.gather(*(differs(each, row.text) for each, row in zip(requests, rows, strict=True)))
    return [each for each in found if each is not None]


def main() -> None:
    """A line for each release that has left anything."""
    parser = argparse.ArgumentParser(prog="python -m bench.unfamiliar")
    parser.add_argument("folder", type=Path)
    folder, home = parser.parse_args().folder.resolve(), Home.from_environment()
    os.chdir(folder)
    config = folder / "tutelage.yaml"
    settings = load(config)
    ledger = connect(settings.ledger.url)
    print(
        "| release | unfamiliar | of these it would have answered | otherwise than the teacher | of what it answered |"
    )
    print("|---|---|---|---|---|")
    with engine(settings, config, home) as server:
        for release in (each for task in settings.tasks for each in history(ledger, task) if each.certificate):
            rows = asked(ledger, release, exchanges.c.reason == UNFAMILIAR)
            answered = asked(ledger, release, exchanges.c.route == "student", exchanges.c.reference)
            if not rows:
                continue
            server.load(release.name, Path(release.adapter_path), patience_s=READY_S)
            wrong = asyncio.run(accepted(settings, release, rows))
            own = [bool(disagreement(row.draft_text, row.text)) for row in answered]
            shares = [f"{sum(each)} ({sum(each) / max(1, len(each)):.1%})" for each in (wrong, own)]
            print(f"| {release.name} | {len(rows)} | {len(wrong)} | {shares[0]} | {shares[1]} of {len(own)} |")


if __name__ == "__main__":
    main()
