"""`tutelage unmatched` and `tutelage alias`: requests without a task, and what is said to belong to one."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from router.settings import ConfigError, Settings, load
from tutelage.console import CONFIG, Config, console, known_errors, say

alias = typer.Typer(no_args_is_help=True, help="Model names and system messages that belong to a task too.")
Days = Annotated[float, typer.Option(min=0.01, help="How far to look back.")]
WEEK = 7.0
MOST_SHOWN = 20  # groups


def unmatched(days: Days = WEEK, config: Config = CONFIG) -> None:
    """Requests that belong to no task: how many, the task each kind is nearest to, and by what it differs."""
    from ledger.database import connect
    from tutelage.standing import date
    from tutelage.unmatched import DAY_S, find

    table = Table()
    for name in ("prompt", "model", "requests", "texts", "last", "nearest task", "difference"):
        table.add_column(name, no_wrap=name == "prompt")  # to be copied
    with known_errors():
        settings = load(config)
        found = find(settings, connect(settings.ledger.url), since=time.time() - DAY_S * days)
    for group in found.groups[:MOST_SHOWN]:
        near = group.nearest
        kind = "no system message" if group.texts[0] is None else "unlike any task's"
        words = (f"{near.task} ({near.alike:.0%})", near.difference) if near else ("", kind)
        count = (str(group.requests), str(len(group.texts)))
        # As text: a difference may look like markup.
        table.add_row(*(Text(cell) for cell in (group.id, group.model, *count, date(group.last_at), *words)))
    say(found.words(days=days))
    if found.groups:
        console.print(table)
    rest = found.left_out + sum(group.requests for group in found.groups[MOST_SHOWN:])
    if rest:
        say(f"{rest} more have rarer prompts")


@alias.command("add")
def add(  # noqa: PLR0917  typer reads options from the signature
    task: Annotated[str, typer.Argument(help="The task that they belong to.")],
    model: Annotated[str, typer.Option(help="A model name that clients send.")] = "",
    prompt: Annotated[str, typer.Option(help="A system message's id, as `tutelage unmatched` shows it.")] = "",
    prompt_file: Annotated[Path | None, typer.Option(help="A file with it; a last line break is not of it.")] = None,
    days: Days = WEEK,
    config: Config = CONFIG,
) -> None:
    """Requests with this model name, or to the task's teacher with this system message, belong to TASK from now on."""
    from ledger import aliases
    from ledger.database import connect
    from ledger.releases import champions
    from tutelage.unmatched import DAY_S, chosen, find

    with known_errors():
        settings, now = load(config), time.time()
        settings.task(task)
        if sum(map(bool, (model, prompt, prompt_file))) != 1:
            raise ConfigError("say what belongs to the task: --model, --prompt or --prompt-file, one of them")
        engine = connect(settings.ledger.url)
        if model:
            made = aliases.add(engine, kind="model", value=_free(settings, model), task=task, now=now)
        else:
            text = (
                _read(prompt_file)
                if prompt_file
                else chosen(settings, find(settings, engine, since=now - DAY_S * days), task=task, text_named=prompt)
            )
            made = aliases.add(engine, kind="prompt", value=_nobodys(settings, text), task=task, now=now)
        champion = champions(engine).get(task)
    say(f"{made.id}: such requests are {task}'s; gateways know it within a second")
    if made.kind == "prompt" and champion is not None:
        say(f"the teacher answers them until a release is certified on them: {champion.name} has not seen any")


@alias.command("list")
def list_(config: Config = CONFIG) -> None:
    """The aliases in force."""
    from ledger.aliases import in_force
    from ledger.database import connect
    from tutelage.standing import date

    table = Table()
    for name in ("id", "task", "kind", "value", "since"):
        table.add_column(name, no_wrap=name == "id")
    with known_errors():
        for each in in_force(connect(load(config).ledger.url)):
            table.add_row(*(Text(cell) for cell in (each.id, each.task, each.kind, each.value, date(each.since))))
    console.print(table)


@alias.command("remove")
def remove(
    alias_id: Annotated[str, typer.Argument(metavar="ID", help="As `tutelage alias list` shows it.")],
    config: Config = CONFIG,
) -> None:
    """End an alias: such requests belong where they would without it."""
    from ledger.aliases import end
    from ledger.database import connect

    with known_errors():
        ended = end(connect(load(config).ledger.url), alias_id, now=time.time())
    say(f"{ended.id} of {ended.task} has ended; gateways know it within a second")


def _free(settings: Settings, name: str) -> str:
    if name in settings.tasks or name in settings.teachers:
        raise ConfigError(f"{name!r} is a task's or a teacher's name already, and keeps its meaning")
    if not (len(name) <= 256 and name.isprintable() and name.strip() == name):
        raise ConfigError("a model's name has 1 to 256 printable characters, and no spaces around them")
    return name


def _nobodys(settings: Settings, text: str) -> str:
    for name, task in settings.tasks.items():
        if task.system_prompt == text:
            raise ConfigError(f"that is the system_prompt of {name} already")
    return text


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as text: {error}") from error
    if not text.strip():
        raise ConfigError(f"{path} is empty")
    return text.removesuffix("\n")  # an editor's
