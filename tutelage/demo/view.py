"""The demo on a console: a live table while a phase runs, plain lines where there is no terminal, a summary."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from calibration.words import percent
from router.settings import Task
from tutelage.demo.outcome import DemoOutcome, Phase
from tutelage.demo.plan import DemoPlan
from tutelage.demo.traffic import Sent

LINES = 5  # progress lines of a phase where there is no terminal


class PhaseView:
    """Counts one phase's requests as they return."""

    def __init__(self, console: Console, phase: str, *, total: int, at_most: bool = False) -> None:
        self._console = console
        self._phase = phase
        self._total = total
        self._most = "at most " if at_most else ""
        self._routes: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._last = ("", "", "")
        self._started = monotonic()
        self._live = Live(self._table(), console=console, refresh_per_second=4) if console.is_terminal else None

    def __enter__(self) -> "PhaseView":
        self._console.print(f"[bold]{self._phase}[/bold]: {self._most}{self._total} requests")
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
        return f"{self._done} of {self._most}{self._total} at {self._done / seconds:.0f}/s; {routes}; {reasons}"

    def _table(self) -> Table:
        table = Table("requests", "teacher", "student", "dropped", "per second", "last message", "answer", "by")
        seconds = max(1e-9, monotonic() - self._started)
        text, route, answer = self._last
        counts = [str(self._routes[name]) for name in ("teacher", "student", "dropped")]
        table.add_row(
            f"{self._done} of {self._most}{self._total}",
            *counts,
            f"{self._done / seconds:.0f}",
            text[:70],
            answer,
            route,
        )
        return table


class LogView:
    """What is new in a process's log, line by line."""

    def __init__(self, console: Console, path: Path) -> None:
        self._console = console
        self._path = path
        self._read = 0

    def show(self) -> None:
        """Print the whole lines that have come since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            lines = file.read().rpartition(b"\n")[0]
        self._read += len(lines) + bool(lines)
        for line in lines.decode(errors="replace").splitlines():
            self._console.print(f"  {line.rstrip()}", markup=False, highlight=False, soft_wrap=True)


def show_plan(console: Console, plan: DemoPlan, task: Task) -> None:
    """What is about to happen."""
    source = plan.data or "messages to an online shop's help desk, twelve topics"
    drift = "; then topics, wording and answers drift, and it starts over" if plan.drifts else ""
    console.print(
        f"{source}\n{plan.rows} requests teacher-only, then the worker distills and certifies a student "
        f"(at most {percent(task.alpha)} may differ, tested at {percent(task.delta)}), then {plan.serve} more "
        f"requests{drift}",
        markup=False,
        highlight=False,
    )


def show_summary(console: Console, outcome: DemoOutcome) -> None:
    """A column for every phase in which a release serves, and the drift between them."""
    phases = outcome.phases
    table = Table("", *(phase.release for phase in phases))
    rows: list[tuple[str, Callable[[Phase], str]]] = [
        ("requests", lambda phase: f"{phase.requests}"),
        ("answered by the student", lambda phase: f"{phase.student_answers} ({phase.share:.1%})"),
        ("of these equal to the teacher's answer", lambda phase: f"{phase.agreed} ({phase.agreement:.1%})"),
        ("as the reference stream sees it", _references),
        ("spent / teacher-only", _dollars),
        (
            "median latency student / teacher",
            lambda phase: f"{phase.student_p50_s * 1e3:.0f} / {phase.teacher_p50_s * 1e3:.0f} ms",
        ),
    ]
    for name, words in rows:
        table.add_row(name, *map(words, phases))
    console.print(table)
    if outcome.drift:
        console.print(
            f"in between {outcome.drift.words};\n{outcome.drift.reason};\nby the ledger {outcome.under_void} requests "
            "were answered under the voided certificate",
            markup=False,
            highlight=False,
        )


def show_verdict(console: Console, failures: Sequence[str]) -> None:
    """A line for each thing that was not shown."""
    for failure in failures:
        console.print(f"[red]failed:[/red] {escape(failure)}")
    if not failures:
        console.print("[green]passed:[/green] each phase showed what it claims")


def _references(phase: Phase) -> str:
    low, high = phase.reference_interval
    return f"{phase.reference_agreed} of {phase.reference_count}, 95 % interval {low:.1%} to {high:.1%}"


def _dollars(phase: Phase) -> str:
    return f"${phase.spent_usd:.4f} / ${phase.baseline_usd:.4f} ({phase.saved:.0%} saved)"
