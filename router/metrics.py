"""Names, units and labels of everything that is counted as it happens, in one place. What is read from the ledger when
it is asked for is in `router.metrics_state`; docs/metrics.md has all of it.

Labels are bounded: tasks and teachers come from the settings, reasons and errors from the code, releases are a few a
month. Whatever the settings name begins with zero, so that its first event is seen.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from ledger.backlog import Backlog
from ledger.budgets import Balance
from ledger.drafts import UNFAMILIAR
from ledger.records import Exchange
from ledger.seen import Seen
from router.metrics_state import Contracted, State

# When each series began: nothing asks, and it would double the page.
disable_created_metrics()  # type: ignore[no-untyped-call]
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
PRIORITIES = ("high", "normal", "low")
SHARED_DIR = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client's own name for the folder that processes share
OWN_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
SCORE_BUCKETS = tuple(step / 20 for step in range(1, 21))
# Answered by the provider, whose time nobody has measured apart, or after a student that has failed in some time.
ELSEWHERE = frozenset({"completions", "embeddings", "responses", "student_unavailable", "too_long"})
OUTCOMES = ("accepted", "escalated", UNFAMILIAR)  # of what a release was asked
Kind = tuple[str, str, str, str, str | None]  # task, route, reason, status, and the release of a draft


class Metrics:
    """The gateway's metrics in a registry of their own."""

    def __init__(self, *, tasks: Mapping[str, Contracted] | None = None) -> None:
        """`tasks`: by name, what the settings say of them."""
        self._tasks = tasks or {}
        self._counters: dict[Kind, _Counters] = {}
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
        self._add_times()
        self._add_upstreams()
        self._add_capacity()
        self._begin_with_zeros()

    def _add_times(self) -> None:
        self._first_byte = Histogram(
            "tutelage_first_byte_seconds",
            "Of streams: from the request's arrival to the first byte of its answer.",
            ["task", "route"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self._own = Histogram(
            "tutelage_gateway_seconds",
            "What the gateway adds: time of an answered request without its waits for student and teacher. Streams, "
            "whose time is their reader's too, and what the provider alone serves are left out.",
            ["task", "route"],
            buckets=OWN_BUCKETS,
            registry=self.registry,
        )

    def _add_upstreams(self) -> None:
        self._drafts = Counter(
            "tutelage_drafts",
            "Client requests that a release might answer: its draft accepted or escalated, or none, being unfamiliar.",
            ["task", "release", "outcome"],
            registry=self.registry,
        )
        self._teacher_errors = Counter(
            "tutelage_teacher_errors",
            "Questions to a teacher without an answer, for clients and on our own account, by the name of the error.",
            ["teacher", "error"],
            registry=self.registry,
        )
        self._breaker = Gauge(
            "tutelage_breaker_open",
            "How many gateway processes leave an upstream alone, since it has failed: the student or a teacher.",
            ["part", "name"],
            registry=self.registry,
            multiprocess_mode="livesum",
        )

    def _begin_with_zeros(self) -> None:
        """What the settings name; 200 and the reasons that any task meets."""
        kinds = [("none", "teacher", "no_task")] if self._tasks else []
        for task in self._tasks:
            kinds.append((task, "student", "accepted"))
            kinds += [
                (task, "teacher", reason) for reason in ("no_release", "unsure", UNFAMILIAR, "student_unavailable")
            ]
        for kind in kinds:
            self._counters_of((*kind, "200", None))
        for task in self._tasks:
            for outcome in ("labelled", "lost"):
                self._references.labels(task, outcome)
        for said in ("good", "wrong", "corrected"):
            self._feedback.labels(said)
        for limit in ("rpm", "tpm", "streams"):
            self._limited.labels(limit)
        self._breaker.labels("student", "student")
        for teacher in {plan.teacher for plan in self._tasks.values()}:
            self._breaker.labels("teacher", teacher)
            self._teacher_errors.labels(teacher, "TeacherUnavailable")

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
        draft, reply, route, release = exchange.draft, exchange.teacher_reply, exchange.route, exchange.release
        weighed = draft is not None or exchange.reason == UNFAMILIAR
        kind = exchange.task or "none", route, exchange.reason, str(exchange.status), release if weighed else None
        counters = self._counters.get(kind)
        if counters is None:
            counters = self._counters[kind] = self._counters_of(kind)
        counters.requests.inc()
        if exchange.score is not None:
            counters.score.observe(exchange.score)
        waited_s = 0.0
        if draft is not None:
            waited_s += draft.latency_s
        if reply is not None:
            waited_s += reply.latency_s
            self.count_teacher_error(reply.teacher, error=reply.error)
        if counters.drafts is not None:
            counters.drafts.inc()
        counters.time(exchange, waited_s=waited_s)

    def count_teacher_error(self, teacher: str, *, error: str | None) -> None:
        """Count a question to a teacher that had no answer; None: it had one."""
        if error is not None:
            self._teacher_errors.labels(teacher, error.replace(" ", "_")).inc()

    def note_breaker(self, part: str, name: str, opened: bool) -> None:
        """Note whether this process leaves an upstream alone."""
        self._breaker.labels(part, name).set(opened)

    def _counters_of(self, kind: "Kind") -> "_Counters":
        task, route, reason, status, release = kind
        outcome = reason if reason in ("accepted", UNFAMILIAR) else "escalated"
        return _Counters(
            requests=self._requests.labels(task, route, reason, status),
            latency=self._latency.labels(task, route),
            score=self._score.labels(task),
            drafts=self._drafts_of(task, release)[outcome] if release else None,
            first_byte=self._first_byte.labels(task, route),
            own=self._own.labels(task, route) if status == "200" and reason not in ELSEWHERE else None,
        )

    def _drafts_of(self, task: str, release: str) -> dict[str, Counter]:
        """All outcomes begin with zero: without it a release that was always sure has no share to jump from."""
        return {outcome: self._drafts.labels(task, release, outcome) for outcome in OUTCOMES}

    def count_reference(self, task: str, *, lost: bool) -> None:
        """Count a label of the reference stream."""
        self._references.labels(task, "lost" if lost else "labelled").inc()

    def count_feedback(self, said: str) -> None:
        """Count a word of people on an answer."""
        self._feedback.labels(said).inc()

    def count_refused(self, teacher: str, *, priority: str) -> None:
        """Count a request that was refused for the teacher's capacity."""
        self._refused.labels(teacher, priority).inc()

    def count_limited(self, limit: str) -> None:
        """Count a request that was refused for a limit of its key."""
        self._limited.labels(limit).inc()

    def show_capacity(self, teacher: str, rpm: int) -> None:
        """Set how many requests a minute a teacher may be asked."""
        self._capacity.labels(teacher).set(rpm)
        for priority in PRIORITIES:
            self._refused.labels(teacher, priority)

    def exposition(
        self,
        *,
        releases: Mapping[str, str],
        seen: Seen,
        balances: Sequence[Balance] = (),
        on_trial: Mapping[str, str] | None = None,
        backlog: Backlog | None = None,
    ) -> bytes:
        """Everything in Prometheus' text format. `releases`: {task: release in force}; `balances`: of all budgets;
        `on_trial`: {task: canary}; `backlog`: of the spool.

        What is counted is of all gateway processes where they share a folder; what is in force is read when asked for,
        so that no process shows a release that another has seen replaced.
        """
        state = CollectorRegistry()
        state.register(State(releases, on_trial or {}, seen, self._tasks, balances, backlog))
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
    drafts: Counter | None
    first_byte: Histogram
    own: Histogram | None

    def time(self, exchange: Exchange, *, waited_s: float) -> None:
        """`waited_s`: for student and teacher."""
        self.latency.observe(exchange.latency_s)
        if exchange.stream:
            if exchange.first_byte_s is not None:
                self.first_byte.observe(exchange.first_byte_s)
        elif self.own is not None:
            self.own.observe(max(0.0, exchange.latency_s - waited_s))


def forget_ended_processes() -> None:
    """What processes that have ended were at last is no longer so: called by each that begins beside others."""
    for path in Path(os.environ[SHARED_DIR]).glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
