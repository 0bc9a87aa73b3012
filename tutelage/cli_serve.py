"""`tutelage serve`: one part in the foreground."""

import logging
import os
import signal
import sys
import threading
from typing import NoReturn

import typer

from router.settings import load
from tutelage.console import CONFIG, Config, known_errors, say
from tutelage.processes import ingester, student
from tutelage.provision import Home, ensure_vllm

parts = typer.Typer(no_args_is_help=True, help="Run one part in the foreground.")


@parts.command("gateway")
def serve_gateway(config: Config = CONFIG) -> None:
    """The OpenAI-compatible endpoint."""
    _become([sys.executable, "-m", "router", str(config)])


@parts.command("teacher")
def serve_teacher(config: Config = CONFIG) -> None:
    """LiteLLM as an OpenAI-compatible URL."""
    _become([sys.executable, "-m", "router.teacher_server", str(config)])


@parts.command("ingester")
def serve_ingester(config: Config = CONFIG) -> None:
    """The process that moves spools into the ledger."""
    with known_errors():
        _become(list(ingester(load(config)).command))


@parts.command("console")
def serve_console(config: Config = CONFIG) -> None:
    """The ledger as pages, for admins."""
    _become([sys.executable, "-m", "tutelage.web", str(config)])


@parts.command("student")
def serve_student(config: Config = CONFIG) -> None:
    """vLLM with the base model."""
    with known_errors():
        home = Home.from_environment()
        ensure_vllm(home, say=say)
        program = student(load(config), home)
        _become(list(program.command), environment=dict(program.environment))


@parts.command("loader")
def serve_loader(config: Config = CONFIG) -> None:
    """The process that keeps the champions loaded on every engine of `student.load_url`."""
    from ledger import logs
    from ledger.database import connect
    from tutelage.loading import keep_loaded

    logs.begin()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with known_errors():
        settings = load(config)
        keep_loaded(settings, connect(settings.ledger.url), stop=stop)


def _become(command: list[str], *, environment: dict[str, str] | None = None) -> NoReturn:
    """Replace this process: signals then reach the part itself."""
    os.execvpe(command[0], command, {**os.environ, **(environment or {})})
