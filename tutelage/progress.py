"""A distillation run told on a console: a line per step, a moving bar inside long ones."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINES = 10  # progress lines per step where there is no terminal to draw a bar on


class RunProgress:
    """`distill.candidate.Progress` on rich; plain lines where the output is no terminal.

    A context manager that takes its bar away, also where the work was interrupted.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._shown = 0

    def __enter__(self) -> "RunProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self._end_bar()

    def step(self, words: str) -> None:
        """End the bar of the step before and say what comes."""
        self._end_bar()
        self.console.print(words, markup=False, highlight=False, soft_wrap=True)

    def advance(self, done: int, total: int, *, eta_s: float | None = None) -> None:
        """Move the bar."""
        if not self.console.is_terminal:
            self._line(done, total, eta_s)
            return
        if self._bar is None:
            columns = (
                TextColumn("  "),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
            )
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._bar.add_task("", total=total)
            self._bar.start()
        left = f"{eta_s:.0f} s left" if eta_s is not None else ""
        self._bar.update(self._bar.task_ids[0], completed=done, total=total, description=left)
        if done >= total:
            self._end_bar()

    def _line(self, done: int, total: int, eta_s: float | None) -> None:
        tenth = LINES * done // max(1, total)
        if tenth == self._shown % (LINES + 1):
            return
        self._shown = tenth
        left = f", {eta_s:.0f} s left" if eta_s is not None else ""
        self.console.print(f"  {done} of {total}{left}", markup=False, highlight=False)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._shown = 0
