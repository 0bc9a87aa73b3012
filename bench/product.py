"""The whole product under `tutelage up`, for measurements of how its processes behave."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from bench.easy import write_easy_task
from bench.parts import Part, started, wait_until
from ledger.database import connect
from ledger.releases import history
from router.settings import load
from tutelage.demo.plan import TASK, DemoPlan, free_ports, write_config
from tutelage.demo.run import local_teacher
from tutelage.processes import NotRunning, Program, logs_of, programs, states
from tutelage.provision import Home

TEXTS = 60_000
ENGINE = {"engine": "EngineCore", "model": "VLLM::Worker"}  # vLLM's own processes, by a part of their titles
Changes = Mapping[str, Any]


class Product:
    """One configuration over a labelled file, its processes, and how to find them.

    `task`, `distill` and `canary` are settings beside the demo's own.
    """

    parts: dict[str, Part]

    def __init__(
        self, work: Path, home: Home, data: Path, *, task: Changes, distill: Changes, canary: Changes | None = None
    ) -> None:
        self.ports, self.config = free_ports(), work / "tutelage.yaml"
        self.plan = DemoPlan(data, "text", "label", 620, 20, None, 0, work / "plot.png")
        write_config(self.config, self.plan, home=home, ports=self.ports)
        values = yaml.safe_load(self.config.read_text())
        values["tasks"][TASK] |= task
        values["distill"] |= distill
        values["canary"] |= canary or {}
        self.config.write_text(yaml.safe_dump(values))
        self.settings = load(self.config)
        self.engine = connect(self.settings.ledger.url)
        self.logs = logs_of(self.config)
        self._urls = {program.name: program.ready_url for program in programs(self.settings, self.config, home)}
        self._work = work
        self._outside = [
            local_teacher(data, self.plan, self.ports),
            Program("up", [sys.executable, "-m", "tutelage", "up", "--config", str(self.config)]),
        ]

    @contextmanager
    def up(self) -> Iterator[None]:
        """`tutelage up`, and a local teacher, while the block runs; all parts answer when it begins."""
        with started(self._outside, self._work) as self.parts:
            wait_until(lambda: all(_answers(url) for url in self._urls.values() if url), limit_s=600.0)
            yield

    @property
    def url(self) -> str:
        """Where clients ask, ending in /v1."""
        return f"http://127.0.0.1:{self.ports.gateway}/v1"

    @property
    def chat_url(self) -> str:
        """The endpoint itself."""
        return f"{self.url}/chat/completions"

    def pid(self, name: str) -> int | None:
        """The process behind a name: `up`, its supervisor, a supervised one, vLLM's engine and what holds its model, or
        the worker's run."""
        if name == "run":
            return next(iter(self.runs()), None)
        if name == "up":
            return self.parts["up"].process.pid
        if name == "supervisord":
            return _pid(self.logs / "supervisord.pid")
        supervised = "student" if name in ENGINE else name
        try:
            found = next(state.pid for state in states(self.logs) if state.name == supervised)
        except NotRunning:
            return None
        if name not in ENGINE:
            return found or None
        return next((child.pid for child in _children(found) if ENGINE[name] in child.name()), None)

    def runs(self) -> list[int]:
        """Every `distill run` of this configuration."""
        wanted = ["distill", "run", TASK, "--decided", "--config", str(self.config)]
        return [p.pid for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[-6:] == wanted]

    def back(self, name: str, *, killed: int) -> bool:
        """Whether another process does the work of one that was killed."""
        if self.pid(name) in (None, killed):
            return False
        stands_for = {"engine": "student", "supervisord": "gateway", "up": "gateway"}
        url = self._urls.get(stands_for.get(name, name))
        return url is None or _answers(url)

    def stage(self) -> str:
        """Where the loop is."""
        found = {release.status: release for release in history(self.engine, TASK)}
        if candidate := found.get("candidate"):
            under_way = "certifying" if candidate.adapter_path else "training"
            return under_way if self.runs() else "a killed run"
        return "serving" if "champion" in found else "teacher only"


def easy_product(work: Path, home: Home, *, releases: int) -> tuple[Product, list[str]]:
    """The product on the easy task, and its texts. The worker makes one release, or one after the other by age."""
    texts = write_easy_task(work / "easy.csv", rows=TEXTS)
    rows = {"window_share": 0.4, "min_rows": 750, "max_rows": 750, "min_references": 150, "max_references": 200}
    due = {"new_rows": 400, "max_escalation_rate": 0.999, "max_age_days": 365.0 if releases == 1 else 1e-6}
    task = {"rho": 0.5, "alarm_references": 1e6}
    return Product(work, home, work / "easy.csv", task=task, distill={**rows, **due, "epochs": 1}), texts


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).status_code == 200
    except httpx.HTTPError:
        return False


def _pid(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # it is being started
        return None


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
