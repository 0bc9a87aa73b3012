"""What a run is told, and what it comes to: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calibration.certificate import Certificate, Contract, Refusal
from calibration.question import By
from distill.again import NOBODY, Bounds
from distill.anew import Anew
from distill.lessons import Shares
from distill.pattern import Asked
from distill.train import TrainConfig
from distill.warm import Start


@dataclass(frozen=True)
class RunConfig:
    """Everything a run needs, as plain values; shares lie in (0, 1). `binding`: settings that the release is certified
    with, and without which it is not in force. `canary`: it is tried on a share of the conversations first. `reuse`: a
    release whose adapter is certified anew, without training; `anew`: recorded answers are of another teacher or prompt
    than it is certified for, so that the teacher is asked again. `training_usd`: what a training costs, with
    `training_usd_per_hour` of it; `rho`: the share of references that what is told of a release's costs assumes.
    `labels`: what answers may be, none: anything; `again`: how far the teacher may be asked again about suspected
    errors. `also_try`: what is compared with `train`.
    `unfamiliar_share`: of the fit rows so many at most, the least like what taught it, are left to the teacher, with
    whatever is as unlike.
    `permission`: the `teacher`'s model, the `terms` under which its answers may train, and by whom that is
    `confirmed_by`; kept with the release."""

    task: str
    teacher: str
    binding: Mapping[str, str]
    may_train: bool
    contract: Contract
    measure: By
    train: TrainConfig
    adapters_dir: Path
    gateway_url: str
    gateway_key: str | None
    student_url: str
    max_tokens: int
    min_rows: int
    max_rows: int
    max_references: int
    label_due_s: float
    window_share: float
    fit_share: float
    validation_share: float
    rho: float
    pattern: Asked = "response"
    easy_weight: float = 1.0
    start: Start = "base"
    prefix: int | None = None
    training_usd: float = 0.0
    training_usd_per_hour: float = 0.0
    reuse: str | None = None
    canary: bool = False
    anew: Anew | None = None
    labels: tuple[str, ...] = ()
    again: Bounds = NOBODY
    also_try: tuple[TrainConfig, ...] = ()
    unfamiliar_share: float = 0.0
    permission: Mapping[str, str] = field(default_factory=dict)

    @property
    def shares(self) -> Shares:
        """How the rows before the cut are divided."""
        return Shares(self.fit_share, self.validation_share, self.train.seed)


@dataclass(frozen=True)
class Released:
    """The candidate is `in_force`, champion or `canary`, or ready for settings that are not those of now."""

    release: str
    certificate: Certificate
    report: dict[str, Any]
    in_force: bool
    canary: bool = False


@dataclass(frozen=True)
class Refused:
    """The candidate is not promoted; the teacher, or the champion before it, goes on."""

    release: str
    refusal: Refusal
    report: dict[str, Any]
