"""A real gateway over a scripted student, scripted teachers and a ledger whose releases are made by hand.

Models by route. Student: `desk`, judged by the whole draft, and `essay`, by a prefix. Teacher: `doubt`, whose drafts
are never good enough, `fresh`, without a release, `big`, the teacher itself, `lite`, the same through LiteLLM.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from bench.parts import Part, started
from ledger import releases
from ledger.database import connect
from router.settings import Settings, load
from tests.ledger.make import certified
from tests.wire.reading import Reply
from tests.wire.upstream import Upstream
from tutelage.processes import gateway, teacher

KEY = "sk-of-the-rig"
PRICE = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0}
STUDENT_S, TEACHER_S, FIRST_TOKEN_S, ARRIVAL_S = 1.5, 3.0, 1.5, 1.5  # short, and enough on a busy machine
PREFIX = 4
LARGEST_BODY = 1 << 16
STUDENT, TEACHER = ("desk", "essay"), ("doubt", "fresh", "big")
ROUTES = [*((model, "student") for model in STUDENT), *((model, "teacher") for model in TEACHER)]
MESSAGES = [{"role": "user", "content": "Where is my parcel?"}]


@dataclass(frozen=True)
class Rig:
    """What tests hold of it."""

    settings: Settings
    config: Path
    student: Upstream
    teacher: Upstream
    parts: dict[str, Part]

    @property
    def port(self) -> int:
        return self.settings.server.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options: Any) -> httpx.Client:
        headers = {"authorization": f"Bearer {KEY}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0, **options)

    def ask(self, model: str, **fields: Any) -> Reply:
        """A chat completion as it comes over the wire."""
        with self.client() as client:
            response = client.post("/v1/chat/completions", json={"model": model, "messages": MESSAGES, **fields})
        return Reply(response.status_code, dict(response.headers), response.content)

    def answered(self) -> dict[tuple[str, str], float]:
        """(route, status) -> requests so far."""
        with self.client() as client:
            text = client.get("/metrics").text
        found: dict[tuple[str, str], float] = {}
        for line in text.splitlines():
            if line.startswith("tutelage_requests_total{"):
                labels, _, value = line.removeprefix("tutelage_requests_total{").partition("} ")
                named = dict(part.split("=") for part in labels.replace('"', "").split(","))
                key = (named["route"], named["status"])
                found[key] = found.get(key, 0.0) + float(value)
        return found

    @property
    def process(self) -> psutil.Process:
        """The gateway's."""
        return psutil.Process(self.parts["gateway"].process.pid)

    def recover(self, *teachers: str) -> None:
        """Until both routes answer again: their breakers may be open."""
        wait_for(lambda: self.ask("desk").headers.get("x-tutelage-route") == "student")
        for model in teachers or ("big",):
            wait_for(lambda model=model: self.ask(model).status == 200)
        wait_for(lambda: self.student.active == self.teacher.active == 0)


def wait_for(condition: Callable[[], bool], *, limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@contextmanager
def running(work: Path, *, adapt: Callable[[dict[str, Any]], None] = lambda _: None) -> Iterator[Rig]:
    """Everything in processes and threads of its own, over a folder of its own; `adapt` changes the settings."""
    student, teaching = Upstream(), Upstream()
    config, values = work / "tutelage.yaml", _values(student, teaching)
    adapt(values)
    config.write_text(yaml.safe_dump(values))
    settings = load(config)
    _release(settings)
    programs = [teacher(settings, config), gateway(settings, config)]
    try:
        with started(programs, work) as parts:
            rig = Rig(settings, config, student, teaching, parts)
            wait_for(lambda: httpx.get(f"{rig.url}/ready").status_code == 200)
            rig.recover("big", "lite")  # first requests are slower, LiteLLM's by seconds
            yield rig
    finally:
        student.close()
        teaching.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _values(student: Upstream, teaching: Upstream) -> dict[str, Any]:
    direct = {
        "model": "upstream-model",
        "direct": True,
        "price": PRICE,
        "timeout_s": TEACHER_S,
        "first_token_timeout_s": FIRST_TOKEN_S,
        "connect_timeout_s": 0.5,
        "retries": 0,
    }
    big = {**direct, "base_url": teaching.url}
    task = {"alpha": 0.1, "rho": 1e-9, "max_tokens": 64}
    return {
        "server": {
            "port": free_port(),
            "api_key": KEY,
            "max_body_bytes": LARGEST_BODY,
            "request_timeout_s": ARRIVAL_S,
        },
        "ledger": {"url": "sqlite:///ledger.db", "spool_dir": "spool"},
        "teacher_server": {"port": free_port()},
        "teachers": {
            "big": big,
            "patient": {**big, "retries": 2},
            "short": {**big, "capacity_rpm": 1},
            "gone": {**direct, "base_url": f"http://127.0.0.1:{free_port()}/v1"},
            "absent": {
                **direct,
                "base_url": f"http://127.0.0.1:{free_port()}/v1",
            },  # and asked too seldom to be left alone
            "lite": {
                "model": "openai/upstream-model",
                "base_url": teaching.url,
                "price": PRICE,
                "retries": 0,
                "timeout_s": TEACHER_S,
            },
        },
        "canary": {"share": 0.3, "min_requests": 40},
        "student": {"base_model": "base", "port": student.port, "price": PRICE, "timeout_s": STUDENT_S},
        "tasks": {
            "desk": {"teacher": "big", **task},
            "essay": {"teacher": "big", **task, "prefix": PREFIX},
            "doubt": {"teacher": "big", **task},
            "fresh": {"teacher": "big", **task},
        },
    }


def _release(settings: Settings) -> None:
    """A champion for each task but `fresh`; that of `doubt` asks for more than any draft has."""
    engine = connect(settings.ledger.url)
    for task, bias in (("desk", 5.0), ("essay", 5.0), ("doubt", -5.0)):
        name = releases.add_candidate(engine, task=task, cut_at=0.0, base_model="base", now=1.0).name
        values = certified(bound_to=settings.binding(task))
        values["calibrator"] = {
            "features": ["first_logprob"],
            "means": [0.0],
            "scales": [1.0],
            "weights": [1.0],
            "bias": bias,
        }
        releases.promote(engine, name, values=values, now=2.0)
    engine.dispose()
