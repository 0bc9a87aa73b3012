"""One turn of the loop: harvest -> curate -> split -> train -> load and probe -> calibrate -> certify -> promote.

Each step hands frozen facts to the next. It ends in a `Released` or a `Refused`; whatever fails after the candidate
has its name is recorded with it, and the champion in force stays in force.
"""

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

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
from calibration.question import By, Judge
from distill.adapters import AdapterServer, check_compatible, digest, verify
from distill.clusters import cluster
from distill.errors import DistillError
from distill.evaluate import Judged, agreement, calibrate, compare, scored
from distill.gateway import GatewayClient
from distill.harvest import Harvest, harvest, permit
from distill.judge import Requests, checked
from distill.lessons import Lessons, divide, untaught
from distill.probe import probe
from distill.rows import TrainingRow, variable_text
from distill.train import TrainConfig, TrainProgress, train
from ledger import releases
from ledger.queries import Row, Use, newest_at, record_uses, rows_that_taught
from ledger.records import Draft

ROOM_BYTES = 1 << 30  # on the disk of the adapters: what training writes, and what the ledger and the spools go on with
ENGINE_PATIENCE_S = 300.0  # an engine that was killed is started again, and minutes of training are not thrown away
log = logging.getLogger(__name__)


class DiskFull(DistillError):
    """No room for another adapter; minutes of training would be lost at their end."""


class TooFewRows(DistillError):
    """Not enough recorded rows to begin; the message says how many are missing."""


class CannotReuse(DistillError):
    """An adapter that cannot be certified anew; the message says why."""


class Progress(Protocol):
    """What a run tells whoever watches: a step in words, and how far a long one is."""

    def step(self, words: str) -> None:
        """A step begins, or has a result."""
        ...

    def advance(self, done: int, total: int, *, eta_s: float | None = None) -> None:
        """The present step is at `done` of `total`."""
        ...


@dataclass(frozen=True)
class RunConfig:
    """Everything a run needs, as plain values; shares lie in (0, 1). `binding`: settings that the release is certified
    with, and without which it is not in force. `reuse`: a release whose adapter is certified anew, without training."""

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
    reuse: str | None = None


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

    Raises HarvestError, JudgeUnchecked, TooFewRows or DiskFull before anything is written. An error after that is
    recorded with the candidate, which is refused, and raised.
    """
    permit(teacher=config.teacher, may_train=config.may_train)
    config = replace(config, contract=checked(engine, config.contract, task=config.task, by=config.measure))
    lessons, harvested, report = _gather(engine, config, progress)
    candidate = releases.add_candidate(
        engine, task=config.task, cut_at=harvested.cut_at, base_model=config.train.base_model, now=time.time()
    )
    server = AdapterServer(config.student_url)
    attempt = _Attempt(engine, config, candidate.name, server, report, progress)
    try:
        outcome = attempt.make(lessons, harvested)
    except BaseException as error:
        refusal = Refusal(f"failed: {type(error).__name__}: {error}", 0, None, labels_seen=False)
        values = {**refusal.to_dict(), "verdict": False}
        releases.refuse(engine, candidate.name, refusal=values, report=report, now=time.time())
        attempt.unload()
        raise
    if isinstance(outcome, Refusal):
        releases.refuse(engine, candidate.name, refusal=outcome.to_dict(), report=report, now=time.time())
        attempt.unload()
        return Refused(candidate.name, outcome, report)
    return Released(candidate.name, outcome, report)


def _gather(engine: sa.Engine, config: RunConfig, progress: Progress) -> tuple[Lessons, Harvest, dict[str, Any]]:
    """Harvest, split and curate."""
    _check_room(config.adapters_dir)
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
        shares = {"fit_share": config.fit_share, "validation_share": config.validation_share}
        return divide(found, **shares, seed=config.train.seed)
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


def _check_room(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(folder).free) < ROOM_BYTES:
        raise DiskFull(f"{folder}: {free >> 20} MiB are free, {ROOM_BYTES >> 20} are wanted for a run: make room")


@dataclass(frozen=True)
class _Attempt:
    """A named candidate on its way to a certificate."""

    engine: sa.Engine
    config: RunConfig
    name: str
    server: AdapterServer
    report: dict[str, Any]
    progress: Progress

    def make(self, lessons: Lessons, harvested: Harvest) -> Certificate | Refusal:
        """Train, load, probe, calibrate, certify, promote."""
        self._use(lessons.train, "train")
        self._use(lessons.validate, "validate")
        self._use(lessons.fit, "fit")
        adapter = self._train(lessons) if self.config.reuse is None else self._copy(self.config.reuse)
        self._load(adapter, lessons)
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

    def unload(self) -> None:
        """A refused candidate leaves the engine; the engine may be what failed."""
        try:
            self.server.unload(self.name)
        except Exception as error:  # noqa: BLE001  cleaning up after a failure must not hide it
            log.warning("%s stays loaded: %s", self.name, type(error).__name__)

    def _use(self, rows: Sequence[TrainingRow], use: Any) -> None:
        record_uses(self.engine, release=self.name, uses=[Use(row.exchange_id, use) for row in rows])

    def _train(self, lessons: Lessons) -> Path:
        self.progress.step(f"training {self.name} on {len(lessons.train)} rows, {self.config.train.epochs} epochs")
        out = self.config.adapters_dir / self.name

        def show(at: TrainProgress) -> None:
            self.progress.advance(at.step, at.steps, eta_s=at.eta_s)

        trained = train(lessons.train, lessons.validate, config=self.config.train, out=out, progress=show)
        self.report["training"] = asdict(trained)
        self.progress.step(f"trained in {trained.seconds:.0f} s, {trained.rows_per_second:.1f} rows/s")
        releases.set_adapter(self.engine, self.name, path=str(out), digest=digest(out))
        return out

    def _copy(self, source: str) -> Path:
        """The adapter of another release under a name of this one: a name is served with one certificate for ever."""
        release = releases.get(self.engine, source)
        verify(Path(release.adapter_path), expected=release.adapter_digest)
        self.progress.step(f"{self.name} has the adapter of {source}: nothing is trained")
        self.report["adapter_of"] = source
        out = self.config.adapters_dir / self.name
        shutil.copytree(release.adapter_path, out)
        releases.set_adapter(self.engine, self.name, path=str(out), digest=release.adapter_digest)
        return out

    def _load(self, adapter: Path, lessons: Lessons) -> None:
        check_compatible(adapter, base_model=self.config.train.base_model)
        self._ensure_loaded()
        found = probe(
            self.server,
            self.name,
            [row.messages for row in lessons.fit],
            base_model=self.config.train.base_model,
            adapter=adapter,
            max_tokens=self.config.max_tokens,
        )
        self.report["probe"] = asdict(found)
        self.progress.step(
            f"loaded on vLLM and probed: {found.to_adapter:.3f} nats a token from transformers + peft, "
            f"{found.to_base:.2f} from the base model"
        )

    def _ensure_loaded(self) -> None:
        """An engine that was started again knows no adapter."""
        self.server.load(self.name, self.config.adapters_dir / self.name, patience_s=ENGINE_PATIENCE_S)

    def _judge_fit(self, rows: Sequence[TrainingRow]) -> list[Judged]:
        self.progress.step(f"drafting {len(rows)} rows to fit the calibrator")
        drafts = self._drafts([{"messages": list(row.messages)} for row in rows])
        judged = self._compare(rows, drafts, [row.completion for row in rows])
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
        drafts = self._drafts([{**row.params, "messages": row.messages, "stream": False} for row in window])
        judged = self._compare(window, drafts, [row.teacher_text for row in window])
        rows = scored(judged, calibrator)
        uses = [
            Use(j.exchange_id, "certify", j.draft.text if j.draft else None, row.score, row.disagreement)
            for j, row in zip(judged, rows, strict=True)
        ]
        record_uses(self.engine, release=self.name, uses=uses)
        self.report["window_agreement"] = agreement(judged)
        return rows

    def _compare(
        self, rows: Sequence[TrainingRow | Row], drafts: Sequence[Draft | None], answers: Sequence[str | None]
    ) -> list[Judged]:
        by = self.config.measure
        if isinstance(by, Judge):
            self.progress.step(f"asking the judge {by.name} about {len(rows)} of them")
        return compare(rows, drafts, answers, by=by, ask_judge=self._ask_judge, progress=self.progress.advance)

    def _ask_judge(self, by: Judge, requests: Requests) -> list[str | None]:
        return self._gateway().answers(self.config.task, requests, origin="judge", teacher=by.name)

    def _promote(self, calibrator: Calibrator, certificate: Certificate) -> None:
        values = {
            "calibrator": calibrator.to_dict(),
            "certificate": certificate.to_dict(),
            "report": self.report,
        }
        releases.promote(self.engine, self.name, values=values, now=time.time())

    def _bound_to(self, calibrator: Calibrator) -> dict[str, str]:
        """What the certificate was made with. The settings among it are compared wherever it is used (`mismatch`)."""
        release, known = releases.get(self.engine, self.name), self.config.contract.judge
        return {
            **self.config.binding,
            **(known.binding if known else {}),
            "adapter": release.adapter_digest,
            "engine": self.server.version(),
            "decoding": "greedy",
            "features": " ".join(calibrator.features),
        }

    def _gateway(self) -> GatewayClient:
        return GatewayClient(self.config.gateway_url, api_key=self.config.gateway_key)

    def _drafts(self, requests: Sequence[dict[str, Any]]) -> list[Any]:
        return self._gateway().drafts(
            requests,
            release=self.name,
            task=self.config.task,
            progress=self.progress.advance,
            revive=self._ensure_loaded,
        )


def _thinned(window: Sequence[Row], *, cap: int, seed: int) -> list[Kept] | None:
    return thin(cluster([variable_text(row.messages) for row in window]), cap=cap, seed=seed)
