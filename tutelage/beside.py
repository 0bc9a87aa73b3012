"""The parts that a run needs, for as long as it lasts, where nobody serves under its configuration yet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from router.settings import Settings
from tutelage.processes import Stack, answers, gateway, logs_of, student, teacher
from tutelage.provision import Home, ensure_vllm


@contextmanager
def parts(settings: Settings, config: Path, *, say: Callable[[str], None]) -> Iterator[None]:
    """Student, teacher server and gateway of a configuration, unless its gateway answers already; ended afterwards.

    What they record stays in its spool until the next ingester of that folder. Raises ProcessDied, ProvisionError.
    """
    asked = gateway(settings, config)
    if asked.ready_url and answers(asked.ready_url):
        yield
        return
    home = Home.from_environment()
    ensure_vllm(home, say=say)
    needed = [student(settings, home), teacher(settings, config), asked]
    say(f"nobody serves on port {settings.server.port}: starting student, teacher server and gateway for this run")
    with Stack(logs_of(config) / f"run-{settings.server.port}", needed) as stack:
        stack.wait_ready(tick=lambda *_: None)
        yield
