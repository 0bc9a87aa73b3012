"""What was spent, what the teacher alone would have cost, and what was saved: as the ledger has summed it.

Not counted by the gateways: a sum that a process keeps ends with it, and these are held against invoices.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ledger.savings import COMPONENTS, Savings

NO_TASK = "none"


@dataclass(frozen=True, eq=False)  # a registry keeps its collectors in a set
class Money(Collector):
    """By task, "" for none. `tasks`: those of the settings, which are shown before anything is paid."""

    saved: Mapping[str, Savings]
    tasks: Collection[str]

    def collect(self) -> Iterator[Metric]:
        """Families in Prometheus' words."""
        cost = CounterMetricFamily(
            "tutelage_cost_usd",
            "US dollars by component: teacher (clients' answers), draft (rejected ones too), reference (labels in the "
            "background), probe, recertify, judge, writer, synthetic and curate (asked on our own account), training, "
            "upkeep, machine (the student's, by the hour, once the hour is over).",
            labels=["task", "component"],
        )
        baseline = CounterMetricFamily(
            "tutelage_baseline_usd",
            "US dollars that the teacher alone would have cost: measured where it answered, else estimated.",
            labels=["task", "kind"],
        )
        savings = GaugeMetricFamily(
            "tutelage_savings_usd",
            "US dollars saved since the first request: baseline less all cost; both ends with 95 % confidence.",
            labels=["task", "bound"],
        )
        tokens = CounterMetricFamily(
            "tutelage_tokens",
            "Tokens that teachers and students have counted; cached ones of a teacher are among its prompt's.",
            labels=["task", "by", "kind"],
        )
        for task, found in {**dict.fromkeys(self.tasks, Savings()), **self.saved}.items():
            name = task or NO_TASK
            for component in COMPONENTS:
                cost.add_metric([name, component], found.costs[component])
            for kind, usd in (("measured", found.measured_usd), ("estimated", found.estimated.usd)):
                baseline.add_metric([name, kind], usd)
            bounds = (("estimate", found.saved_usd), ("lower", found.saved_low_usd), ("upper", found.saved_high_usd))
            for bound, usd in bounds:
                savings.add_metric([name, bound], usd)
            for by, kind, count in _tokens(found):
                tokens.add_metric([name, by, kind], count)
        yield from (cost, baseline, savings, tokens)


def _tokens(found: Savings) -> Iterator[tuple[str, str, int]]:
    yield "student", "prompt", found.draft_prompt_tokens
    yield "student", "completion", found.draft_completion_tokens
    yield "teacher", "prompt", found.teacher_prompt_tokens
    yield "teacher", "cached", found.teacher_cached_tokens
    yield "teacher", "completion", found.teacher_completion_tokens
