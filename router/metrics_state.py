"""What is true at the moment, as metrics: read from the ledger when it is asked for, so that no process shows what
another has seen replaced. What is counted as it happens is in `router.metrics`.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ledger.backlog import Backlog
from ledger.budgets import Balance
from ledger.decisions import FAILED
from ledger.leases import WORKER
from ledger.live import alarm_days
from ledger.seen import Seen
from router.metrics_money import Money

# What a task begins with: a counter that is not there before its first event hides that event from `increase`.
DECIDED = (
    *(("train", trigger) for trigger in ("first", "rows", "forgotten", "voided", "escalations", "age")),
    *(("wait", trigger) for trigger in ("forbidden", "judge", "rows", "forgotten", "price", "settled", FAILED)),
    ("promote", "canary"),
    ("roll back", "canary"),
    *(("void", trigger) for trigger in ("alarm", "changed", "teacher")),
)
OUTCOMES = ("certified", "refused", "failed")


@dataclass(frozen=True)
class Contracted:
    """What the settings say of a task: its teacher, alpha, the reference rate rho, and B of its alarm in references."""

    teacher: str
    alpha: float
    rho: float
    alarm_bound: float


@dataclass(frozen=True, eq=False)  # a registry keeps its collectors in a set
class State(Collector):
    """Of one scrape. `releases`: {task: champion in force}; `on_trial`: {task: canary}; `backlog`: None where the
    spool's folder cannot be read."""

    releases: Mapping[str, str]
    on_trial: Mapping[str, str]
    seen: Seen
    tasks: Mapping[str, Contracted]
    balances: Sequence[Balance]
    backlog: Backlog | None

    def collect(self) -> Iterator[Metric]:
        """All families, those without a sample too."""
        yield from self._settings()
        yield from self._in_force()
        yield from self._certificates()
        yield from self._made()
        yield from self._decided()
        yield from self._rows()
        yield from self._references()
        yield from self._false_alarms()
        yield from self._budgets()
        yield from self._parts()
        yield from Money(self.seen.saved, self.tasks).collect()

    def _settings(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("tutelage_task_info", "1 for each task and its teacher.", labels=["task", "teacher"])
        alpha = GaugeMetricFamily(
            "tutelage_contract_alpha", "The largest share of student answers that may differ.", labels=["task"]
        )
        rho = GaugeMetricFamily(
            "tutelage_reference_rate", "The share of requests that always also get a teacher's answer.", labels=["task"]
        )
        for task, plan in self.tasks.items():
            info.add_metric([task, plan.teacher], 1)
            alpha.add_metric([task], plan.alpha)
            rho.add_metric([task], plan.rho)
        yield from (info, alpha, rho)

    def _in_force(self) -> Iterator[Metric]:
        in_force = GaugeMetricFamily(
            "tutelage_release_in_force",
            "1 for a release that serves a task, as its champion or, on trial, as its canary.",
            labels=["task", "release", "stage"],
        )
        for stage, names in (("champion", self.releases), ("canary", self.on_trial)):
            for task, name in names.items():
                in_force.add_metric([task, name, stage], 1)
        yield in_force
        shifts = GaugeMetricFamily(
            "tutelage_drift_notices",
            "How often a signal that needs no label has shifted under the release in force.",
            labels=["task", "signal"],
        )
        for task, counts in self.seen.noticed.items():
            for signal, count in counts.items():
                shifts.add_metric([task, signal], count)
        yield shifts

    def _certificates(self) -> Iterator[Metric]:
        whose = "of the task's champion, in force or not"
        shown = {
            "tutelage_certificate_alpha": (f"The share of differing answers that is certified, {whose}.", "alpha"),
            "tutelage_certificate_upper_bound": (f"Upper bound of that share on its window, {whose}.", "upper_bound"),
            "tutelage_certificate_coverage": (f"The share of its window that it answers, {whose}.", "coverage"),
            "tutelage_certificate_threshold": (f"The least score of an accepted draft, {whose}.", "threshold"),
            "tutelage_certificate_issued_timestamp_seconds": (f"When it was certified, {whose}.", "issued_at"),
            "tutelage_certificate_expires_timestamp_seconds": (f"When its certificate ends, {whose}.", "expires_at"),
        }
        for name, (words, field) in shown.items():
            family = GaugeMetricFamily(name, words, labels=["task", "release"])
            for task, found in self.seen.certified.items():
                family.add_metric([task, found.release], getattr(found.certificate, field))
            yield family
        taught = GaugeMetricFamily(
            "tutelage_release_taught_rows",
            f"Rows that the adapter has learned from, {whose}.",
            labels=["task", "release"],
        )
        for task, found in self.seen.certified.items():
            if found.taught is not None:
                taught.add_metric([task, found.release], found.taught)
        yield taught

    def _made(self) -> Iterator[Metric]:
        """A release that was refused without a verdict is what a failed run has left."""
        kept = GaugeMetricFamily("tutelage_releases", "Releases by what became of them.", labels=["task", "status"])
        runs = CounterMetricFamily(
            "tutelage_runs",
            "Runs of the loop that have ended: certified, refused, or failed.",
            labels=["task", "outcome"],
        )
        active = GaugeMetricFamily("tutelage_run_active", "1 while a run is under way.", labels=["task"])
        for task in self._known(self.seen.releases):
            outcomes, statuses = dict.fromkeys(OUTCOMES, 0), {"champion": 0}
            for (status, verdict), count in self.seen.releases.get(task, {}).items():
                statuses[status] = statuses.get(status, 0) + count
                if status != "candidate":
                    outcome = "certified" if status != "refused" else "refused" if verdict else "failed"
                    outcomes[outcome] += count
            for status, count in statuses.items():
                kept.add_metric([task, status], count)
            for outcome, count in outcomes.items():
                runs.add_metric([task, outcome], count)
            active.add_metric([task], float(self.seen.runs(task)))
        yield from (kept, runs, active)

    def _decided(self) -> Iterator[Metric]:
        labels = ["task", "action", "trigger"]
        counts = CounterMetricFamily(
            "tutelage_decisions",
            "What the worker has decided, by rule: train, wait (one that goes on is counted once, a failed run each "
            "time), void, take up, promote, roll back.",
            labels=labels,
        )
        stands = GaugeMetricFamily("tutelage_decision_stands", "1 for a task's last decision.", labels=labels)
        for task in self._known(self.seen.decided):
            for kind, count in {**dict.fromkeys(DECIDED, 0), **self.seen.decided.get(task, {})}.items():
                counts.add_metric([task, *kind], count)
            if task in self.seen.stands:
                stands.add_metric([task, *self.seen.stands[task]], 1)
        yield from (counts, stands)

    def _parts(self) -> Iterator[Metric]:
        yield _gauge("tutelage_ledger_up", "1 where the ledger could be read in time for this scrape.", self.seen.fresh)
        leads = WORKER in self.seen.held
        yield _gauge("tutelage_worker_up", "1 while a distillation worker holds its lease.", leads)
        found, now = self.backlog, time.time()
        oldest = None if found is None else max(0.0, now - found.oldest_at) if found.oldest_at else 0.0
        yield _gauge("tutelage_ingester_lag_seconds", "Age of the oldest record that is not in the ledger yet.", oldest)
        for name, words in (
            ("bytes", "Bytes in the spool of this gateway's machine."),
            ("waiting", "Those of them that are not in the ledger yet."),
            ("rejected", "Files of lines that no ledger takes, kept beside the spool."),
            ("free", "Bytes that are free on its disk."),
        ):
            unit = "files" if name == "rejected" else "bytes"
            full = "tutelage_spool_bytes" if name == "bytes" else f"tutelage_spool_{name}_{unit}"
            yield _gauge(full, words, None if found is None else getattr(found, name))

    def _known(self, counted: Mapping[str, object]) -> list[str]:
        """Tasks of the settings; what the ledger has of others is history."""
        return [*self.tasks] if self.tasks else [*counted]

    def _rows(self) -> Iterator[Metric]:
        kinds = "For the next release: rows that may teach, or unused references"
        gathered = GaugeMetricFamily("tutelage_rows_gathered", f"{kinds}.", labels=["task", "kind"])
        needed = GaugeMetricFamily("tutelage_rows_needed", f"{kinds}, as many as it takes.", labels=["task", "kind"])
        expected = GaugeMetricFamily(
            "tutelage_rows_expected_timestamp_seconds",
            "When there will be enough at the pace so far; absent where there is, or no pace yet.",
            labels=["task"],
        )
        for task, found in self.seen.progress.items():
            for kind in ("rows", "references"):
                gathered.add_metric([task, kind], getattr(found, kind))
                needed.add_metric([task, kind], getattr(found, f"{kind}_needed"))
            if found.expected_at is not None:
                expected.add_metric([task], found.expected_at)
        yield from (gathered, needed, expected)

    def _references(self) -> Iterator[Metric]:
        what, labels = (
            "Of all answers of the release in force, the share that agree with the teacher's",
            ["task", "release"],
        )
        ends = "end of an interval that holds at all times with 95 % confidence"
        shown = {
            "tutelage_agreement": (f"{what}: estimate.", "agreement"),
            "tutelage_agreement_lower": (f"{what}: lower {ends}.", "low"),
            "tutelage_agreement_upper": (f"{what}: upper {ends}.", "high"),
            "tutelage_alarm_level": ("How much of its bound the alarm has reached; it sounds at 1.", "alarm"),
            "tutelage_alarm_exposure_answers": (
                "Answers wrong beyond the contract that would pass before the alarm, if twice as many differed at once "
                "as it allows.",
                "exposure",
            ),
            "tutelage_live_answers": ("Answers of the release in force that are counted in its agreement.", "answers"),
            "tutelage_live_references": ("Those of them that the teacher has answered too.", "references"),
            "tutelage_live_errors": ("Those of these that disagree.", "errors"),
        }
        in_force = {task: live for task, live in self.seen.live.items() if task in self.releases}
        for name, (words, field) in shown.items():
            family = GaugeMetricFamily(name, words, labels=labels)
            for task, found in in_force.items():
                if (value := getattr(found, field)) is not None:
                    family.add_metric([task, self.releases[task]], value)
            yield family

    def _false_alarms(self) -> Iterator[Metric]:
        what = "a false alarm within d days has a probability of at most d over it; absent while that is not known"
        each = GaugeMetricFamily(
            "tutelage_alarm_bound_days",
            f"B of the alarm in days, at the pace of references since the release is in force: {what}.",
            labels=["task", "release"],
        )
        together = GaugeMetricFamily(
            "tutelage_alarm_bound_days_of_all", f"B in days of all tasks whose pace is known, together: {what}."
        )
        shown, now = (
            {task: live for task, live in self.seen.live.items() if task in self.releases and task in self.tasks},
            time.time(),
        )
        paces = {task: pace for task, found in shown.items() if (pace := found.pace(now=now)) is not None}
        for task, pace in paces.items():
            each.add_metric([task, self.releases[task]], self.tasks[task].alarm_bound / pace)
        if (days := alarm_days(paces, {task: plan.alarm_bound for task, plan in self.tasks.items()})) is not None:
            together.add_metric([], days)
        yield from (each, together)

    def _budgets(self) -> Iterator[Metric]:
        labels = ["scope", "per"]
        limit = GaugeMetricFamily("tutelage_budget_usd", "US dollars that may be spent at teachers.", labels=labels)
        spent = GaugeMetricFamily("tutelage_budget_spent_usd", "Spent in this period.", labels=labels)
        reserved = GaugeMetricFamily("tutelage_budget_reserved_usd", "Promised to requests under way.", labels=labels)
        left = GaugeMetricFamily("tutelage_budget_left_usd", "What may still be promised.", labels=labels)
        for each in self.balances:
            values = (each.budget.usd, each.spent_usd, each.reserved_usd, each.left_usd)
            for family, value in zip((limit, spent, reserved, left), values, strict=True):
                family.add_metric([each.scope, each.budget.per], value)
        yield from (limit, spent, reserved, left)


def _gauge(name: str, words: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(name, words, labels=())
    if value is not None:
        family.add_metric([], float(value))
    return family
