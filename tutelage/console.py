"""What every command shares: its option for the configuration, what it says, and how it ends on a known error."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from router.settings import ConfigError
from tutelage.processes import StackError
from tutelage.provision import ProvisionError

console = Console(highlight=False)
aside = Console(stderr=True, highlight=False)  # what is no result, where a result may be piped
Config = Annotated[Path, typer.Option("--config", "-c", help="The YAML configuration.")]
CONFIG = Path("tutelage.yaml")


def say(words: str) -> None:
    """One line, as it is."""
    console.print(words, markup=False, soft_wrap=True)  # a path stays whole, to be copied


def fail(words: str) -> NoReturn:
    """End with a message and status 2."""
    aside.print(f"tutelage: {words}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(2)


@contextmanager
def known_errors() -> Iterator[None]:
    """Errors with a message for the user end the command with status 2."""
    from distill.errors import DistillError
    from ledger.database import LedgerError
    from ledger.releases import ReleaseError
    from tutelage.logfile import LogRefused

    known = (ConfigError, LedgerError, ReleaseError, ProvisionError, StackError, DistillError, LogRefused)
    try:
        yield
    except known as error:
        fail(str(error))
