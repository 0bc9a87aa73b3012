"""One turn of the loop: harvest -> curate -> split -> train -> load and probe -> calibrate -> certify -> promote.

Each step hands frozen facts to the next. It ends in a `Released` or a `Refused`; whatever fails after the candidate
has its name is recorded with it, and the champion in force stays in force.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from calibration.agreement import Measure
from calibration.calibrator import Calibrator
from calibration.certificate import Certificate, Contract, Refusal, fingerprint
from calibration.certify import (
    MIN_POWER,
    Kept,
    Plan,
    ScoredRow,
    certify,
    frozen_grid,
    predicted_power,
    rows_needed,
    thin,
    weigh,
)
from calibration.fit import MIN_ROWS
from distill.adapters import AdapterServer, digest, verify
from distill.candidate import Candidate, Progress, check_room
from distill.clusters import cluster
from distill.errors import DistillError
from distill.evaluate import Judged, agreement, calibrate, judge, scored
from distill.gateway import GatewayClient
from distill.harvest import Harvest, harvest, permit
from distill.lessons import Lessons, Shares, divide, untaught
from distill.rows import TrainingRow, variable_text
from distill.train import TrainConfig
from ledger import releases
from ledger.queries import Row, Use, newest_at, record_uses, rows_that_taught


class TooFewRows(DistillError):
    """Not enough recorded rows to begin; the message says how many are missing."""


class CannotReuse(DistillError):
    """An adapter that cannot be certified anew; the message says why."""


@dataclass(frozen=True)
class RunConfig:
    """Everything a run needs, as plain values; shares lie in (0, 1). `binding`: settings that the release is certified
    with, and without which it is not in force. `reuse`: a release whose adapter is certified anew, without training."""

    task: str
    teacher: str
    binding: Mapping[str, str]
    may_train: bool
    contract: Contract
    measure: Measure
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
    reuse: str | None = None

    @property
    def shares(self) -> Shares:
        """How the rows before the cut are divided."""
        return Shares(self.fit_share, self.validation_share, self.train.seed)


@dataclass(frozen=True)
class Released:
    """The candidate is champion."""

    release: str
    certificate: Certificate
    report: dict[str, Any]


@dataclass(frozen=True)
class Refused:
    """The candidate is not promoted; the teacher, or the champion before it, goes on."""

    release: str
    refusal: Refusal
    report: dict[str, Any]


def run(engine: sa.Engine, config: RunConfig, *, progress: Progress) -> Released | Refused:
    """Make one release of a task, or refuse to.

    Raises HarvestError, TooFewRows or DiskFull before anything is written. An error after that is recorded with the
    candidate, which is refused, and raised.
    """
    lessons, harvested, report = _gather(engine, config, progress)
    release = releases.add_candidate(
        engine, task=config.task, cut_at=harvested.cut_at, base_model=config.train.base_model, now=time.time()
    )
    made = candidate(config, release.name, progress=progress)
    attempt = _Attempt(engine, config, made, report)
    try:
        outcome = attempt.make(lessons, harvested)
    except BaseException as error:
        refusal = Refusal(f"failed: {type(error).__name__}: {error}", 0, None, labels_seen=False)
        values = {**refusal.to_dict(), "verdict": False}
        releases.refuse(engine, made.name, refusal=values, report=report, now=time.time())
        made.unload()
        raise
    if isinstance(outcome, Refusal):
        releases.refuse(engine, made.name, refusal=outcome.to_dict(), report=report, now=time.time())
        made.unload()
        return Refused(made.name, outcome, report)
    return Released(made.name, outcome, report)


def candidate(config: RunConfig, name: str, *, progress: Progress) -> Candidate:
    """An adapter of that name, still to be made, with the engine and the gateway of this run."""
    return Candidate(
        name=name,
        task=config.task,
        path=config.adapters_dir / name,
        config=config.train,
        max_tokens=config.max_tokens,
        server=AdapterServer(config.student_url),
        gateway=GatewayClient(config.gateway_url, api_key=config.gateway_key),
        progress=progress,
    )


def _gather(engine: sa.Engine, config: RunConfig, progress: Progress) -> tuple[Lessons, Harvest, dict[str, Any]]:
    """Harvest, split and curate."""
    permit(teacher=config.teacher, may_train=config.may_train)
    check_room(config.adapters_dir)
    found = harvest(
        engine,
        task=config.task,
        teacher=config.teacher,
        window_share=config.window_share,
        max_rows=config.max_rows,
        max_references=config.max_references,
        due=min(time.time(), newest_at(engine, config.task))
        - config.label_due_s,  # what is not ingested yet is not lost
    )
    if config.reuse is None and len(found.older) < config.min_rows:
        raise TooFewRows(
            f"{len(found.older)} rows before the data cut, {config.min_rows} are needed (distill.min_rows): "
            f"some {int((config.min_rows - len(found.older)) / (1 - config.window_share)) + 1} more requests"
        )
    lessons, rejected = _lessons(engine, found, config)
    report = {
        "rows": {name: len(getattr(lessons, name)) for name in ("train", "validate", "fit")},
        "window_references": len(found.window),
        "rejected": rejected,
    }
    progress.step(f"harvested {len(found.older)} rows before the cut, {len(found.window)} references after it")
    if config.reuse is None:
        progress.step(f"curated: {len(lessons.train)} rows teach, rejected {rejected or 'none'}")
    return lessons, found, report


def _lessons(engine: sa.Engine, found: Harvest, config: RunConfig) -> tuple[Lessons, dict[str, int]]:
    if config.reuse is None:
        return divide(found.older, window=len(found.window), shares=config.shares)
    release = releases.get(engine, config.reuse)
    if release.base_model != config.train.base_model:
        raise CannotReuse(f"{release.name} is an adapter of {release.base_model}, not of {config.train.base_model}")
    taught = rows_that_taught(engine, release.adapter_digest)
    lessons = untaught(found, taught=taught, most=config.max_references)
    if len(lessons.fit) < MIN_ROWS:
        raise TooFewRows(
            f"{len(lessons.fit)} rows before the data cut have not taught {release.name}, and {MIN_ROWS} are needed to "
            "fit a calibrator: wait for more requests"
        )
    return lessons, {}


@dataclass(frozen=True)
class _Attempt:
    """A named candidate on its way to a certificate."""

    engine: sa.Engine
    config: RunConfig
    candidate: Candidate
    report: dict[str, Any]

    @property
    def name(self) -> str:
        """The candidate's."""
        return self.candidate.name

    @property
    def progress(self) -> Progress:
        """Whom it tells."""
        return self.candidate.progress

    def make(self, lessons: Lessons, harvested: Harvest) -> Certificate | Refusal:
        """Train, load, probe, calibrate, certify, promote."""
        self._use(lessons.train, "train")
        self._use(lessons.validate, "validate")
        self._use(lessons.fit, "fit")
        if self.config.reuse is None:
            self._train(lessons)
        else:
            self._copy(self.config.reuse)
        self.report["probe"] = asdict(self.candidate.load([row.messages for row in lessons.fit]))
        fit = self._judge_fit(lessons.fit)
        calibrator = calibrate(fit)
        outcome = self._certify(fit, calibrator, harvested, cap=lessons.cap)
        if isinstance(outcome, Refusal):
            return outcome
        try:
            self._promote(calibrator, outcome)
        except releases.Overtaken as error:
            return Refusal(str(error), outcome.n, None, labels_seen=True)
        return outcome

    def _use(self, rows: Sequence[TrainingRow], use: Any) -> None:
        record_uses(self.engine, release=self.name, uses=[Use(row.exchange_id, use) for row in rows])

    def _train(self, lessons: Lessons) -> None:
        self.report["training"] = asdict(self.candidate.train(lessons))
        path = self.candidate.path
        releases.set_adapter(self.engine, self.name, path=str(path), digest=digest(path))

    def _copy(self, source: str) -> None:
        """The adapter of another release under a name of this one: a name is served with one certificate for ever."""
        release = releases.get(self.engine, source)
        verify(Path(release.adapter_path), expected=release.adapter_digest)
        self.progress.step(f"{self.name} has the adapter of {source}: nothing is trained")
        self.report["adapter_of"] = source
        shutil.copytree(release.adapter_path, self.candidate.path)
        path = str(self.candidate.path)
        releases.set_adapter(self.engine, self.name, path=path, digest=release.adapter_digest)

    def _judge_fit(self, rows: Sequence[TrainingRow]) -> list[Judged]:
        self.progress.step(f"drafting {len(rows)} rows to fit the calibrator")
        drafts = self.candidate.drafts([{"messages": list(row.messages)} for row in rows])
        answers = [row.completion for row in rows]
        judged = judge([row.exchange_id for row in rows], drafts, answers, measure=self.config.measure)
        self.report["fit_agreement"] = agreement(judged)
        self.progress.step(f"agreement of all drafts with the teacher on rows not trained on: {agreement(judged):.1%}")
        return judged

    def _certify(
        self, fit: Sequence[Judged], calibrator: Calibrator, harvested: Harvest, *, cap: int
    ) -> Certificate | Refusal:
        """Power first, with the window's labels unseen; then the one look at them."""
        fit_rows = scored(fit, calibrator)
        kept = _thinned(harvested.window, cap=cap, seed=self.config.train.seed)
        if kept is None:
            return Refusal(
                f"a near-duplicate cluster of the window exceeds twice the {cap} rows that were the most before",
                *(len(harvested.window), None, False),
            )
        if refusal := self._too_weak(fit_rows, n=len(kept)):
            return refusal
        grid = frozen_grid(fit_rows, contract=self.config.contract, n=len(kept))
        bound = self._bound_to(calibrator)
        self.report.update(bound_to=bound, margin=self.config.contract.margin)
        plan = Plan(self.config.contract, grid, harvested.window_span, fingerprint(bound), issued_at=time.time())
        rows = self._judge_window([harvested.window[one.index] for one in kept], calibrator)
        return certify(weigh(rows, kept), plan=plan)

    def _too_weak(self, fit: Sequence[ScoredRow], *, n: int) -> Refusal | None:
        contract = self.config.contract
        power = predicted_power(fit, contract=contract, n=n)
        self.report["predicted_power"] = power
        self.progress.step(f"chance to be certified on {n} independent references: {power:.0%}")
        if power >= MIN_POWER:
            return None
        reason = f"{n} independent references would certify with a chance of {power:.0%}: labels stay unseen"
        return Refusal(reason, n, rows_needed(fit, contract=contract), labels_seen=False)

    def _judge_window(self, window: Sequence[Row], calibrator: Calibrator) -> list[ScoredRow]:
        self.progress.step(f"drafting {len(window)} references of the certification window")
        drafts = self.candidate.drafts([{**row.params, "messages": row.messages, "stream": False} for row in window])
        answers = [row.teacher_text for row in window]
        judged = judge([row.exchange_id for row in window], drafts, answers, measure=self.config.measure)
        rows = scored(judged, calibrator)
        uses = [
            Use(j.exchange_id, "certify", j.draft.text if j.draft else None, row.score, row.disagreement)
            for j, row in zip(judged, rows, strict=True)
        ]
        record_uses(self.engine, release=self.name, uses=uses)
        self.report["window_agreement"] = agreement(judged)
        return rows

    def _promote(self, calibrator: Calibrator, certificate: Certificate) -> None:
        values = {
            "calibrator": calibrator.to_dict(),
            "certificate": certificate.to_dict(),
            "report": self.report,
        }
        releases.promote(self.engine, self.name, values=values, now=time.time())

    def _bound_to(self, calibrator: Calibrator) -> dict[str, str]:
        """What the certificate was made with. The settings among it are compared wherever it is used (`mismatch`)."""
        release = releases.get(self.engine, self.name)
        return {
            **self.config.binding,
            "adapter": release.adapter_digest,
            "engine": self.candidate.server.version(),
            "decoding": "greedy",
            "features": " ".join(calibrator.features),
        }


def _thinned(window: Sequence[Row], *, cap: int, seed: int) -> list[Kept] | None:
    return thin(cluster([variable_text(row.messages) for row in window]), cap=cap, seed=seed)
