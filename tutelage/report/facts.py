"""What the ledger knows of a release, read once: the page and its figures are drawn from this alone."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from calibration.certificate import Certificate
from calibration.certify import ScoredRow
from calibration.curves import Price
from calibration.live import LiveAgreement
from calibration.monitor import Alarm
from calibration.question import By, Judge
from distill.verdicts import heard
from ledger import machine, totals
from ledger.live import pace
from ledger.queries import Answer, answers_since, certified_rows, mean_costs, newest_at
from ledger.releases import Release, ReleaseError, history, newest_certified
from router.settings import Settings
from tutelage.distilling import label_due_s

MOMENTS = 200  # of the timeline


class NothingToReport(ReleaseError):
    """The release has no certificate, or none that can be read; the message says what there is."""


@dataclass(frozen=True)
class Moment:
    """After so many answers, at a time in seconds since the epoch: agreement with its interval, and the alarm."""

    at: float
    answers: int
    agreement: float
    low: float
    high: float
    alarm: float


@dataclass(frozen=True)
class Facts:
    """One release. `judge_labels`: of a judge, so many labelled pairs that it was checked against; `window`: its
    certification rows; `timeline`: since it is in force; `pace`: its references a day then, None where that is not
    known; `releases`: all of the task."""

    task: str
    teacher: str
    measure: By
    judge_labels: int
    alarm_bound: float
    rho: float
    release: Release
    certificate: Certificate
    window: tuple[ScoredRow, ...]
    price: Price
    timeline: tuple[Moment, ...]
    pace: float | None
    releases: tuple[Release, ...]

    @property
    def warnings(self) -> Iterator[str]:
        """Why the certificate is not to be relied on, where it is not: to be said before anything else."""
        try:
            altered = self.release.fingerprint != self.release.seal()
        except ValueError:
            altered = True
        if altered:
            yield (
                f"{self.release.name} is not what was certified: its fingerprint differs, so certificate, calibrator, "
                "adapter or what they are bound to were altered. No gateway uses it, and what follows is not to be "
                "relied on."
            )
        if self.release.status in ("voided", "forgotten"):
            reason, ended = (self.release.refusal or {}).get("reason", "no reason is known"), self.release.status
            yield f"{self.release.name} has been {ended}, and its certificate holds no more: {reason}"


def gather(settings: Settings, engine: sa.Engine, task_name: str, *, release: str | None = None) -> Facts:
    """Of a named release, or of the task's newest certified one. Raises ReleaseError where there is none."""
    task = settings.task(task_name)
    known = history(engine, task_name)
    chosen = _named(known, release) if release else newest_certified(engine, task_name)
    bound = (chosen.report or {}).get("bound_to") or {}
    try:
        certificate = Certificate.from_dict(chosen.certificate or {})
    except ValueError as error:
        raise NothingToReport(f"the certificate of {chosen.name} cannot be read: {error}") from error
    measure = _measure(settings, task_name, bound)
    due = min(time.time(), newest_at(engine, task_name)) - label_due_s(settings, task_name)
    answers = answers_since(engine, chosen.name, due=due)
    told = heard(engine, answers, by=measure)
    teacher_usd, draft_usd = mean_costs(engine, task_name, release=chosen.name)
    return Facts(
        task=task_name,
        teacher=bound.get("teacher", settings.teachers[task.teacher].model),
        measure=measure,
        judge_labels=int(bound.get("judge_labels", 0)),
        alarm_bound=task.alarm_references,
        rho=task.rho,
        release=chosen,
        certificate=certificate,
        window=tuple(ScoredRow(*row) for row in certified_rows(engine, chosen.name)),
        price=Price(teacher_usd, draft_usd + _machine_usd(engine, task_name), task.rho),
        timeline=tuple(_timeline(told, certificate, bound=task.alarm_references)),
        pace=_pace(told),
        releases=tuple(known),
    )


def _machine_usd(engine: sa.Engine, task: str) -> float:
    """Of a machine that is paid for by the hour, what the task has paid for each request that a release was asked."""
    with engine.connect() as connection:
        sums = totals.read(connection, task=task)
    paid = sum(each.paid_usd for _, of, each in sums if of.origin == machine.ORIGIN)
    return paid / max(1, sum(each.requests for _, of, each in sums if of.release and of.origin == "client"))


def _measure(settings: Settings, task: str, bound: Mapping[str, str]) -> By:
    """What the release was certified by, whatever the settings say by now."""
    match bound.get("measure"):
        case "judge":
            return Judge("", bound.get("judge", ""), bound.get("judge_rubric", ""))
        case "exact" | "number" | "json" as rule:
            return rule
    return settings.compares_by(task)


def _named(known: Sequence[Release], name: str) -> Release:
    found = next((release for release in known if release.name == name), None)
    if found is None or not found.certificate:
        certified = ", ".join(release.name for release in known if release.certificate) or "none"
        status = found.status if found else "unknown"
        raise NothingToReport(f"{name} has no certificate ({status}); with one: {certified}")
    return found


def _pace(answers: Sequence[tuple[Answer, float | None]]) -> float | None:
    """References a day between the first and the last answer."""
    if not answers:
        return None
    labelled = sum(d is not None for _, d in answers)
    return pace(labelled, since=answers[0][0].at, until=answers[-1][0].at)


def _timeline(
    answers: Sequence[tuple[Answer, float | None]], certificate: Certificate, *, bound: float
) -> Iterator[Moment]:
    """Some two hundred moments, each after a reference, to the last one or to the alarm."""
    if not answers:
        return
    live = LiveAgreement(min(answer.rho for answer, _ in answers), certificate.threshold)
    alarm, references = Alarm(certificate.tested_at, bound), sum(answer.reference for answer, _ in answers)
    every = max(1, references // MOMENTS)
    for answer, d in answers:
        live = live.after(answer.score, rate=answer.rho, disagreement=d)
        if d is None:
            continue
        alarm = alarm.after(d)
        last = alarm.raised or live.references == references
        if live.estimate is not None and (last or live.references % every == 0):
            yield Moment(answer.at, live.answers, live.estimate, *live.interval, alarm.level)
        if alarm.raised:  # what was on its way then is no more than that
            return
