"""Parts that a command needs for as long as it lasts, beside those that serve."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from router.settings import Settings
from tutelage.processes import Program, Stack, answers, gateway, logs_of, student, teacher
from tutelage.provision import Home, ensure_vllm


@contextmanager
def running(folder: Path, programs: Sequence[Program], *, console: Console) -> Iterator[None]:
    """The programs, logs in `folder`, while the block runs; all answer when it begins. Raises StackError."""
    with Stack(folder, programs) as stack:
        with console.status(f"starting {', '.join(program.name for program in programs)}") as line:
            stack.wait_ready(tick=lambda name, waited: line.update(f"waiting for {name} ({waited:.0f} s)"))
        yield


@contextmanager
def parts(settings: Settings, config: Path, *, console: Console) -> Iterator[None]:
    """Student, teacher server and gateway of a configuration, unless its gateway answers already or is on another
    machine; ended afterwards.

    What they record stays in its spool until the next ingester of that folder. Raises StackError, ProvisionError.
    """
    asked = gateway(settings, config)
    if settings.distill.gateway_url or (asked.ready_url and answers(asked.ready_url)):
        yield
        return
    home = Home.from_environment()
    if not settings.student.base_url:
        ensure_vllm(home, say=console.print)
    console.print(f"nobody serves on port {settings.server.port}: starting what this run needs", highlight=False)
    ours = [] if settings.student.base_url else [student(settings, home)]
    needed = [*ours, teacher(settings, config), asked]
    with running(logs_of(config) / f"run-{settings.server.port}", needed, console=console):
        yield
