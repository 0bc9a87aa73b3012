"""What a demo does, in plain values, and the configuration its processes read."""

import csv
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from router.settings import ConfigError
from tutelage.demo.corpus import SPLITS, SYSTEM_PROMPT, Split
from tutelage.provision import Home

TASK = "help-desk"
TEACHER = "big-teacher"
OWN_DATA_PROMPT = "Classify the message. Answer with its label only."
NAMELESS_PROMPT = "Which team should read this message? Answer in one word."
NAMELESS = 60  # requests with each instruction that is no task's

# A large hosted model's list price, and a small model's on a rented GPU: the ratio is what matters here.
TEACHER_PRICE = {"input_usd_per_mtok": 2.50, "output_usd_per_mtok": 10.00}
STUDENT_PRICE = {"input_usd_per_mtok": 0.02, "output_usd_per_mtok": 0.05}
CONTRACT = {"alpha": 0.10, "delta": 0.05}
MARGIN = 0.5  # so that 500 answers show what the contract says of all traffic (decision 0010)
MIN_SHARE = 0.5
MIN_RECOVERED = 0.8  # of the share before the drift, after it

OLDER_ROWS = 1800  # of the generated desk: what a student of 135M learns from in some six minutes on two cores
EPOCHS, OWN_DATA_EPOCHS = 1, 3  # where rows cost nothing, new ones teach more than the same ones again (decision 0007)
RANK = 8  # vLLM's CPU build applies an adapter token by token: drafting takes time in proportion (decision 0007)
RHO = 0.20
REFERENCES, OWN_DATA_REFERENCES = 650, 800  # that certify, at most: each is drafted
OWN_DATA_SHARE = 0.6  # of a file of one's own teaches: its labels are many and its rows are dear
FIT_SHARE, FIT_ROWS = 0.25, 260  # of the rows before the cut, and at most

DRIFTED_MOST = 1500  # drifted requests until the alarm, at most
RELEARN_ROWS = 3000  # after it, all of them the teacher's, until the next release is due
ALARM_REFERENCES = 1000.0  # B: a false alarm in a phase of 500 requests has a probability of at most some 10 %


@dataclass(frozen=True)
class DemoPlan:
    """The command line of `tutelage demo`. `data` None: the generated desk, whose traffic may drift.

    `mistakes`: the share of wrong answers that the local teacher gives; `may_train` is its terms. `keep`: everything
    stays up afterwards, with a console, until somebody ends it.
    """

    data: Path | None
    text: str
    label: str
    rows: int
    serve: int
    epochs: int | None
    seed: int
    out: Path
    drift: bool = True
    mistakes: float = 0.02
    may_train: bool = True
    keep: bool = False

    @property
    def system_prompt(self) -> str:
        """The constant part of the prompt."""
        return SYSTEM_PROMPT if self.data is None else OWN_DATA_PROMPT

    @property
    def nameless_prompts(self) -> tuple[str, str]:
        """What requests without a task begin with: another job, and the task's own instruction as it was edited."""
        return NAMELESS_PROMPT, f"{self.system_prompt} Please be brief."

    @property
    def older_rows(self) -> int:
        """Rows of the first phase before the data cut; the rest is kept back to certify."""
        return int(self.rows * OWN_DATA_SHARE if self.data else min(OLDER_ROWS, self.rows * OWN_DATA_SHARE))

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
        """The share of the first phase that is kept back to certify; half a row less, so that no rounding takes one of
        the older rows away."""
        return 1.0 - (self.older_rows + 0.5) / self.rows

    @property
    def drifts(self) -> bool:
        """Whether the traffic drifts: where a file of one's own would drift to nobody knows."""
        return self.drift and self.data is None

    @property
    def relearned_rows(self) -> int:
        """The rows after the alarm that teach the second student: those before its cut but the newest."""
        return int(RELEARN_ROWS * (1.0 - self.window_share)) - round(self.fit_share * self.older_rows)

    @property
    def corpus(self) -> dict[Split, int]:
        """Messages of the generated desk by split. What teaches shares no sentence with what comes behind it."""
        steady: dict[Split, int] = {
            "train": self.taught_rows,
            "serve": self.rows - self.taught_rows + self.serve,
        }
        if not self.drifts:
            return steady
        drifted: dict[Split, int] = {
            "drift-train": DRIFTED_MOST + self.relearned_rows,
            "drift-serve": RELEARN_ROWS - self.relearned_rows + self.serve,
        }
        return {**steady, **drifted}


@dataclass(frozen=True)
class Messages:
    """The messages of each phase; the last three are empty where the traffic does not drift."""

    first: list[str]
    served: list[str]
    drifting: list[str]
    relearned: list[str]
    served_again: list[str]


@dataclass(frozen=True)
class Ports:
    """Free ports on loopback."""

    gateway: int
    teacher_server: int
    student: int
    local_teacher: int
    console: int


def free_ports() -> Ports:
    """Five ports nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
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
        "may_train": plan.may_train,
        "terms": "a local program that answers from a labelled file",
        "confirmed_by": "the demo, whose teacher it is",
    }
    values: dict[str, Any] = {
        "server": {"port": ports.gateway},
        "console": {"port": ports.console},
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
                "margin": MARGIN,
                "rho": RHO,
                "max_tokens": 24,
                "alarm_references": ALARM_REFERENCES,
                "system_prompt": plan.system_prompt,
            }
        },
        "distill": {
            "min_rows": plan.older_rows,  # the worker begins where the first phase ends
            "max_rows": plan.older_rows,
            "min_references": 1,
            "max_references": OWN_DATA_REFERENCES if plan.data else REFERENCES,
            "new_rows": RELEARN_ROWS,
            "window_share": plan.window_share,
            "fit_share": plan.fit_share,
            "validation_share": 0.05,
            "rank": RANK,
            "epochs": plan.epochs or (OWN_DATA_EPOCHS if plan.data else EPOCHS),
            "seed": plan.seed,
        },
        "canary": {"share": 1.0},  # a trial would take longer than the demo
    }
    path.write_text(yaml.safe_dump(values, sort_keys=False))


def read_messages(path: Path, plan: DemoPlan) -> Messages:
    """The messages of a labelled file by phase, and nothing else of it: labels reach the local teacher alone.

    The generated desk says itself what belongs where; a file of one's own is shuffled and divided. Raises ConfigError
    where the file, its column or enough different messages are missing.
    """
    if plan.data is None:
        return _of_the_desk(_read(path, plan.text, by="part"), plan)
    texts = _read(path, plan.text)[""]
    random.Random(plan.seed).shuffle(texts)
    if len(texts) < plan.rows + plan.serve:
        raise ConfigError(
            f"{len(texts)} different messages, but {plan.rows} + {plan.serve} are wanted: lower --rows or --serve"
        )
    return Messages(texts[: plan.rows], texts[-plan.serve :], [], [], [])


def _of_the_desk(parts: Mapping[str, list[str]], plan: DemoPlan) -> Messages:
    train, serve, drift_train, drift_serve = (parts.get(split, []) for split in SPLITS)
    window = plan.rows - plan.taught_rows
    return Messages(
        first=train + serve[:window],
        served=serve[window:],
        drifting=drift_train[: -plan.relearned_rows],
        relearned=drift_train[-plan.relearned_rows :] + drift_serve[: -plan.serve],
        served_again=drift_serve[-plan.serve :],
    )


def _read(path: Path, column: str, *, by: str | None = None) -> dict[str, list[str]]:
    """The different messages of a file in their order, by the value of another column (all under "" without one)."""
    found: dict[str, dict[str, None]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if column not in (reader.fieldnames or ()):
                raise ConfigError(f"{path} has no column {column!r}; its columns are {reader.fieldnames}")
            for row in reader:
                if (row[column] or "").strip():
                    found.setdefault(row[by] if by else "", {})[row[column]] = None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as CSV: {error}") from error
    return {part: list(texts) for part, texts in found.items()}
