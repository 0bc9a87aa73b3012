"""Questions that a teacher writes, through a real gateway and a real ingester, by the command: what is asked, recorded,
and teaches. The teacher is the demo's, which also writes; every tenth of its messages holds an address.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
import yaml

from bench.parts import Part, started, wait_until
from distill.harvest import harvest
from distill.lessons import Shares, divide
from ledger.clients import CLIENT_FIELDS
from ledger.database import connect
from ledger.forgetting import Meant, find
from ledger.queries import Row, task_rows
from router.settings import Settings, load
from tutelage.demo.corpus import generate
from tutelage.demo.local_teacher import create_app
from tutelage.demo.plan import free_ports
from tutelage.processes import gateway, ingester

pytestmark = pytest.mark.e2e
CLIENTS, ROWS = 150, 100
SYSTEM = "Name the topic of the message."


class WritingTeacher:
    """Writes ten messages where it is shown some as JSON lines, and names the topic of any other one."""

    def __init__(self) -> None:
        self.port = free_ports().local_teacher
        self.written, self.label = generate(rows=3000, seed=7, split="train"), dict[str, str]()
        self.number = count()
        app = create_app(self.answer, model="m", latency_s=0.01)
        self.server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_level="error"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def answer(self, text: str) -> str:
        try:
            json.loads(text.splitlines()[0])
        except ValueError:
            return self.label.get(text, "delivery")
        return json.dumps([self.one() for _ in range(10)])

    def one(self) -> str:
        text, topic = next(self.written)
        text += "" if next(self.number) % 10 else " Write to ann@shop.example."
        self.label[text] = topic
        return text


def configure(folder: Path, teacher: WritingTeacher, **task: Any) -> Settings:
    ports = free_ports()
    big = {
        "model": "m",
        "direct": True,
        "base_url": f"http://127.0.0.1:{teacher.port}/v1",
        "price": {"input_usd_per_mtok": 10.0, "output_usd_per_mtok": 100.0},
        "retries": 0,
        "may_train": True,
        "terms": "the demo's own program",
        "confirmed_by": "this test",
    }
    values = {
        "server": {"port": ports.gateway},
        "ledger": {"url": "sqlite:///ledger.db", "spool_dir": "spool", "redact": {}},
        "teachers": {"big": big},
        "student": {"base_model": "m", "price": {"input_usd_per_mtok": 0.0, "output_usd_per_mtok": 0.0}},
        "tasks": {"desk": {"teacher": "big", "system_prompt": SYSTEM, "max_tokens": 8, **task}},
    }
    path = folder / "t.yaml"
    path.write_text(yaml.safe_dump(values))
    return load(path)


@pytest.fixture
def teacher() -> Iterator[WritingTeacher]:
    found = WritingTeacher()
    yield found
    found.server.should_exit = True
    found.thread.join(timeout=10.0)


def running(settings: Settings, folder: Path) -> Any:
    return started([gateway(settings, folder / "t.yaml"), ingester(settings)], folder)


def ready(parts: dict[str, Part]) -> None:
    wait_until(lambda: "ready for desk" in parts["gateway"].log.read_text(), limit_s=120.0)


def synthesize(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tutelage", "synthesize", "desk", "--config", str(folder / "t.yaml"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def ask(settings: Settings, texts: list[str]) -> None:
    """As clients do, who say who they are."""
    with httpx.Client(base_url=f"http://127.0.0.1:{settings.server.port}", timeout=30.0) as client:
        for text in texts:
            messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text, "name": "anna"}]
            about = {name: {"of": "u-1"} if name == "metadata" else "u-1" for name in CLIENT_FIELDS}
            body = {"model": "desk", "temperature": 0, "max_tokens": 8, "messages": messages, **about}
            client.post("/v1/chat/completions", json=body).raise_for_status()


def recorded(engine: sa.Engine, origin: str, *, count: int) -> list[Row]:
    def rows() -> list[Row]:
        return [row for row in task_rows(engine, "desk", origins=(origin,)) if row.teacher_text is not None]

    wait_until(lambda: len(rows()) >= count)
    return rows()


def test_what_is_written_is_asked_without_the_clients_and_teaches_where_it_is_recorded_as_it_was_asked(
    tmp_path: Path, teacher: WritingTeacher
) -> None:
    settings = configure(tmp_path, teacher)
    engine = connect(settings.ledger.url)
    with running(settings, tmp_path) as parts:
        ready(parts)
        ask(settings, [text for text, _ in generate(rows=CLIENTS, seed=1, split="train")])
        clients = recorded(engine, "client", count=CLIENTS)
        assert "nothing is asked yet" in synthesize(tmp_path, "--rows", str(ROWS)).stdout
        done = synthesize(tmp_path, "--rows", str(ROWS), "--yes")
        assert done.returncode == 0 and f"{ROWS} of them are answered" in done.stdout and "private" in done.stdout
        written = recorded(engine, "synthetic", count=ROWS)
        # One that was asked before this was looked at: an address, which the ledger has as a placeholder.
        order = {"task": "desk", "origin": "synthetic", "binding": settings.binding("desk")}
        order["requests"] = [{"messages": [{"role": "user", "content": "I am ann@shop.example, who else"}]}]
        url = f"http://127.0.0.1:{settings.server.port}/internal/answers"
        httpx.post(url, json=order).raise_for_status()
        recorded(engine, "synthetic", count=ROWS + 1)
        ask(settings, ["One more, so that there is something behind the cut."] * 40)
        recorded(engine, "client", count=CLIENTS + 40)
    assert not any(CLIENT_FIELDS & set(row.params) for row in written)
    assert not any("name" in said or "<email:" in said["content"] for row in written for said in row.messages)
    of_u1 = find(engine, Meant(users=("u-1",)), due=time.time())
    shown = {row.exchange_id for row in task_rows(engine, "desk", origins=("writer",))}  # each shows some of theirs
    theirs = set(of_u1.all_ids) - shown
    assert len(theirs) == CLIENTS + 40 and {row.exchange_id for row in clients} <= theirs
    assert shown and shown < set(of_u1.all_ids)
    found = harvest(
        engine, task="desk", teacher="big", window_share=0.1, max_rows=1000, max_references=100, due=time.time()
    )
    lessons = divide(
        found.older,
        shares=Shares(0.3, 0.05, 0),
        synthetic=found.synthetic,
        progress=lambda done, total: None,
    )
    (redacted,) = [each for each in lessons.rejected if each.reason == "redacted"]
    names = {row.exchange_id for row in found.synthetic}
    assert len(found.synthetic) == ROWS + 1 and redacted.exchange_id in names
    assert len(names & {row.exchange_id for row in lessons.train}) > ROWS / 2


def test_a_budget_that_is_used_up_is_told_as_that(tmp_path: Path, teacher: WritingTeacher) -> None:
    settings = configure(tmp_path, teacher)
    engine = connect(settings.ledger.url)
    with running(settings, tmp_path) as parts:
        ready(parts)
        ask(settings, [text for text, _ in generate(rows=30, seed=1, split="train")])
        recorded(engine, "client", count=30)
    settings = configure(tmp_path, teacher, budget_usd=0.01)  # more is spent already
    with running(settings, tmp_path) as parts:
        ready(parts)
        done = synthesize(tmp_path, "--rows", "20", "--yes")
    assert done.returncode == 2 and "a budget has no room for what it may cost" in done.stderr
    assert "more examples" not in done.stdout + done.stderr
