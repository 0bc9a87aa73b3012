"""A candidate on its way: train -> load and probe -> calibrate -> certify -> put in force.

Everything that is fixed before the window's labels are seen is fixed here, in this order.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from calibration.calibrator import Calibrator
from calibration.certificate import Certificate, Refusal, fingerprint
from calibration.certify import (
    MIN_POWER,
    Plan,
    ScoredRow,
    certify,
    frozen_grid,
    predicted_power,
    rows_needed,
)
from calibration.clustered import Clusters
from calibration.code import SAME, under
from calibration.familiar import Familiar
from calibration.fit import MIN_ROWS
from calibration.question import Judge
from calibration.steady import bursts
from distill.adapters import digest, verify
from distill.anchor import Seen, anchor, beside
from distill.baselines import baselines
from distill.candidate import Candidate, Progress
from distill.clusters import cluster
from distill.errors import DistillError, in_words
from distill.evaluate import Judged, acceptable, agreement, calibrate, compare, lost, scored
from distill.harvest import Harvest
from distill.judge import Requests
from distill.lessons import Lessons
from distill.outlook import hours
from distill.plan import Released, RunConfig
from distill.rows import TrainingRow
from distill.scope import Scope, familiar_with, within
from distill.serving import serving
from distill.told import of_fit, of_window
from distill.tuning import tuned
from ledger import familiar, lineage, releases, totals
from ledger.database import writing
from ledger.modes import certifiable
from ledger.queries import Row, Use, record_uses
from ledger.records import Draft
from ledger.texts import variable_text


@dataclass(frozen=True)
class Attempt:
    """A named candidate on its way to a certificate."""

    engine: sa.Engine
    config: RunConfig
    made: Candidate
    report: dict[str, Any]

    @property
    def name(self) -> str:
        """Of the release, and of what vLLM serves."""
        return self.made.name

    @property
    def progress(self) -> Progress:
        """Whom it tells."""
        return self.made.progress

    def make(self, lessons: Lessons, harvested: Harvest) -> Released | Refusal:
        """Train, load, probe, calibrate, certify, put in force."""
        modes = certifiable([row.params for row in harvested.window]) & certifiable([row.params for row in lessons.fit])
        scope = Scope(modes, self._familiar(lessons))
        if (usable := sum(scope.has(row) for row in lessons.fit)) < MIN_ROWS:
            reason = (
                f"{usable} rows to fit a calibrator on have a decoding mode of the window's and are like what taught: "
                "wait for more requests"
            )
            return Refusal(reason, len(harvested.window), None, labels_seen=False)
        self._use(lessons.train, "train", marks=lessons.marks)
        if lessons.goes_on:
            before = lessons.goes_on.taught - {row.exchange_id for row in lessons.train}
            uses = [Use(exchange_id, "train", reason="before") for exchange_id in sorted(before)]
            record_uses(self.engine, release=self.name, uses=uses)
        self._use(lessons.validate, "validate")
        self._use(lessons.fit, "fit")
        rejected = [Use(row.exchange_id, "reject", reason=row.reason) for row in lessons.rejected]
        record_uses(self.engine, release=self.name, uses=rejected)
        if self.config.reuse is None:
            self._train(lessons)
        else:
            self._copy(self.config.reuse)
        self.report["probe"] = asdict(self.made.load([row.messages for row in lessons.fit]))
        fit = self._judge_fit(lessons.fit, scope)
        self._look_at_the_base(lessons)
        calibrator = calibrate([row for row, lesson in zip(fit, lessons.fit, strict=True) if scope.has(lesson)])
        outcome, seen = self._certify(fit, calibrator, harvested, scope=scope)
        if seen:
            self._tell(seen, outcome)  # the test is over
        if isinstance(outcome, Refusal):
            return outcome
        if seen and (refusal := self._outdone(seen, outcome, scope=scope)):
            return refusal
        try:
            in_force = self._put_in_force(calibrator, outcome)
        except releases.Overtaken as error:
            return Refusal(str(error), outcome.n, None, labels_seen=True)
        return Released(self.name, outcome, self.report, in_force, canary=in_force and self.config.canary)

    def _familiar(self, lessons: Lessons) -> Familiar | None:
        """What taught the adapter, and from which likeness on the newest references but a few are like it; None where
        that is not known, or nobody wants it asked."""
        source = self.config.reuse or (lessons.goes_on.release if lessons.goes_on else None)
        before = familiar.of(self.engine, releases.get(self.engine, source)) if source else None
        share, seed = self.config.unfamiliar_share, self.config.train.seed
        found = familiar_with(lessons, share=share, seed=seed, before=before)
        if found is None and share and self.config.reuse:
            self.progress.step(f"what taught {source} was not kept: it answers whatever it is sure of")
        if found:
            unlike = _unlike(found, lessons.fit)
            self.report["familiar"] = {"lessons": len(found.lessons), "least": found.least, "fit": unlike}
            self.progress.step(f"{unlike:.1%} of the newest references are less like its lessons than it will answer")
        return found

    def _use(self, rows: Sequence[TrainingRow], use: Any, *, marks: Mapping[str, str] | None = None) -> None:
        uses = [Use(row.exchange_id, use, reason=(marks or {}).get(row.exchange_id)) for row in rows]
        record_uses(self.engine, release=self.name, uses=uses)

    def _train(self, lessons: Lessons) -> None:
        made = self._tuned(lessons)
        self.report["settings"] = {**made.config.facts, "easy_weight": self.config.easy_weight}
        self.report["training"] = asdict(made.train(lessons))
        if usd := self.config.training_usd + self.config.training_usd_per_hour * hours(self.report["training"]):
            with writing(self.engine) as connection:
                task, at = self.config.task, time.time()
                totals.charge(connection, task, origin="training", usd=usd, at=at, release=self.name)
            self.report["training_usd"] = usd
        self._set_adapter(digest(self.made.path))

    def _tuned(self, lessons: Lessons) -> Candidate:
        """With the rank and the learning rate that validate best, where there are several to try."""
        configs = [self.config.train, *self.config.also_try]
        if len(configs) == 1 or not lessons.validate:
            return self.made
        found = tuned(self.engine, lessons, task=self.config.task, configs=configs, watch=self.progress)
        self.report["chosen"] = found.facts
        releases.note(self.engine, self.name, report=self.report)  # a killed training goes on with the same
        self.progress.step(f"trains with {found.words}")
        return replace(self.made, config=found.pick(configs))

    def _copy(self, source: str) -> None:
        """The adapter of another release under a name of this one: a name is served with one certificate for ever."""
        release = releases.get(self.engine, source)
        verify(Path(release.adapter_path), expected=release.adapter_digest)
        self.progress.step(f"{self.name} has the adapter of {source}: nothing is trained")
        self.report["adapter_of"] = source
        for name in ("permission", "settings"):  # under which it was trained
            self.report[name] = (release.report or {}).get(name)
        shutil.copytree(release.adapter_path, self.made.path)
        self._set_adapter(release.adapter_digest)

    def _set_adapter(self, adapter_digest: str) -> None:
        path = str(self.made.path)
        releases.set_adapter(self.engine, self.name, path=path, digest=adapter_digest, report=self.report)

    def _judge_fit(self, rows: Sequence[TrainingRow], scope: Scope) -> list[Judged]:
        self.progress.step(f"drafting {len(rows)} rows to fit the calibrator")
        requests = self._requests(rows)
        drafts = self._drafts(requests, scope)
        answers = self._answers(requests, recorded=[row.completion for row in rows])
        judged = self._compare(rows, drafts, answers)
        self.report.update(of_fit(self.engine, self.config, rows=rows, drafts=drafts))
        self.report["fit_agreement"] = agreement(judged)
        self.progress.step(f"agreement of all drafts with the teacher on rows not trained on: {agreement(judged):.1%}")
        return judged

    def _look_at_the_base(self, lessons: Lessons) -> None:
        """What training is for: told with the release. Nobody pays a judge for it, and where the prompt is
        compact the base model would be asked without its instruction."""
        untold = self.config.reuse or self.config.anew or self.config.train.unsaid
        if untold or isinstance(by := self.config.measure, Judge):
            return
        self.progress.step("drafting some of them with the base model, without and with examples")
        found = baselines(self.made, lessons.fit, self._requests(lessons.fit), examples=lessons.train, by=by)
        self.report["baselines"] = {**asdict(found), "words": found.words}
        self.progress.step(found.words)

    def _certify(
        self, fit: Sequence[Judged], calibrator: Calibrator, harvested: Harvest, *, scope: Scope
    ) -> tuple[Certificate | Refusal, Seen | None]:
        """Power first, with the window's labels unseen; then the one look at them."""
        fit_rows = scored(fit, calibrator)
        window, n, before = harvested.window, len(harvested.window), harvested.before
        numbers = bursts(cluster([*before, *(variable_text(row.messages) for row in window)]), before=len(before))
        clusters = Clusters.of(numbers, before=len(before))
        bound, digest = self._bound_to(calibrator, scope), releases.get(self.engine, self.name).adapter_digest
        question = {"asked": _question(bound), "alpha": self.config.contract.alpha}
        attempt = 1 + lineage.looks(self.engine, self.config.task, adapter_digest=digest, question=question)
        self.report.update(question, bound_to=bound, margin=self.config.contract.margin)
        if refusal := self._too_weak(fit_rows, n=n, attempt=attempt, clusters=clusters):
            return refusal, None
        contract = self.config.contract
        plan = Plan(
            contract,
            frozen_grid(fit_rows, contract=contract, n=n, attempt=attempt, clusters=clusters),
            harvested.window_span,
            fingerprint(bound),
            issued_at=time.time(),
            attempt=attempt,
            before=clusters.before,
        )
        seen = self._judge_window(window, calibrator, scope=scope, clusters=numbers[len(before) :])
        return certify([*seen.rows, *lost(harvested.forgotten)], plan=plan), replace(seen, before=clusters.before)

    def _too_weak(self, fit: Sequence[ScoredRow], *, n: int, attempt: int, clusters: Clusters) -> Refusal | None:
        contract = self.config.contract
        power = predicted_power(fit, contract=contract, n=n, attempt=attempt, clusters=clusters)
        self.report["predicted_power"] = power
        self.progress.step(f"chance to be certified on {n} references: {power:.0%}")
        if power >= MIN_POWER:
            return None
        alike = f", {clusters.alike} of them near-duplicates," if clusters.alike else ""
        reason = f"{n} references{alike} would certify with a chance of {power:.0%}: labels stay unseen"
        needed = rows_needed(fit, contract=contract, attempt=attempt, clusters=clusters)
        return Refusal(reason, n, needed, labels_seen=False)

    def _judge_window(
        self, window: Sequence[Row], calibrator: Calibrator, *, scope: Scope, clusters: Sequence[int | None]
    ) -> Seen:
        self.progress.step(f"drafting {len(window)} references of the certification window")
        requests = self._requests(window)
        drafts = self._drafts(requests, scope)
        answers = self._answers(requests, recorded=[row.teacher_text for row in window])
        judged = self._compare(window, drafts, answers)
        rows = scored(judged, calibrator, clusters=clusters)
        uses = [
            Use(j.exchange_id, "certify", j.draft.text if j.draft else None, row.score, row.disagreement)
            for j, row in zip(judged, rows, strict=True)
        ]
        record_uses(self.engine, release=self.name, uses=uses)
        self.report["window_agreement"] = agreement(judged)
        if scope.familiar:
            self.report["familiar"]["window"] = _unlike(scope.familiar, window)
        return Seen(tuple(window), tuple(answers), tuple(rows), tuple(drafts))

    def _outdone(self, seen: Seen, certificate: Certificate, *, scope: Scope) -> Refusal | None:
        """Why a release that is in force stays: the best so far is better, or may be (docs/decisions/0038). Who has an
        adapter certified anew decides that himself."""
        ours = {name: self.report["bound_to"][name] for name in (*self.config.binding, "engine", "base_digest")}
        best = anchor(self.engine, self.config.task, binding=ours, alpha=certificate.alpha, now=time.time())
        if best is None or self.config.reuse:
            return None
        self.progress.step(f"drafting the same {len(seen.window)} references with {best.name}, the best so far")
        other = replace(self.made, name=best.name, path=Path(best.adapter_path))
        # One of before answers whatever it is sure of: what ours leaves to the teacher is left to it in both.
        theirs = Scope(best.modes, familiar.of(self.engine, best) or scope.familiar)
        drafts = replace(self, made=other)._drafts(self._requests(seen.window), theirs)
        found = beside(best, self._compare(seen.window, drafts, seen.answers), seen=seen, certificate=certificate)
        self.report["compared"] = {"with": best.name, **asdict(found)}
        self.progress.step(found.words)
        if found.not_worse(certificate.delta) and found.worth:
            return None
        why = "it is not shown to be no worse than" if found.worth else "it answers fewer requests than"
        return Refusal(f"{why} {best.name}: {found.words}", found.n, None, labels_seen=True)

    def _tell(self, seen: Seen, outcome: Certificate | Refusal) -> None:
        """What else is known of it now; it decides nothing, and what fails of it costs no release its window."""
        threshold = outcome.threshold if isinstance(outcome, Certificate) else None
        ask, say = self._compare, self.progress.step
        try:
            told = of_window(self.engine, self.config, seen=seen, threshold=threshold, compare=ask, say=say)
        except (DistillError, sa.exc.SQLAlchemyError) as error:
            told = {"untold": in_words(error)}
            say(f"what else is known of it cannot be told: {told['untold']}")
        self.report.update(told)

    def _compare(
        self, rows: Sequence[TrainingRow | Row], drafts: Sequence[Draft | None], answers: Sequence[str | None]
    ) -> list[Judged]:
        by = self.config.measure
        if isinstance(by, Judge):
            self.progress.step(f"asking the judge {by.name} about {len(rows)} of them")
        return compare(rows, drafts, answers, by=by, ask_judge=self._ask_judge, progress=self.progress.advance)

    def _ask_judge(self, by: Judge, requests: Requests) -> list[str | None]:
        return self.made.gateway.answers(self.config.task, requests, origin="judge", teacher=by.name)

    def _put_in_force(self, calibrator: Calibrator, certificate: Certificate) -> bool:
        """True where it is champion, or canary, now; False where it waits for the settings that it is certified for.

        It does where another release is in force under other ones. An adapter that is certified anew without any in
        force waits too: the worker, which knows what the product runs with, takes it up where that is the same.
        """
        values = {
            "calibrator": calibrator.to_dict(),
            "certificate": certificate.to_dict(),
            "report": self.report,
        }
        champion, bound = releases.champions(self.engine).get(self.config.task), self.report["bound_to"]
        ours = {name: bound[name] for name in (*self.config.binding, "engine", "base_digest")}
        other = champion.mismatch(ours) if champion else None
        if other or (champion is None and self.config.reuse):
            self.progress.step(f"it waits for its settings{f': {champion.name} was {other}' if champion else ''}")
            releases.hold(self.engine, self.name, values=values, now=time.time())
            return False
        enter = releases.try_out if self.config.canary else releases.promote
        enter(self.engine, self.name, values=values, now=time.time())
        return True

    def _bound_to(self, calibrator: Calibrator, scope: Scope) -> dict[str, str]:
        """What the certificate was made with. The settings among it are compared wherever it is used (`mismatch`)."""
        release, known = releases.get(self.engine, self.name), self.config.contract.judge
        return {
            **self.config.binding,
            **(known.binding if known else {}),
            "adapter": release.adapter_digest,
            **serving(self.made.server, self.config.train.base_model),
            "decoding": "greedy",
            "modes": " ".join(sorted(scope.modes)),
            "features": " ".join(calibrator.features),
            **({familiar.BOUND: familiar.keep(self.engine, self.name, scope.familiar)} if scope.familiar else {}),
        }

    def _messages(self, recorded: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return self.config.anew.messages(recorded) if self.config.anew else [dict(message) for message in recorded]

    def _answers(self, requests: Sequence[dict[str, Any]], *, recorded: Sequence[str | None]) -> Sequence[str | None]:
        if self.config.anew is None:
            return recorded
        self.progress.step(f"asking the teacher {len(requests)} recorded requests anew")
        return self.made.gateway.answers_patiently(
            self.config.task, requests, origin="recertify", progress=self.progress.advance
        )

    def _requests(self, rows: Sequence[TrainingRow | Row]) -> list[dict[str, Any]]:
        """As they were asked, whole: in the same mode, with the same limits."""
        return [{**row.params, "messages": self._messages(row.messages), "stream": False} for row in rows]

    def _drafts(self, requests: Sequence[dict[str, Any]], scope: Scope) -> list[Draft | None]:
        """None for those that the release will not be asked, in whose mode it is not certified."""
        asked = [scope.decodes(request) for request in requests]
        given = self.made.drafts([request for request, is_asked in zip(requests, asked, strict=True) if is_asked])
        drafts = iter(acceptable(given, prefix=self.config.prefix))
        return within(scope.familiar, requests, [next(drafts) if is_asked else None for is_asked in asked])


def _question(bound: Mapping[str, str]) -> dict[str, str]:
    """What is asked of the labels: the same, however much is known of the judge, whichever requests they are of, and in
    the words in which it was asked before there were others."""
    known = ("judge_labels", "judge_rates", "modes", familiar.BOUND)
    asked = {name: value for name, value in bound.items() if name not in known and releases.BEFORE.get(name) != value}
    return under(SAME[0], asked)


def _unlike(known: Familiar, rows: Sequence[TrainingRow | Row]) -> float:
    """The share of these that is the teacher's."""
    return sum(not known.has(variable_text(row.messages)) for row in rows) / len(rows)
