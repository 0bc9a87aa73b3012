"""`tutelage keys`: who may ask the gateway. A key is printed once, alone on standard output; all else on the other."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from ledger.budgets import Budget, Per
from ledger.keys import Grant, Key, Role
from router.settings import ConfigError, Settings, load
from tutelage.console import CONFIG, Config, aside, console, known_errors

keys = typer.Typer(no_args_is_help=True, help="Make, look at, rotate and revoke the keys of clients.")
HOUR_S = 3600.0
Expires = Annotated[str, typer.Option("--expires", help="A date or time, ISO 8601; in UTC where it says nothing else.")]
KeyId = Annotated[str, typer.Argument(help="As `tutelage keys list` shows it.")]


@keys.command("create")
def create(  # noqa: PLR0913, PLR0917  typer reads options from the signature
    name: Annotated[str, typer.Argument(help="For whom it is.")],
    role: Annotated[Role, typer.Option(help="client: /v1; worker: /internal too; admin: everything.")] = "client",
    task: Annotated[list[str] | None, typer.Option(help="Repeatable: of these tasks only.")] = None,
    expires: Expires = "",
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests a minute.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Tokens a minute.")] = None,
    streams: Annotated[int | None, typer.Option(min=1, max=1000, help="Streams at once.")] = None,
    budget_usd: Annotated[float | None, typer.Option(help="What its requests may cost at teachers.")] = None,
    per: Annotated[Per, typer.Option(help="The budget's period, of the calendar in UTC.")] = "month",
    train: Annotated[bool, typer.Option(help="Whether a student may learn from what it asks.")] = True,
    config: Config = CONFIG,
) -> None:
    """Make a key for NAME. It is printed this once."""
    from ledger import keys as ledger
    from ledger.database import connect

    with known_errors():
        settings, now = load(config), time.time()
        for each in task or ():
            settings.task(each)
        grant = Grant(
            _name(name),
            role,
            tuple(task) if task else None,
            rpm,
            tpm,
            streams,
            budget=_budget(budget_usd, per),
            teaches=train,
        )
        _counted_together(settings, grant)
        engine = connect(settings.ledger.url)
        made, secret = ledger.create(engine, grant, now=now, expires_at=_time(expires))
    typer.echo(secret)
    _say(f"{made.id} for {name}: keep it now, the ledger has only its digest. Gateways know it within a second")
    if settings.server.api_key is None:
        _say(
            "WARNING: every request needs a key from now on, the worker's and Prometheus' too: set "
            "TUTELAGE_SERVER__API_KEY for the worker, and start `tutelage up` again"
        )


@keys.command("list")
def list_(config: Config = CONFIG) -> None:
    """All keys that were ever made, without their secrets."""
    from ledger.database import connect
    from ledger.keys import all_keys

    table = Table()
    table.add_column("id", no_wrap=True)  # to be copied
    for name in ("name", "role", "tasks", "state", "made", "expires", "limits", "replaces"):
        table.add_column(name)
    with known_errors():
        now = time.time()
        for key in all_keys(connect(load(config).ledger.url)):
            table.add_row(*_row(key, now))
    console.print(table)


@keys.command("rotate")
def rotate(  # noqa: PLR0917  typer reads options from the signature
    key_id: KeyId,
    grace_hours: Annotated[float, typer.Option(min=0.0, help="For so long the old key is valid beside it.")] = 24.0,
    expires: Expires = "",
    config: Config = CONFIG,
) -> None:
    """Make the successor of a key, with the same rights, limits and budget. It is printed this once."""
    from ledger import keys as ledger
    from ledger.database import connect

    with known_errors():
        engine, now = connect(load(config).ledger.url), time.time()
        grace_s = HOUR_S * grace_hours
        made, secret = ledger.rotate(engine, key_id, now=now, grace_s=grace_s, expires_at=_time(expires))
    typer.echo(secret)
    _say(f"{made.id} replaces {key_id}, which is valid for {grace_hours:g} hours more at the longest")


@keys.command("revoke")
def revoke(key_id: KeyId, config: Config = CONFIG) -> None:
    """End a key: gateways refuse it within a second."""
    from ledger import keys as ledger
    from ledger.database import connect

    with known_errors():
        found = ledger.revoke(connect(load(config).ledger.url), key_id, now=time.time())
    _say(f"{found.id} ({found.grant.name}) is revoked")


def _name(name: str) -> str:
    if not (0 < len(name) <= 64 and name.isprintable()):
        raise ConfigError("a key's name has 1 to 64 characters, none of them a control character")
    return name


def _budget(usd: float | None, per: Per) -> Budget | None:
    try:
        return None if usd is None else Budget(usd, per)
    except ValueError as error:
        raise ConfigError(f"--budget-usd: {error}") from error


def _time(text: str) -> float | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--expires {text!r} is no ISO 8601 time: try 2027-01-31 or 2027-01-31T18:00Z") from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _counted_together(settings: Settings, grant: Grant) -> None:
    """As for teachers' capacity: processes that count by themselves would each give all of it."""
    if grant.limited and settings.server.workers > 1 and not settings.server.counts_together:
        raise ConfigError(
            f"server.workers: {settings.server.workers} processes would each allow {grant.name} that much: set "
            "server.limits_url to a Redis that they share, or workers to 1"
        )


def _row(key: Key, now: float) -> tuple[str, ...]:
    from ledger.keys import state
    from tutelage.standing import date

    grant, budget = key.grant, key.grant.budget
    limits = [f"{value} {name}" for name in ("rpm", "tpm", "streams") if (value := getattr(grant, name)) is not None]
    limits += [f"${budget.usd:g} per {budget.per}"] if budget else []
    limits += [] if grant.teaches else ["teaches nothing"]
    tasks = "all" if grant.tasks is None else ", ".join(grant.tasks)
    expires = "" if key.expires_at is None else date(key.expires_at)
    shown = (key.id, grant.name, grant.role, tasks, state(key, now), date(key.created_at), expires)
    return (*shown, ", ".join(limits), key.replaces or "")


def _say(words: str) -> None:
    aside.print(words, markup=False, soft_wrap=True)
