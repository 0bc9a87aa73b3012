"""`tutelage tasks`: what is found among requests without a task, and making one of it."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from ledger.prices import dollars
from router.settings import ConfigError, load
from tutelage.console import CONFIG, Config, console, known_errors, say

tasks = typer.Typer(help="Tasks found among requests without one.", add_completion=False)
Days = Annotated[float, typer.Option(min=0.01, help="How far to look back.")]
MONTH = 30.0


@tasks.callback(invoke_without_command=True)
def list_(context: typer.Context, days: Days = MONTH, config: Config = CONFIG) -> None:
    """What is found: volume, price, how narrow it looks, and what a student of it would save at most."""
    if context.invoked_subcommand is not None:
        return
    from ledger.database import connect
    from tutelage.found import found
    from tutelage.replay.narrowness import THRESHOLDS

    with known_errors():
        settings = load(config)
        tasks_found = found(connect(settings.ledger.url), settings, days=days)
    if not tasks_found:
        say("every request of a client belongs to a task, or its teacher has not answered yet")
        return
    table = Table()
    for name in ("id", "teacher", "system message", "requests", "a month", "spent", "saved at most", "looks", "do"):
        table.add_column(name, no_wrap=name == "id")
    for task in tasks_found:
        worth = task.worth
        month = (f"{worth.monthly:,.0f}", dollars(worth.spent_usd)) if worth else ("too few to tell", "")
        saved = dollars(task.saving_usd) if worth else ""
        looks = f"{task.narrowness.verdict}, {task.narrowness.distinct} answers of {task.narrowness.rows}"
        cells = (task.id, task.teacher, task.name, f"{task.requests:,}", *month, saved, looks, task.command)
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    say("a month at the pace since each began; saved at most, by a student that answered all it may, upkeep paid")
    say(THRESHOLDS)


@tasks.command()
def adopt(  # noqa: PLR0913, PLR0917  typer reads options from the signature
    found_id: Annotated[str, typer.Argument(metavar="ID", help="As `tutelage tasks` shows it.")],
    name: Annotated[str, typer.Option(help="The task's name.")],
    teacher: Annotated[str | None, typer.Option(help="Of whom it is asked, where two are.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Largest share of answers that may differ.")] = None,
    agreement: Annotated[
        str | None, typer.Option(help="When two answers agree: exact, number, json; else as they look.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Of an answer; else room for almost all of them.")] = None,
    days: Days = MONTH,
    config: Config = CONFIG,
) -> None:
    """Make a found task one of the configuration; what was recorded of it teaches and certifies its first student."""
    from ledger.database import connect
    from tutelage.adopting import add_to, take_over
    from tutelage.found import chosen, found

    with known_errors():
        settings = load(config)
        if name in settings.tasks:
            raise ConfigError(f"there is a task {name!r} already: give another --name")
        engine = connect(settings.ledger.url)
        task = chosen(found(engine, settings, days=days), found_id, teacher=teacher)
        values = {
            "teacher": task.teacher,
            "measure": agreement or task.measure,
            "alpha": alpha,
            "max_tokens": max_tokens or task.max_tokens,
            "system_prompt": task.system_prompt,
        }
        add_to(config, name, {key: value for key, value in values.items() if value is not None})
        settings = load(config)
        taken = take_over(settings, engine, name)
    say(f"{name} is in {config}, and {taken} recorded requests are its own")
    if not settings.teachers[task.teacher].may_train:
        must = f"teachers.{task.teacher}.may_train is true, terms says where they allow it and confirmed_by who says so"
        say(f"no student is trained until {must}")
    say(
        "start `tutelage up` again (or gateways, then the worker): they read the configuration when they start. What "
        "is asked until then the worker takes over when it starts"
    )
