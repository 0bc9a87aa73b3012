"""Names, units and labels of everything counted, in one place. Labels are bounded: tasks come from the settings."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from ledger.budgets import Balance
from ledger.live import alarm_days
from ledger.records import Exchange
from ledger.seen import Seen

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SHARED_DIR = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client's own name for the folder that processes share
SCORE_BUCKETS = tuple(step / 20 for step in range(1, 21))


class Metrics:
    """The gateway's metrics in a registry of their own."""

    def __init__(self, *, alarm_bounds: Mapping[str, float] | None = None) -> None:
        """`alarm_bounds`: by task, B of its alarm in references."""
        self._alarm_bounds = alarm_bounds or {}
        self._counters: dict[tuple[str, str, str, str], _Counters] = {}
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tutelage_requests",
            "Client requests by who answered and why.",
            ["task", "route", "reason", "status"],
            registry=self.registry,
        )
        self._latency = Histogram(
            "tutelage_request_seconds",
            "From the request's arrival to the end of its reply.",
            ["task", "route"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self._score = Histogram(
            "tutelage_score",
            "Calibrated probability that the draft agrees with the teacher.",
            ["task"],
            buckets=SCORE_BUCKETS,
            registry=self.registry,
        )
        self._cost = Counter(
            "tutelage_cost_usd",
            "US dollars by component: draft (rejected ones too), teacher (client answers), reference, probe, judge.",
            ["task", "component"],
            registry=self.registry,
        )
        self._references = Counter(
            "tutelage_references",
            "References whose label arrived in the background, or was lost.",
            ["task", "outcome"],
            registry=self.registry,
        )
        self.spool_errors = Counter(
            "tutelage_spool_errors", "Records that could not be appended.", registry=self.registry
        )
        self._feedback = Counter(
            "tutelage_feedback",
            "What people said of answers: good, wrong or corrected.",
            ["said"],
            registry=self.registry,
        )
        for said in ("good", "wrong", "corrected"):
            self._feedback.labels(said)
        self._add_capacity()

    def _add_capacity(self) -> None:
        self._capacity = Gauge(
            "tutelage_teacher_capacity_rpm",
            "Requests a minute that a teacher may be asked, where that is limited.",
            ["teacher"],
            registry=self.registry,
            multiprocess_mode="max",
        )
        self._refused = Counter(
            "tutelage_refused",
            "Client requests for which a teacher had no room.",
            ["teacher", "priority"],
            registry=self.registry,
        )
        self.capacity_errors = Counter(
            "tutelage_capacity_errors",
            "Failures of the store that counts minutes; for a few seconds after one teachers and keys are not limited.",
            registry=self.registry,
        )
        self._limited = Counter(
            "tutelage_key_refused",
            "Requests that a limit of their key has refused: rpm, tpm or streams.",
            ["limit"],
            registry=self.registry,
        )

    def count(self, exchange: Exchange) -> None:
        """Count a finished exchange."""
        kind = exchange.task or "none", exchange.route, exchange.reason, str(exchange.status)
        counters = self._counters.get(kind)
        if counters is None:
            counters = self._counters[kind] = self._counters_of(kind)
        counters.requests.inc()
        counters.latency.observe(exchange.latency_s)
        if exchange.score is not None:
            counters.score.observe(exchange.score)
        if exchange.draft is not None:
            counters.drafts_usd.inc(exchange.draft.cost_usd)
        if exchange.teacher_reply is not None:
            counters.teacher_usd.inc(exchange.teacher_reply.cost_usd)

    def _counters_of(self, kind: tuple[str, str, str, str]) -> "_Counters":
        task, route, _, _ = kind
        return _Counters(
            requests=self._requests.labels(*kind),
            latency=self._latency.labels(task, route),
            score=self._score.labels(task),
            drafts_usd=self._cost.labels(task, "draft"),
            teacher_usd=self._cost.labels(task, "teacher"),
        )

    def count_reference(self, task: str, *, cost_usd: float, lost: bool) -> None:
        """Count a label of the reference stream."""
        self._references.labels(task, "lost" if lost else "labelled").inc()
        self._cost.labels(task, "reference").inc(cost_usd)

    def count_feedback(self, said: str) -> None:
        """Count a word of people on an answer."""
        self._feedback.labels(said).inc()

    def count_own(self, task: str, *, component: str, cost_usd: float) -> None:
        """Count what the teacher was asked on our own account."""
        self._cost.labels(task, component).inc(cost_usd)

    def count_refused(self, teacher: str, *, priority: str) -> None:
        """Count a request that was refused for the teacher's capacity."""
        self._refused.labels(teacher, priority).inc()

    def count_limited(self, limit: str) -> None:
        """Count a request that was refused for a limit of its key."""
        self._limited.labels(limit).inc()

    def show_capacity(self, teacher: str, rpm: int) -> None:
        """Set how many requests a minute a teacher may be asked."""
        self._capacity.labels(teacher).set(rpm)

    def exposition(
        self,
        *,
        releases: Mapping[str, str],
        seen: Seen,
        balances: Sequence[Balance] = (),
        on_trial: Mapping[str, str] | None = None,
    ) -> bytes:
        """Everything in Prometheus' text format. `releases`: {task: release in force}; `balances`: of all budgets;
        `on_trial`: {task: canary}.

        What is counted is of all gateway processes where they share a folder; what is in force is read when asked for,
        so that no process shows a release that another has seen replaced.
        """
        state = CollectorRegistry()
        state.register(_State(releases, seen, self._alarm_bounds, balances, on_trial or {}))
        return generate_latest(self._counted()) + generate_latest(state)

    def _counted(self) -> CollectorRegistry:
        if SHARED_DIR not in os.environ:
            return self.registry
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # the library has no types there
        return together


@dataclass(frozen=True)
class _Counters:
    """Of exchanges of one kind, kept: to find them under the library's lock is most of what counting costs."""

    requests: Counter
    latency: Histogram
    score: Histogram
    drafts_usd: Counter
    teacher_usd: Counter


@dataclass(frozen=True, eq=False)  # a registry keeps its collectors in a set
class _State(Collector):
    """What is true at the moment."""

    releases: Mapping[str, str]
    seen: Seen
    alarm_bounds: Mapping[str, float]
    balances: Sequence[Balance]
    on_trial: Mapping[str, str]

    def collect(self) -> Iterator[Metric]:
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
        yield from self._rows()
        yield from self._references()
        yield from self._false_alarms()
        yield from self._budgets()

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
        what = "Of all answers of the release in force, the share that agree with the teacher's"
        agreement = GaugeMetricFamily("tutelage_agreement", f"{what}: estimate.", labels=["task", "release"])
        low, high = (
            GaugeMetricFamily(
                f"tutelage_agreement_{end}",
                f"{what}: {end} end of an interval that holds at all times with 95 % confidence.",
                labels=["task", "release"],
            )
            for end in ("lower", "upper")
        )
        alarm = GaugeMetricFamily(
            "tutelage_alarm_level",
            "How much of its bound the alarm has reached; it sounds at 1.",
            labels=["task", "release"],
        )
        for task, found in self.seen.live.items():
            if (release := self.releases.get(task)) is not None:
                values = (found.agreement, found.low, found.high, found.alarm)
                for family, value in zip((agreement, low, high, alarm), values, strict=True):
                    family.add_metric([task, release], value)
        yield from (agreement, low, high, alarm)

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
            {
                task: live
                for task, live in self.seen.live.items()
                if task in self.releases and task in self.alarm_bounds
            },
            time.time(),
        )
        paces = {task: pace for task, found in shown.items() if (pace := found.pace(now=now)) is not None}
        for task, pace in paces.items():
            each.add_metric([task, self.releases[task]], self.alarm_bounds[task] / pace)
        if (days := alarm_days(paces, self.alarm_bounds)) is not None:
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
