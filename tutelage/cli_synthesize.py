"""`tutelage synthesize`: more questions for a task whose traffic is thin."""

from pathlib import Path
from typing import Annotated

import typer

from router.settings import load
from tutelage.console import CONFIG, Config, console, known_errors, say


def synthesize(  # noqa: PLR0917  typer reads options from the signature
    task: str,
    rows: Annotated[int, typer.Option(min=1, max=50_000, help="So many new messages at most.")],
    seeds: Annotated[Path | None, typer.Option(help="A file of more examples, one message a line.")] = None,
    seed: Annotated[int, typer.Option(help="Draws the examples that each request shows.")] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; otherwise it is only told what it would cost.")] = False,
    config: Config = CONFIG,
) -> None:
    """Have the teacher of TASK write messages like those that are recorded, and answer them, through the running
    gateway. They teach the next student, and nothing is measured on them."""
    from ledger.database import connect
    from tutelage.distilling import gateway_client
    from tutelage.progress import RunProgress
    from tutelage.synthesizing import carry, plan

    with known_errors():
        settings = load(config)
        found = plan(settings, connect(settings.ledger.url), task, rows=rows, seeds_file=seeds)
        for words in found.words():
            say(words)
        if not yes:
            say("nothing is asked yet: say --yes to do it")
            return
        with RunProgress(console) as told:
            done = carry(found, gateway_client(settings), seed=seed, step=told.step, progress=told.advance)
    for words in done.words():
        say(words)
