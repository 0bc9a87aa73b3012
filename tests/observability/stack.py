"""A real Prometheus over two real gateways, an ingester and a worker; only vLLM and the teacher are scripted.

One of the gateways has two processes, the other a teacher of limited capacity, which processes share by Redis alone.
Rules are ours, with times short enough to be watched (`quickened`). What is waited for ends the wait: a limit says
only when it is given up.
"""

import fcntl
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml
from aiohttp import web

from bench.parts import Part, started
from grafana.build import ROOT
from ledger import releases
from ledger.database import connect
from ledger.ingest import store
from ledger.records import Draft, Exchange, TeacherReply, Usage
from router.settings import Settings, load
from tests.ledger.make import certified, student_exchange
from tests.wire import answers
from tests.wire.rig import KEY, PRICE, free_port
from tests.wire.upstream import ENGINE, Upstream, saying
from tutelage.processes import Program, gateway, ingester, worker

PROMETHEUS, PROMTOOL = "/usr/bin/prometheus", "/usr/bin/promtool"
DAY_S = 86_400.0
LIMIT_S = 180.0
THOUGHT, PLANNED_USD = 5000, 0.004  # an answer of so many tokens costs more than twice what is planned for a month
# What the rules wait for and look back to, and what it becomes here; a threshold in seconds too.
QUICK = {"2m": "10s", "5m": "10s", "10m": "10s", "30m": "15s", "1h": "20s", "1d": "30s"}


def quickened(text: str) -> str:
    """The rules with shorter times, and nothing else changed but the age at which records in the spool are told of."""
    for old, new in QUICK.items():
        text = text.replace(f"[{old}]", f"[{new}]").replace(f"offset {old}", f"offset {new}")
    text = re.sub(r"^( *for:) \w+$", r"\1 2s", text, flags=re.M)
    assert text.count("(tutelage_ingester_lag_seconds) > 120") == 1
    return text.replace("(tutelage_ingester_lag_seconds) > 120", "(tutelage_ingester_lag_seconds) > 5")


@dataclass
class Stack:
    """What the tests hold of it. `topics` of prompts: how long they are."""

    settings: Settings
    student: Upstream
    teacher: Upstream
    parts: dict[str, Part]
    prometheus: str
    words: int = 5
    asking: tuple[str, ...] = ("desk", "fresh", "poor")
    asking_narrow: tuple[str, ...] = ("tight",)
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.server.port}"

    def query(self, expr: str, *, at: float | None = None) -> list[dict[str, Any]]:
        """What Prometheus says now. Raises AssertionError with its words for what is no expression."""
        asked = {"query": expr} | ({} if at is None else {"time": str(at)})
        body = httpx.post(f"{self.prometheus}/api/v1/query", data=asked, timeout=10.0).json()
        assert body["status"] == "success", f"{expr}: {body.get('error')}"
        return list(body["data"]["result"])

    def value(self, expr: str) -> float:
        """Of an expression with one sample."""
        (found,) = self.query(expr)
        return float(found["value"][1])

    def await_data(self, *exprs: str, what: str = "data") -> None:
        """Of each of them."""
        for expr in exprs:
            wait_for(lambda expr=expr: bool(self.query(expr)), what=f"{what}: {expr}")

    def firing(self, **labels: str) -> set[str]:
        """The names of alerts, of those with these labels."""
        chosen = ",".join(f'{name}="{value}"' for name, value in {"alertstate": "firing", **labels}.items())
        return {each["metric"]["alertname"] for each in self.query(f"ALERTS{{{chosen}}}")}

    def await_firing(self, *names: str, **labels: str) -> None:
        wait_for(lambda: set(names) <= self.firing(**labels), what=f"{names} to fire")

    def await_silence(self, *names: str, **labels: str) -> None:
        wait_for(lambda: not set(names) & self.firing(**labels), what=f"{names} to end")

    @contextmanager
    def asked_for(self, *tasks: str) -> Iterator[None]:
        """The wide gateway is asked for these instead."""
        before, self.asking = self.asking, tasks
        try:
            yield
        finally:
            self.asking = before

    def restart(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        """A part over its configuration as it is changed, as by whoever edits the file."""
        part = self.parts[name]
        config = Path(part.program.command[-1])
        values = yaml.safe_load(config.read_text())
        change(values)
        config.write_text(yaml.safe_dump(values))
        part.kill(signal.SIGTERM)
        part.start()
        part.wait_ready()

    def gateway_processes(self) -> list[int]:
        """The worker processes of the gateway."""
        parent = psutil.Process(self.parts["gateway"].process.pid)
        living = [each for each in parent.children(recursive=True) if each.status() != psutil.STATUS_ZOMBIE]
        return [each.pid for each in living if "spawn_main" in " ".join(each.cmdline())]

    def ask(self, client: httpx.Client, model: str, *, stream: bool) -> None:
        content = " ".join(["parcel"] * self.words)
        body = {"model": model, "messages": [{"role": "user", "content": content}], "stream": stream}
        with suppress(httpx.HTTPError):  # what fails is counted by the gateway, or it is away
            client.post("/v1/chat/completions", json=body)

    def load(self, port: int, tasks: Callable[[], tuple[str, ...]]) -> None:
        """Ask a gateway for ever, several tasks in turn, streamed now and then."""
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {KEY}"}, timeout=10.0
        ) as client:
            for number in range(1_000_000):
                if self._stopped.wait(0.02):
                    return
                self.ask(client, tasks()[number % len(tasks())], stream=number % 5 == 0)

    def stop(self) -> None:
        self._stopped.set()


def wait_for(condition: Callable[[], bool], *, what: str, limit_s: float = LIMIT_S) -> None:
    last = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < last, f"waited in vain for {what}"
        time.sleep(0.25)


@contextmanager
def locked(ledger: Path) -> Iterator[None]:
    """A SQLite file that nobody else can read or write meanwhile, as where a process hangs in it: all locks of its
    write-ahead log are held (https://www.sqlite.org/walformat.html, section 2.3). Not a byte of it is changed."""
    with Path(f"{ledger}-shm").open("r+b") as shared:
        for byte in range(120, 128):  # one by one: others come and go
            fcntl.lockf(shared, fcntl.LOCK_EX, 1, byte)
        yield


@contextmanager
def running(work: Path) -> Iterator[Stack]:
    """All of it, under load, until the block ends."""
    student, teacher = Upstream(), Upstream()
    student.act, teacher.act = counting, thinking
    settings, narrow = (_settings(work / name, student, teacher) for name in ("tutelage.yaml", "narrow.yaml"))
    _fill(settings)
    port = free_port()
    programs = [
        ingester(settings),
        gateway(settings, work / "tutelage.yaml"),
        replace(gateway(narrow, work / "narrow.yaml"), name="narrow"),
        worker(work / "tutelage.yaml"),
        _prometheus(work, [settings.server.port, narrow.server.port], port=port),
    ]
    try:
        with started(programs, work) as parts:
            stack = Stack(settings, student, teacher, parts, f"http://127.0.0.1:{port}")
            wide = settings.server.port, lambda: stack.asking
            asked = [wide, wide, (narrow.server.port, lambda: stack.asking_narrow)]
            asking = [threading.Thread(target=stack.load, args=each, daemon=True) for each in asked]
            for each in asking:
                each.start()
            try:
                yield stack
            finally:
                stack.stop()
                for each in asking:
                    each.join(timeout=15.0)
    finally:
        student.close()
        teacher.close()


async def counting(_: Upstream, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """A student as it should be, that counts the prompt's words as tokens."""
    said = answers.to(body).body()
    said["usage"]["prompt_tokens"] = sum(len(each["content"].split()) for each in body["messages"])
    return web.json_response(said)


async def thinking(upstream: Upstream, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """A teacher as it should be; its model `thinker` counts more tokens than it was allowed, and shows none of them."""
    counted = {"completion_tokens": THOUGHT} if body["model"] == "thinker" else {}
    return await saying(counted=counted)(upstream, request, body)


def _prometheus(work: Path, scraped_ports: list[int], *, port: int) -> Program:
    """Ours, with the rules quickened."""
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    scraped["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = scraped["scrape_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{each}" for each in scraped_ports]}]
    (work / "admin.key").write_text(KEY)
    (work / "prometheus.yml").write_text(yaml.safe_dump(scraped))
    (work / "rules.yml").write_text(quickened((ROOT / "deploy/prometheus/rules.yml").read_text()))
    for kind, name in (("config", "prometheus.yml"), ("rules", "rules.yml")):
        subprocess.run([PROMTOOL, "check", kind, work / name], check=True, capture_output=True)
    url = f"127.0.0.1:{port}"
    command = [PROMETHEUS, f"--config.file={work}/prometheus.yml", f"--storage.tsdb.path={work}/tsdb"]
    return Program("prometheus", [*command, f"--web.listen-address={url}"], f"http://{url}/-/ready")


def _settings(config: Path, student: Upstream, teacher: Upstream) -> Settings:
    config.write_text(yaml.safe_dump(_narrow(student, teacher) if config.stem == "narrow" else _wide(student, teacher)))
    return load(config)


def _wide(student: Upstream, teacher: Upstream) -> dict[str, Any]:
    direct = {"model": "m", "direct": True, "price": PRICE, "timeout_s": 3.0, "retries": 0, "base_url": teacher.url}
    task = {"teacher": "big", "alpha": 0.1, "rho": 0.5, "max_tokens": 64, "alarm_references": 200.0}
    return {
        "server": {"port": free_port(), "api_key": KEY, "workers": 2, "budget_usd": 100.0},
        "ledger": {"url": "sqlite:///ledger.db", "spool_dir": "spool"},
        "teacher_server": {"port": free_port()},
        "teachers": {"big": direct},
        "student": {"base_model": "base", "port": student.port, "price": PRICE, "timeout_s": 1.0},
        "tasks": {
            **{name: task for name in ("desk", "doubt", "fresh")},
            "poor": {**task, "budget_usd": 0.01, "budget_per": "day"},  # some hundreds of requests
        },
    }


def _narrow(student: Upstream, teacher: Upstream) -> dict[str, Any]:
    """Over the same ledger: a teacher that may be asked twenty times a minute, and one that costs more than planned."""
    values = _wide(student, teacher)
    task, big = values["tasks"]["desk"], values["teachers"]["big"]
    return {
        **values,
        "server": {"port": free_port(), "api_key": KEY},
        "teachers": {"small": {**big, "capacity_rpm": 20}, "thinker": {**big, "model": "thinker"}},
        "tasks": {
            "tight": {**task, "teacher": "small"},
            "planned": {**task, "teacher": "thinker", "budget_usd": PLANNED_USD},
        },
    }


def _fill(settings: Settings) -> None:
    """Champions of two tasks, made by hand: one is sure of everything, the other of nothing, and its certificate ends
    tomorrow. Of the first some answers of two hours ago: so young a release has no pace of references yet."""
    engine, now = connect(settings.ledger.url), time.time()
    for task, bias, ends_at in (("desk", 5.0, now + 20 * DAY_S), ("doubt", -5.0, now + DAY_S)):
        name = releases.add_candidate(engine, task=task, cut_at=0.0, base_model="base", now=1.0).name
        values = certified(bound_to={**settings.binding(task), "engine": ENGINE}, expires_at=ends_at)
        values["calibrator"] = {
            "features": ["first_logprob"],
            "means": [0.0],
            "scales": [1.0],
            "weights": [1.0],
            "bias": bias,
        }
        values["report"]["training"] = {"rows": 300}
        releases.promote(engine, name, values=values, now=2.0)
    store(engine, [_of_before(number, at=now - 7200.0 + number) for number in range(20)])
    engine.dispose()


def _of_before(number: int, *, at: float) -> Exchange:
    reply = TeacherReply("big", answers.TEXT, "stop", Usage(10, 12), 0.01, 0.2)
    draft = Draft(answers.TEXT, "stop", {"first_logprob": -0.01}, Usage(5, 12), 0.001)
    facts = {"id": f"{number:012x}{'0' * 20}", "at": at, "reference": True, "rho": 0.5, "score": 0.99}
    return student_exchange(number, **facts, draft=draft, answer=answers.TEXT, teacher_reply=reply)
