"""The worker: looks at every task now and then, voids what the alarm closes, makes the next release when one is due.

One leader among many, by a lease. A run is a process of its own: it takes minutes and gigabytes, gives both back, and
cannot take the worker with it. Killed anywhere, the next leader starts over.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import sqlalchemy as sa

from calibration.certificate import Certificate, Contract
from calibration.monitor import Alarm
from calibration.question import By, Judge
from distill import verdicts
from distill.attention import Attention
from distill.canary import Absence, Rules, Trials
from distill.errors import in_words
from distill.housekeeping import House, Housekeeping
from distill.judge import JudgeUnchecked, checked
from distill.probes import Ask, Probed, Probes
from distill.references import Followed, References
from distill.triggers import Facts, TriggerConfig, Verdict, weigh
from distill.worth import Terms, appraise
from distill.worth import in_words as in_dollars
from ledger import decisions, leases, progress, releases, teachers, upkeep
from ledger.decisions import Decision
from ledger.queries import newest_at
from ledger.standing import Standing, standing

LEASE = leases.WORKER
TERM_S = 30.0
TICK_S = 5.0
DUTY = 0.05  # of the time a task is weighed; and is spent looking, while a look takes half a second at most
PAUSE_S, LONGEST_PAUSE_S = 60.0, 6 * 3600.0  # after a run that came to no verdict; doubled while it fails again
VERDICTS = (0, 3)  # exit statuses of a run: promoted, refused
log = logging.getLogger(__name__)


class Run(Protocol):
    """A run under way."""

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        ...

    def stop(self) -> None:
        """End it and wait for its end."""
        ...


@dataclass(frozen=True)
class Watched:
    """One task's rules. `measure`: how answers are compared; `binding`: what a release must have been certified with to
    be in force; `alarm_bound`: B in references; a label later than `label_due_s` counts as lost; the teacher is probed
    every `probe_every_s`, but for a judged task; `canary`: None where neither canaries nor new champions are judged."""

    teacher: str
    measure: By
    contract: Contract
    binding: Mapping[str, str]
    may_train: bool
    alarm_bound: float
    label_due_s: float
    probe_every_s: float
    window_share: float
    triggers: TriggerConfig
    terms: Terms
    canary: Rules | None = None


@dataclass(frozen=True)
class Clocks:
    """Seconds since the epoch, and seconds that no clock set back makes fewer."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Outside:
    """What the worker reaches: `start(task)` begins a run, `ask` asks a task's teacher, `ask_judge` its judge;
    `serving` is what serves students, as a release is bound to it: the engine, absent where it does not answer, and the
    base model."""

    start: Callable[[str], Run]
    ask: Ask
    ask_judge: verdicts.Ask
    serving: Callable[[], Mapping[str, str]]


class Worker:
    """Call `step` every few seconds, `close` at the end."""

    def __init__(
        self,
        engine: sa.Engine,
        tasks: Mapping[str, Watched],
        *,
        outside: Outside,
        holder: str,
        clocks: Clocks | None = None,
        house: House | None = None,
    ) -> None:
        self._engine = engine
        self._tasks = tasks
        self._clock, self._monotonic = (clocks or Clocks()).wall, (clocks or Clocks()).steady
        self._attention, self._references, self._trials = Attention(engine), References(engine), Trials(engine)
        self._absence, self._on_trial = Absence(), dict[str, str | None]()
        self._probes = Probes(engine, outside.ask, clock=self._clock)
        self._verdicts = verdicts.Verdicts(engine, outside.ask_judge, clock=self._monotonic)
        self._outside = outside
        self._holder = holder
        self._house = Housekeeping(engine, tasks, house or House(), holder=holder)
        self._run: tuple[str, Run] | None = None
        self._turns: dict[str, float] = {}  # when the last run of a task began
        self._weigh_at: dict[str, float] = {}  # from when on a task is weighed again
        self._pauses: dict[str, float] = {}
        self._paused_until: dict[str, float] = {}
        for task, watched in tasks.items():
            if isinstance(watched.measure, Judge):
                log.info("%s: its answers are judged, so its teacher is not asked again for changes", task)

    def step(self) -> None:
        """One look at everything; a worker that does not lead does nothing."""
        if not self._lead():
            return
        self._reap()
        try:
            self._house.charge(now=self._clock())
        except Exception as error:  # noqa: BLE001  what is spent is told late then; no alarm may be
            log.error("the machine's hours are not counted: %s", in_words(error))
        for task in sorted(self._tasks, key=lambda task: self._turns.get(task, -math.inf)):
            try:  # the task whose turn is longest ago comes first: one that is always due keeps no other from its run
                self._look(task, self._tasks[task])
            except Exception as error:  # noqa: BLE001  one task's trouble leaves no other without a watch
                log.error("the look at %s failed: %s", task, in_words(error))
        self._house.expire(now=self._clock(), steady=self._monotonic())
        self._house.clear(now=self._clock(), steady=self._monotonic(), but=self._run[0] if self._run else None)

    def _look(self, task: str, watched: Watched) -> None:
        if model := watched.binding.get("teacher"):
            teachers.note(self._engine, task, model=model, now=self._clock())
        if watched.terms.upkeep_usd:
            upkeep.charge(self._engine, task, usd_per_month=watched.terms.upkeep_usd, now=self._clock())
        for part in (self._watch_champion, self._watch_canary, self._weigh):
            if not self._lead():  # a look at a large task may take as long as the lease
                return
            part(task, watched)

    def close(self) -> None:
        """Stop the run and give the lease back."""
        self._stop_run("this worker ends")
        leases.give_back(self._engine, LEASE, holder=self._holder)

    def _lead(self) -> bool:
        """Take or renew the lease; whoever has lost it stops the run."""
        if leases.take(self._engine, LEASE, holder=self._holder, now=self._clock(), term_s=TERM_S):
            return True
        self._stop_run("another worker leads")
        return False

    def _stop_run(self, why: str) -> None:
        if self._run is not None:
            task, run = self._run
            log.warning("the run of %s is stopped: %s", task, why)
            run.stop()
        self._run = None

    def _stop_run_of(self, task: str, why: str) -> None:
        if self._run is not None and self._run[0] == task:
            self._stop_run(why)

    def _reap(self) -> None:
        if self._run is None or (status := self._run[1].poll()) is None:
            return
        task, self._run = self._run[0], None
        self._weigh_at.clear()  # all are weighed in their turn: who is weighed quickly would come first again
        if status in VERDICTS:
            log.info("the run of %s ended with status %d", task, status)
            self._pauses.pop(task, None)
            return
        pause = min(2 * self._pauses.get(task, PAUSE_S / 2), LONGEST_PAUSE_S)  # what failed it may last
        log.error("the run of %s failed with status %d; the next try is in %.0f s", task, status, pause)
        self._pauses[task], self._paused_until[task] = pause, self._monotonic() + pause
        if decisions.standing_now(self._engine).get(task, ("", ""))[0] == "train":  # it could tell nothing itself
            killed = f"a run has ended with status {status}: the worker's log has its last words"
            self._record(Decision(self._clock(), task, "wait", decisions.FAILED, killed))

    def _watch_champion(self, task: str, watched: Watched) -> None:
        champion, waiting = releases.champions(self._engine).get(task), releases.ready(self._engine, task)
        if champion is None and not waiting:
            return
        binding, why = self._binding(watched), ""
        try:
            certificate = champion.valid(binding) if champion else None
        except ValueError as error:  # the teacher answers
            certificate, why = None, str(error)
        if champion is None or certificate is None:
            # With one waiting: which of them holds is known once the engine answers.
            taken = bool(waiting) and ("engine" not in binding or self._take_up(task, binding))
            if champion and not taken:
                self._void(champion, "changed", why)
            return
        for notice in self._attention.look(champion):
            self._record(notice)
        if (
            self._listen(champion, certificate, watched)
            and self._probe(champion, watched)
            and watched.canary
            and (began := self._began(champion, binding)) is not None
            and (words := self._trials.relapse(champion, rules=watched.canary, began=began, now=self._clock()))
        ):
            self._roll_back(champion, words, binding=binding)

    def _watch_canary(self, task: str, watched: Watched) -> None:
        served = {release.status: release for release in releases.served(self._engine) if release.task == task}
        canary = served.get("canary")
        self._on_trial[task] = self._try(canary, served.get("champion"), watched=watched) if canary else None

    def _try(self, canary: releases.Release, champion: releases.Release | None, *, watched: Watched) -> str | None:
        """How far the trial is, None where it has ended. One that was certified for other settings, or whose references
        sound the alarm, is voided as a champion is."""
        binding, now = self._binding(watched), self._clock()
        try:
            certificate = canary.valid(binding)
        except ValueError as error:
            self._void(canary, "changed", str(error))
            return None
        if not certificate.holds(now):
            self._roll_back(canary, "its certificate has expired", binding=binding)
            return None
        if not self._listen(canary, certificate, watched) or not (champion or self._probe(canary, watched)):
            return None
        if watched.canary is None or (began := self._began(canary, binding)) is None:
            return f"{canary.name} is on trial, and the engine does not answer"
        judged = self._trials.look(canary, champion, rules=watched.canary, began=began, now=now)
        if judged.action == "wait":
            return judged.reason
        if judged.action == "roll back":
            self._roll_back(canary, judged.reason, binding=binding)
        else:
            releases.crown(self._engine, canary.name, now=now)
            self._record(Decision(now, canary.task, "promote", "canary", judged.reason, canary.name))
        return None

    def _began(self, release: releases.Release, binding: Mapping[str, str]) -> float | None:
        """From when on a release is judged: while the engine was away, which is no fault of its, it was not asked."""
        if "engine" not in binding:
            self._absence.missed(self._clock())
            return None
        self._absence.answered()
        return max(release.changed_at, self._absence.until)

    def _roll_back(self, release: releases.Release, reason: str, *, binding: Mapping[str, str]) -> None:
        """Back to what was in force before it; nothing is said of the traffic, so that this goes on to count."""
        now, task = self._clock(), release.task
        left = releases.rollback(self._engine, task, binding=binding, now=now, of=release.name, reason=reason)
        goes_on = f"{left.name} goes on" if left else "the teacher answers"
        self._record(Decision(now, task, "roll back", "canary", f"{reason}: {goes_on}", release.name))

    def _listen(self, champion: releases.Release, certificate: Certificate, watched: Watched) -> bool:
        """Hear the references of a champion or a canary; False where the alarm sounds."""
        task = champion.task
        due = min(self._clock(), newest_at(self._engine, task)) - watched.label_due_s
        # By the contract in force, whatever the settings say by now.
        alarm = Alarm(certificate.tested_at, watched.alarm_bound)
        followed = Followed(champion.name, certificate.threshold, watched.measure, alarm)
        heard = self._references.look(task, followed, due=due, go_on=self._lead)
        if heard.alarm.raised:
            self._void(champion, "alarm", heard.in_words())
            return False
        if isinstance(watched.measure, Judge):
            answers = self._references.next(heard, due=due)
            self._verdicts.look(task, watched.measure, answers, now=self._clock())
        return True

    def _probe(self, champion: releases.Release, watched: Watched) -> bool:
        """Ask the teacher again; False where it has changed. By `exact` one of free text would seem to every day."""
        if isinstance(watched.measure, Judge):
            return True
        model = watched.binding.get("teacher", watched.teacher)
        probed = Probed(champion.task, watched.teacher, model, watched.measure, watched.probe_every_s)
        if words := self._probes.look(probed):
            self._void(champion, "teacher", words)
        return not words

    def _take_up(self, task: str, binding: Mapping[str, str]) -> bool:
        """What was certified for the settings of now before they came, if anything was."""
        now = self._clock()
        ready = releases.take_up(self._engine, task, binding=binding, now=now)
        if ready is None:
            return False
        self._probes.forget(task)
        self._record(Decision(now, task, "take up", "changed", "it was certified for these settings", ready.name))
        self._stop_run_of(task, f"{ready.name} has taken over, and what it learns is from before")
        return True

    def _binding(self, watched: Watched) -> dict[str, str]:
        """With what serves now: log-probabilities, and so scores, differ between engines and base models."""
        return {**watched.binding, **self._outside.serving()}

    def _void(self, champion: releases.Release, trigger: str, reason: str) -> None:
        """For good: the next release is certified on what comes from now on, so a run under way has lost its point."""
        now = self._clock()
        releases.void(self._engine, champion.name, reason=reason, now=now)
        self._probes.forget(champion.task)
        self._record(Decision(now, champion.task, "void", trigger, reason, champion.name))
        self._stop_run_of(champion.task, f"{champion.name} was voided, and what it learns is from before")

    def _weigh(self, task: str, watched: Watched) -> None:
        now, began = self._clock(), self._monotonic()
        if began < self._weigh_at.get(task, -math.inf):
            return
        found = standing(self._engine, task, teacher=watched.teacher, window_share=watched.window_share)
        self._weigh_at[task] = began + (self._monotonic() - began) / DUTY  # it counts all that is fresh: up to millions
        needs = watched.triggers
        gathered = progress.measure(
            found,
            min_rows=needs.min_rows,
            min_references=needs.min_references,
            max_references=needs.max_references,
            now=now,
        )
        progress.publish(self._engine, task, gathered, now=now)
        # One of a person's too: beside it ours would fail, and be told as a failure.
        under_way = self._run is not None or leases.who(self._engine, leases.run_lease(task), now=now) is not None
        if under_way or self._monotonic() < self._paused_until.get(task, -math.inf):
            return
        if words := self._on_trial.get(task):
            self._record(Decision(now, task, "wait", "canary", words))
            return
        verdict = self._priced(task, weigh(self._facts(task, found, now=now), watched.triggers), found.rows, now=now)
        action: decisions.Action = "train" if verdict.train else "wait"
        self._record(Decision(now, task, action, verdict.trigger, verdict.reason))
        if verdict.train:
            self._run, self._turns[task] = (task, self._outside.start(task)), self._monotonic()

    def _priced(self, task: str, verdict: Verdict, rows: int, *, now: float) -> Verdict:
        """The price comes last: what no rule asks for need not pay."""
        watched = self._tasks[task]
        if not verdict.train:
            return verdict
        worth = appraise(self._engine, task, teacher=watched.teacher, terms=watched.terms, rows=rows, now=now)
        if worth and not worth.pays:
            return Verdict(False, "price", f"it would not pay: {worth.words}; {worth.advice}")
        return replace(verdict, reason=f"{verdict.reason}; {in_dollars(worth)}")

    def _facts(self, task: str, found: Standing, *, now: float) -> Facts:
        watched = self._tasks[task]
        return Facts(
            may_train=watched.may_train,
            unchecked=self._unchecked(task),
            rows=found.rows,
            references=found.references,
            references_wanted=found.references_needed or 0,
            new_rows=found.new_rows,
            attempts=found.attempts,
            refusals=found.refusals,
            champion_age_s=None if found.champion_since is None else now - found.champion_since,
            voided=found.voided,
            escalation_rate=found.escalation_rate,
            forgotten=found.forgotten,
        )

    def _unchecked(self, task: str) -> str | None:
        watched = self._tasks[task]
        try:
            checked(self._engine, watched.contract, task=task, by=watched.measure)
        except JudgeUnchecked as error:
            return str(error)
        return None

    def _record(self, decision: Decision) -> None:
        if decisions.record(self._engine, decision):
            log.info("%s: %s (%s): %s", decision.task, decision.action, decision.trigger, decision.reason)


def run(worker: Worker, *, stop: threading.Event) -> None:
    """Step until told to stop; the ledger's failures are logged and outlived."""
    while not stop.is_set():
        began = time.monotonic()
        try:
            worker.step()
        except sa.exc.SQLAlchemyError as error:
            log.warning("the ledger does not answer: %s", type(error).__name__)
        stop.wait(pause_s(time.monotonic() - began))
    worker.close()


def pause_s(took_s: float) -> float:
    """From one look to the next: longer where looks are long, and well within the lease's term."""
    return min(max(TICK_S, took_s * (1 / DUTY - 1)), TERM_S / 3)
