"""`tutelage replay`: what a student could take of a log that exists, before anything is changed."""

import math
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from calibration.agreement import Measure
from calibration.certificate import Contract
from router.settings import ConfigError, Task
from tutelage.console import console, known_errors, say
from tutelage.gpus import take
from tutelage.provision import Home
from tutelage.replay import LEAST_ROWS
from tutelage.starter import STUDENT_USD_PER_MTOK
from tutelage.threads import share_cores

UNCERTIFIED = 3  # not 1, which a crash ends with too
STOPPED = 130
ALPHAS = (0.02, 0.05, 0.1, 0.15)
STUDENT_USD = ",".join(map(str, STUDENT_USD_PER_MTOK))


File = Annotated[Path, typer.Argument(help="JSONL, in any of the formats that `tutelage import` reads.")]
TaskOption = Annotated[
    str | None, typer.Option("--task", help="Which one: its number in the table, or a part of its system message.")
]
Terms = Annotated[
    str, typer.Option(help="Where the provider's terms allow training on its outputs; else nothing is trained.")
]
Alpha = Annotated[
    list[float] | None, typer.Option(help="Repeatable; the largest share that may differ: 2, 5, 10, 15 %.")
]
MeasureOption = Annotated[str, typer.Option(help="When two answers agree: exact, number or json.")]
BaseModel = Annotated[str, typer.Option(help="Folder or Hugging Face id on this machine; the demo's.")]
Rows = Annotated[int, typer.Option(min=LEAST_ROWS, help="The newest so many rows of the task teach and test.")]
Cheaper = Annotated[list[str] | None, typer.Option(help="Repeatable; a hosted model that could answer everything.")]
TeacherPrice = Annotated[
    str, typer.Option(metavar="IN,OUT", help="What the task's teacher costs, where LiteLLM's table does not say.")
]
StudentPrice = Annotated[
    str, typer.Option(metavar="IN,OUT", help="What a student's tokens cost: machine price / tokens served.")
]
MachinePrice = Annotated[
    float, typer.Option(min=0.0, help="Of the machine that trains; two cores in a cloud are some $0.10.")
]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="Leave out lines that cannot be read.")]
Out = Annotated[Path | None, typer.Option(help="The folder to work in; FILE.replay where none is named.")]


def replay(  # noqa: PLR0913, PLR0917  typer reads options from the signature
    file: File,
    task: TaskOption = None,
    terms: Terms = "",
    alpha: Alpha = None,
    measure: MeasureOption = "exact",
    base_model: BaseModel = "",
    rows: Rows = 5000,
    cheaper: Cheaper = None,
    teacher_usd_per_mtok: TeacherPrice = "",
    student_usd_per_mtok: StudentPrice = STUDENT_USD,
    machine_usd_per_hour: MachinePrice = 0.10,
    skip_broken: SkipBroken = False,
    out: Out = None,
) -> None:
    """From a log alone: how much of it a student could certifiably take, what that would save, and when it pays.

    Status 0: the report is written; 2: the log or an option cannot be used; 3: a student was made, and no contract can
    be certified with it.
    """
    share_cores()
    from tutelage.replay.money import parse_price
    from tutelage.replay.run import Ask
    from tutelage.replay.run import replay as run

    with known_errors():
        take(1)
        given = teacher_usd_per_mtok
        ask = Ask(
            file=file,
            out=out or file.with_name(f"{file.name}.replay"),
            task=task,
            terms=terms.strip(),
            contracts=_contracts(alpha),
            measure=_measure(measure),
            base_model=base_model,
            rows=rows,
            cheaper=cheaper or (),
            teacher_price=parse_price(given, option="--teacher-usd-per-mtok") if given else None,
            student_price=parse_price(student_usd_per_mtok, option="--student-usd-per-mtok"),
            machine_usd_per_hour=_finite(machine_usd_per_hour),
            skip_broken=skip_broken,
        )
        try:
            found, page = run(ask, home=Home.from_environment(), console=console)
        except KeyboardInterrupt:
            say("stopped; the same command goes on from what is finished")
            raise typer.Exit(STOPPED) from None
    say(f"wrote {page}")
    if found.judged and not found.certified:
        raise typer.Exit(UNCERTIFIED)


def _contracts(alphas: list[float] | None) -> list[Contract]:
    """At the delta and the margin that a task has where nothing else is set. Raises ConfigError."""
    held = Task(teacher="teacher")
    try:
        return [Contract(alpha, held.delta, held.margin) for alpha in sorted(set(alphas or ALPHAS))]
    except ValueError as error:
        raise ConfigError(f"--alpha: {error}") from error


def _finite(usd: float) -> float:
    """Raises ConfigError."""
    if not math.isfinite(usd):
        raise ConfigError(f"--machine-usd-per-hour is a sum of money, not {usd}")
    return usd


def _measure(name: str) -> Measure:
    """Raises ConfigError."""
    if name not in get_args(Measure):
        raise ConfigError(f"--measure is one of {', '.join(get_args(Measure))}, not {name!r}")
    return cast(Measure, name)
