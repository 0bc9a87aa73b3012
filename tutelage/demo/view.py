"""The demo on a console: a live table while a phase runs, plain lines where there is no terminal, a summary."""

from collections import Counter
from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.table import Table

from router.settings import Task
from tutelage.demo.outcome import DemoOutcome
from tutelage.demo.plan import DemoPlan
from tutelage.demo.traffic import Sent

LINES = 5  # progress lines of a phase where there is no terminal


class PhaseView:
    """Counts one phase's requests as they return."""

    def __init__(self, console: Console, phase: str, *, total: int) -> None:
        self._console = console
        self._phase = phase
        self._total = total
        self._routes: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._last = ("", "", "")
        self._started = monotonic()
        self._live = Live(self._table(), console=console, refresh_per_second=4) if console.is_terminal else None

    def __enter__(self) -> "PhaseView":
        self._console.print(f"[bold]{self._phase}[/bold]: {self._total} requests")
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.update(self._table())
            self._live.stop()

    def add(self, sent: Sent) -> None:
        """One request came back."""
        self._routes[sent.route or "dropped"] += 1
        self._reasons[sent.reason or sent.error] += 1
        self._last = (sent.text, sent.route, sent.answer or "")
        if self._live:
            self._live.update(self._table())
        elif self._done % max(1, self._total // LINES) == 0:
            self._console.print(f"  {self._line()}", markup=False, highlight=False)

    @property
    def _done(self) -> int:
        return self._routes.total()

    def _line(self) -> str:
        seconds = max(1e-9, monotonic() - self._started)
        routes = ", ".join(f"{name} {count}" for name, count in sorted(self._routes.items()))
        reasons = ", ".join(f"{name} {count}" for name, count in self._reasons.most_common(4))
        return f"{self._done} of {self._total} at {self._done / seconds:.0f}/s; {routes}; {reasons}"

    def _table(self) -> Table:
        table = Table("requests", "teacher", "student", "dropped", "per second", "last message", "answer", "by")
        seconds = max(1e-9, monotonic() - self._started)
        text, route, answer = self._last
        counts = [str(self._routes[name]) for name in ("teacher", "student", "dropped")]
        table.add_row(
            f"{self._done} of {self._total}", *counts, f"{self._done / seconds:.0f}", text[:70], answer, route
        )
        return table


def show_plan(console: Console, plan: DemoPlan, task: Task) -> None:
    """What is about to happen."""
    source = plan.data or "messages to an online shop's help desk, twelve topics"
    console.print(
        f"{source}\n{plan.rows} requests teacher-only, then a student is distilled and certified "
        f"(at most {task.alpha:.0%} may differ, tested at {task.delta:.0%}), then {plan.serve} more requests",
        markup=False,
        highlight=False,
    )


def show_summary(console: Console, outcome: DemoOutcome) -> None:
    """The last phase in a table."""
    low, high = outcome.reference_interval
    saved = 1.0 - outcome.spent_usd / outcome.baseline_usd if outcome.baseline_usd else 0.0
    table = Table("last phase", "", title=outcome.release)
    table.add_row("requests, dropped in all phases", f"{outcome.requests}, {outcome.dropped}")
    table.add_row("answered by the student", f"{outcome.student_answers} ({outcome.share:.1%})")
    table.add_row("of these equal to the teacher's answer", f"{outcome.agreed} ({outcome.agreement:.1%})")
    references = f"{outcome.reference_agreed} of {outcome.reference_count}, 95 % interval {low:.1%} to {high:.1%}"
    table.add_row("as the reference stream sees it", references)
    table.add_row("spent / teacher-only", f"${outcome.spent_usd:.4f} / ${outcome.baseline_usd:.4f} ({saved:.0%} saved)")
    table.add_row(
        "median latency student / teacher", f"{outcome.student_p50_s * 1e3:.0f} / {outcome.teacher_p50_s * 1e3:.0f} ms"
    )
    console.print(table)
