"""`tutelage report`: a page on a release, or what was saved in a period; `tutelage reconcile`: an invoice beside it."""

import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from router.settings import ConfigError, Settings, load
from tutelage.console import CONFIG, Config, console, known_errors, say
from tutelage.savings_words import bounds, in_words, usd

DIFFERENT = 3


class Part(StrEnum):
    """What a report has a line for each of."""

    TASK, KEY, RELEASE = "task", "key", "release"


if TYPE_CHECKING:
    from tutelage.report.saved import Saved


def report(  # noqa: PLR0913, PLR0917  typer reads options from the signature
    task: Annotated[str | None, typer.Argument(help="A task; with --period, all of them where none is named.")] = None,
    period: Annotated[str, typer.Option(help="What was saved in so long until now: 24h, 7d, 4w.")] = "",
    by: Annotated[Part, typer.Option(help="With --period: a line for each of these.")] = Part.TASK,
    html: Annotated[Path | None, typer.Option(help="With --period: write a page to this file.")] = None,
    csv: Annotated[Path | None, typer.Option(help="With --period: write a line for each and day to this file.")] = None,
    release: Annotated[str | None, typer.Option(help="One of the task's releases; its newest certified one.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write to; report-TASK where none is named.")] = None,
    config: Config = CONFIG,
) -> None:
    """One page on a release: its certificate in words, what it accepts at which risk and cost, its references since.
    With --period: what was saved."""
    with known_errors():
        settings = load(config)
        if period:
            _saved(settings, task, period=period, by=by, files={"page": html, "csv": csv})
        elif task is None:
            raise ConfigError("name a task for a page on its release, or say --period 7d for what was saved")
        elif html or csv or by is not Part.TASK:
            raise ConfigError("--by, --html and --csv are of what was saved: say --period 7d too")
        else:
            _page(settings, task, release=release, out=out)


def _page(settings: Settings, task: str, *, release: str | None, out: Path | None) -> None:
    from ledger.database import connect
    from tutelage.report.facts import gather
    from tutelage.report.page import write

    facts = gather(settings, connect(settings.ledger.url), task, release=release)
    for words in facts.warnings:
        say(f"WARNING: {words}")
    say(f"wrote {write(facts, out or Path(f'report-{task}'))}")


def _saved(settings: Settings, task: str | None, *, period: str, by: Part, files: Mapping[str, Path | None]) -> None:
    from ledger.database import connect
    from tutelage.report.saved import as_csv, as_page, gather, seconds, write

    now = time.time()
    engine = connect(settings.ledger.url)
    found = gather(settings, engine, task=task, since=now - seconds(period), until=now, by=by.value)
    console.print(_table(found))
    say(in_words(found.total))
    for name, text in (("page", as_page), ("csv", as_csv)):
        if (path := files[name]) is not None:
            write(text(found), path)
            say(f"wrote {path}")


def _table(found: "Saved") -> Table:
    from tutelage.report.saved import rows

    table = Table(
        Column(found.by, overflow="fold"), "requests", "by students", "teacher alone", "spent", "saved", "95 %"
    )
    for name, each in rows(found):
        answered = f"{each.student_answers:,} ({each.student_answers / max(1, each.requests):.0%})"
        counts = (f"{each.requests:,}", answered, usd(each.baseline_usd), usd(each.spent_usd))
        share = f"{usd(each.saved_usd)} ({each.saved_share:.0%})"
        table.add_row(name, *counts, share, bounds(each))
    return table


def reconcile(
    invoice: Annotated[Path, typer.Argument(help="CSV: a line a day and model, or finer, in US dollars.")],
    tolerance: Annotated[float, typer.Option(min=0.0, max=1.0, help="Differences up to this share are none.")] = 0.01,
    config: Config = CONFIG,
) -> None:
    """A provider's invoice beside what the ledger says was paid, by day and model. Status 3: they differ."""
    from ledger.database import connect
    from tutelage.reconciling import in_words
    from tutelage.reconciling import reconcile as compare

    with known_errors():
        settings = load(config)
        found = compare(settings, connect(settings.ledger.url), invoice)
    table = Table("day", "model", "invoice", "ledger", "difference")
    differing = found.differing(tolerance)
    for line in found.lines:
        amounts = (usd(each) for each in (line.invoice_usd, line.ledger_usd, line.difference_usd))
        table.add_row(line.day.isoformat(), line.model, *amounts, style="red" if line in differing else None)
    console.print(table)
    for words in in_words(found, tolerance=tolerance):
        say(words)
    raise typer.Exit(DIFFERENT if differing else 0)
