"""`tutelage judge`: pairs of answers for people to label, and what a judge says of them."""

from pathlib import Path
from typing import Annotated

import typer

from calibration.certificate import Refusal
from router.settings import load
from tutelage.console import CONFIG, Config, console, known_errors, say

judge = typer.Typer(no_args_is_help=True, help="Check the judge of a task against people.")
REFUSED = 3  # as a run ends that comes to no certificate


@judge.command("sample")
def judge_sample(  # noqa: PLR0917  typer reads options from the signature
    task: str,
    out: Annotated[Path, typer.Option(help="The file to write; it must not exist.")],
    most: Annotated[int, typer.Option("--most", min=1, help="So many pairs at most, drawn at random.")] = 300,
    config: Config = CONFIG,
) -> None:
    """Write accepted drafts beside the teacher's answers, for people to fill in `same`."""
    from ledger.database import connect
    from tutelage.judging import judge_of, sample, write

    with known_errors():
        settings = load(config)
        judge_of(settings, task)
        pairs = sample(connect(settings.ledger.url), task, most=most)
        write(pairs, out)
    say(
        f"wrote {len(pairs)} pairs to {out}: set same to true or false in each, then "
        f"`tutelage judge check {task} {out}`"
    )


@judge.command("check")
def judge_check(
    task: str,
    pairs: Annotated[Path, typer.Argument(help="JSONL: prompt, student, teacher, same.")],
    config: Config = CONFIG,
) -> None:
    """Ask the judge of TASK about labelled pairs, through the running gateway. Status 3: it cannot be used."""
    from ledger.database import connect
    from tutelage.judging import check, judge_of, read, through_gateway
    from tutelage.progress import RunProgress

    with known_errors():
        settings = load(config)
        judge_of(settings, task)
        labels, ask = read(pairs), through_gateway(settings, task)
        progress = RunProgress(console).advance
        found = check(settings, connect(settings.ledger.url), task, labels=labels, ask=ask, progress=progress)
    for line in found.in_words(alpha=settings.task(task).alpha):
        say(line)
    if isinstance(found.outcome, Refusal):
        raise typer.Exit(REFUSED)
