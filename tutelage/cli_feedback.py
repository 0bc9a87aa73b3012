"""`tutelage feedback`: what people say of answers, one by one or from a file."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ledger.records import Feedback
from router.settings import ConfigError, load
from tutelage.console import CONFIG, Config, known_errors, say

SHAPE = '{"exchange_id": "...", "good": true or false} or {"exchange_id": "...", "correction": "..."}'


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    exchange_id: str
    good: bool | None = None
    correction: str | None = None


def feedback(  # noqa: PLR0917  typer reads options from the signature
    exchange: Annotated[str, typer.Argument(help="An id as in x-tutelage-exchange-id; none with --file.")] = "",
    good: Annotated[bool | None, typer.Option("--good/--wrong", help="Whether its answer was right.")] = None,
    correction: Annotated[str | None, typer.Option(help="What should have been answered.")] = None,
    file: Annotated[Path | None, typer.Option(help=f"JSON lines: {SHAPE}.")] = None,
    config: Config = CONFIG,
) -> None:
    """Say whether an answer was right, or what would have been: that is what the next student learns."""
    from ledger.database import connect
    from ledger.ingest import store
    from ledger.lineage import unknown

    with known_errors():
        if bool(exchange) == (file is not None):
            raise ConfigError("name one exchange, or --file with many")
        said = list(_read(file) if file else _checked([_Line(exchange, good, correction)], "the command"))
        engine = connect(load(config).ledger.url)
        if nobodys := unknown(engine, [each.exchange_id for each in said]):
            raise ConfigError(
                f"no exchange {nobodys[0]!r} is recorded ({len(nobodys)} of {len(said)}): nothing is kept"
            )
        store(engine, said)
    say(f"kept what was said of {len(said)} answers")


def _read(path: Path) -> Iterator[Feedback]:
    try:
        lines = [line for line in path.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    read = []
    for number, line in enumerate(lines, 1):
        try:
            read.append(msgspec.json.decode(line, type=_Line))
        except msgspec.DecodeError as error:
            raise ConfigError(f"{path}, line {number}: {error}; each line is {SHAPE}") from error
    return _checked(read, str(path))


def _checked(lines: list[_Line], where: str) -> Iterator[Feedback]:
    now = time.time()
    for number, line in enumerate(lines, 1):
        empty = line.correction is not None and not line.correction.strip()
        if empty or (line.good is None) == (line.correction is None):
            raise ConfigError(f"{where}, line {number}: say whether the answer was right, or what would have been")
        yield Feedback(exchange_id=line.exchange_id, at=now, good=bool(line.good), correction=line.correction)
