"""What a demo does, in plain values, and the configuration its processes read."""

import csv
import random
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from router.settings import ConfigError
from tutelage.demo.corpus import SYSTEM_PROMPT
from tutelage.provision import Home

TASK = "help-desk"
TEACHER = "big-teacher"
OWN_DATA_PROMPT = "Classify the message. Answer with its label only."

# A large hosted model's list price, and a small model's on a rented GPU: the ratio is what matters here.
TEACHER_PRICE = {"input_usd_per_mtok": 2.50, "output_usd_per_mtok": 10.00}
STUDENT_PRICE = {"input_usd_per_mtok": 0.02, "output_usd_per_mtok": 0.05}
CONTRACT = {"alpha": 0.10, "delta": 0.05}
MIN_SHARE = 0.5

OLDER_ROWS = 1500  # of the generated desk: what a student of 135M learns from in some six minutes on two cores
EPOCHS, OWN_DATA_EPOCHS = 1, 3  # where rows cost nothing, new ones teach more than the same ones again (decision 0007)
RANK = 8  # vLLM's CPU build applies an adapter token by token: drafting takes time in proportion (decision 0007)
RHO = 0.20
OWN_DATA_SHARE = 0.6  # of a file of one's own, where labels are many and rows are dear
OWN_DATA_RHO = 0.5  # so that what is left makes references enough
FIT_SHARE, FIT_ROWS = 0.25, 260  # of the rows before the cut, and at most


@dataclass(frozen=True)
class DemoPlan:
    """The command line of `tutelage demo`. `data` None: the generated desk."""

    data: Path | None
    text: str
    label: str
    rows: int
    serve: int
    epochs: int | None
    seed: int
    out: Path

    @property
    def system_prompt(self) -> str:
        """The constant part of the prompt."""
        return SYSTEM_PROMPT if self.data is None else OWN_DATA_PROMPT

    @property
    def older_rows(self) -> int:
        """Rows of the first phase before the data cut; the rest is kept back to certify."""
        return int(self.rows * OWN_DATA_SHARE if self.data else min(OLDER_ROWS, self.rows * OWN_DATA_SHARE))

    @property
    def rho(self) -> float:
        """The share of requests that are references."""
        return OWN_DATA_RHO if self.data else RHO

    @property
    def fit_share(self) -> float:
        """The share of the older rows that the calibrator is fitted on."""
        return min(FIT_SHARE, FIT_ROWS / self.older_rows)

    @property
    def taught_rows(self) -> int:
        """The older rows but the newest, which the calibrator is fitted on."""
        return self.older_rows - round(self.fit_share * self.older_rows)

    @property
    def window_share(self) -> float:
        """The share of the first phase that is kept back to certify."""
        return 1.0 - self.older_rows / self.rows


@dataclass(frozen=True)
class Ports:
    """Free ports on loopback."""

    gateway: int
    teacher_server: int
    student: int
    local_teacher: int


def free_ports() -> Ports:
    """Four ports nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
    found = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return Ports(*found)


def write_config(path: Path, plan: DemoPlan, *, home: Home, ports: Ports) -> None:
    """The YAML file of the demo's gateway, teacher server, student and distillation."""
    teacher = {
        "model": f"openai/{TEACHER}",
        "base_url": f"http://127.0.0.1:{ports.local_teacher}/v1",
        "price": TEACHER_PRICE,
        "may_train": True,
        "terms": "a local program that answers from a labelled file",
    }
    values: dict[str, Any] = {
        "server": {"port": ports.gateway},
        "ledger": {"url": "sqlite:///ledger.db", "spool_dir": "spool"},
        "teacher_server": {"port": ports.teacher_server},
        "teachers": {TEACHER: teacher},
        "student": {
            "base_model": str(home.demo_model),
            "port": ports.student,
            "price": STUDENT_PRICE,
            "adapters_dir": "adapters",
            "max_context_tokens": 512,
        },
        "tasks": {
            TASK: {
                "teacher": TEACHER,
                **CONTRACT,
                "rho": plan.rho,
                "max_tokens": 24,
                "system_prompt": plan.system_prompt,
            }
        },
        "distill": {
            "window_share": plan.window_share,
            "fit_share": plan.fit_share,
            "validation_share": 0.05,
            "rank": RANK,
            "epochs": plan.epochs or (OWN_DATA_EPOCHS if plan.data else EPOCHS),
            "seed": plan.seed,
        },
    }
    path.write_text(yaml.safe_dump(values, sort_keys=False))


def read_texts(path: Path, column: str) -> list[str]:
    """The messages of a labelled file, and nothing else of it: labels reach the local teacher alone.

    Raises ConfigError where the file or the column is missing.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if column not in (reader.fieldnames or ()):
                raise ConfigError(f"{path} has no column {column!r}; its columns are {reader.fieldnames}")
            return list(dict.fromkeys(row[column] for row in reader if (row[column] or "").strip()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as CSV: {error}") from error


def divide(texts: list[str], plan: DemoPlan) -> tuple[list[str], list[str]]:
    """The first phase's messages and the last phase's; a file of one's own is shuffled first.

    Raises ConfigError where there are not enough.
    """
    if plan.data is not None:
        random.Random(plan.seed).shuffle(texts)
    if len(texts) < plan.rows + plan.serve:
        raise ConfigError(
            f"{len(texts)} different messages, but {plan.rows} + {plan.serve} are wanted: lower --rows or --serve"
        )
    return texts[: plan.rows], texts[-plan.serve :]
