"""The whole product on an easy task, under its supervisor, for measurements of how its processes behave."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from bench.easy import write_easy_task
from ledger.database import connect
from ledger.releases import history
from router.settings import load
from tutelage.demo.plan import TASK, DemoPlan, free_ports, write_config
from tutelage.demo.run import local_teacher
from tutelage.processes import Program, programs, states, worker
from tutelage.provision import Home

TEXTS = 60_000
Changes = Mapping[str, Any]


class Product:
    """The supervised processes of one configuration over a labelled file, and how to find them.

    `task` and `distill` are settings beside the demo's own.
    """

    def __init__(self, work: Path, home: Home, data: Path, *, task: Changes, distill: Changes) -> None:
        self.ports, self.config = free_ports(), work / "tutelage.yaml"
        self.plan = DemoPlan(data, "text", "label", 620, 20, None, 0, work / "plot.png")
        write_config(self.config, self.plan, home=home, ports=self.ports)
        values = yaml.safe_load(self.config.read_text())
        values["tasks"][TASK] |= task
        values["distill"] |= distill
        self.config.write_text(yaml.safe_dump(values))
        self.settings = load(self.config)
        self.engine = connect(self.settings.ledger.url)
        self.logs = work / "logs"
        self.programs: list[Program] = [
            local_teacher(data, self.plan, self.ports),
            *programs(self.settings, self.config, home),
            worker(self.config),
        ]

    @property
    def url(self) -> str:
        """Where clients ask, ending in /v1."""
        return f"http://127.0.0.1:{self.ports.gateway}/v1"

    @property
    def chat_url(self) -> str:
        """The endpoint itself."""
        return f"{self.url}/chat/completions"

    def pid(self, name: str) -> int | None:
        """The process behind a name: a supervised one, vLLM's engine, or the worker's run."""
        if name == "run":
            return next(iter(self.runs()), None)
        supervised = "student" if name == "engine" else name
        found = next(state.pid for state in states(self.logs) if state.name == supervised)
        if name != "engine":
            return found or None
        return next((child.pid for child in _children(found) if "EngineCore" in child.name()), None)

    def runs(self) -> list[int]:
        """Every `distill run` of this configuration."""
        wanted = ["distill", "run", TASK, "--config", str(self.config)]
        return [p.pid for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[-5:] == wanted]

    def back(self, name: str, *, killed: int) -> bool:
        """Whether another process does the work of one that was killed."""
        if self.pid(name) in (None, killed):
            return False
        supervised = "student" if name == "engine" else name
        url = next((program.ready_url for program in self.programs if program.name == supervised), None)
        return url is None or self._answers(url)

    def stage(self) -> str:
        """Where the loop is."""
        found = {release.status: release for release in history(self.engine, TASK)}
        if candidate := found.get("candidate"):
            under_way = "certifying" if candidate.adapter_path else "training"
            return under_way if self.runs() else "a killed run"
        return "serving" if "champion" in found else "teacher only"

    @staticmethod
    def _answers(url: str) -> bool:
        try:
            return httpx.get(url, timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False


def easy_product(work: Path, home: Home, *, releases: int) -> tuple[Product, list[str]]:
    """The product on the easy task, and its texts. The worker makes one release, or one after the other."""
    texts = write_easy_task(work / "easy.csv", rows=TEXTS)
    sizes = {"window_share": 0.4, "min_rows": 800, "max_rows": 800, "new_rows": 400, "epochs": 1}
    rate = 0.999 if releases == 1 else 1e-6  # of escalations, beyond which the next is due
    task = {"rho": 0.5, "alarm_references": 1e6}
    return Product(work, home, work / "easy.csv", task=task, distill={**sizes, "max_escalation_rate": rate}), texts


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
