"""Where a replay's student is made and asked: a configuration of its own in the work folder, vLLM and a gateway.

Nothing of the user's configuration, ledger or environment is read, and no teacher is ever asked.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from calibration.agreement import Measure
from ledger.prices import Price
from router.settings import Settings, load
from tutelage.beside import running
from tutelage.demo.plan import free_ports
from tutelage.processes import gateway, student
from tutelage.provision import Home
from tutelage.replay.money import MILLION

TASK, TEACHER = "replay", "teacher"
CONTEXT_TOKENS = 2048  # prompt and answer, as `tutelage init` leaves it
CONFIRMED = "whoever gave --terms to tutelage replay"
NOBODY = "http://127.0.0.1:9/v1"  # the discard port: the gateway wants a teacher's address, and asks none here


@dataclass(frozen=True)
class Workshop:
    """What the stack is configured with. `teacher`: the model that the log names; `terms`: where its provider allows
    training on its outputs, never empty."""

    folder: Path
    teacher: str
    terms: str
    teacher_price: Price
    student_price: Price
    base_model: str
    measure: Measure

    @property
    def config(self) -> Path:
        """The file."""
        return self.folder / "tutelage.yaml"

    def configure(self, *, max_tokens: int) -> Settings:
        """Write the file, with free ports, and read it; `max_tokens` bounds an answer. All else is as `tutelage init`
        leaves it."""
        ports = free_ports()
        teacher = {"model": self.teacher, "base_url": NOBODY, "direct": True, "price": _per_mtok(self.teacher_price)}
        values: dict[str, Any] = {
            "server": {"port": ports.gateway},
            "ledger": {"url": "sqlite:///ledger.db", "spool_dir": "spool"},
            "teacher_server": {"port": ports.teacher_server},
            "teachers": {TEACHER: {**teacher, "may_train": True, "terms": self.terms, "confirmed_by": CONFIRMED}},
            "student": {
                "base_model": self.base_model,
                "port": ports.student,
                "price": _per_mtok(self.student_price),
                "adapters_dir": "adapters",
                "max_context_tokens": CONTEXT_TOKENS,
            },
            "tasks": {TASK: {"teacher": TEACHER, "measure": self.measure, "max_tokens": max_tokens}},
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(yaml.safe_dump(values, sort_keys=False))
        with apart():
            return load(self.config)

    @contextmanager
    def running(self, settings: Settings, home: Home, *, console: Console) -> Iterator[None]:
        """vLLM and the gateway, while the block runs; both answer when it begins. Raises StackError."""
        parts = [student(settings, home), gateway(settings, self.config.resolve())]
        with apart(), running(self.folder / "logs", parts, console=console):
            yield


@contextmanager
def apart() -> Iterator[None]:
    """Without the settings of the user's own product in the environment, which would override those of the file."""
    sections = tuple(f"TUTELAGE_{section.upper()}" for section in Settings.model_fields)
    mine = {name: value for name, value in os.environ.items() if name.upper().split("__")[0] in sections}
    for name in mine:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ |= mine


def _per_mtok(price: Price) -> dict[str, float]:
    return {
        "input_usd_per_mtok": MILLION * price.input_usd_per_token,
        "output_usd_per_mtok": MILLION * price.output_usd_per_token,
    }
