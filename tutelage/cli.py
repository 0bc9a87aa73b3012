"""`tutelage`: set up, run, look, import, and the demo; with what the `cli_` modules beside it hold."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from router.settings import load
from tutelage import (
    cli_alias,
    cli_feedback,
    cli_forget,
    cli_judge,
    cli_keys,
    cli_releases,
    cli_replay,
    cli_report,
    cli_serve,
    cli_synthesize,
    cli_tasks,
)
from tutelage.console import CONFIG, Config, console, fail, known_errors, say
from tutelage.processes import NotRunning, Stack, logs_of, programs, states, worker
from tutelage.processes import console as console_program
from tutelage.provision import Home, ensure_demo_model, ensure_vllm

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(cli_serve.parts, name="serve")
app.add_typer(cli_releases.distill, name="distill")
app.add_typer(cli_releases.releases, name="releases")
app.add_typer(cli_judge.judge, name="judge")
app.add_typer(cli_keys.keys, name="keys")
app.add_typer(cli_alias.alias, name="alias")
app.add_typer(cli_tasks.tasks, name="tasks")


def main() -> None:
    """The console script. Known errors end with their message and status 2, not with a trace."""
    app()


@app.command()
def setup() -> None:
    """Make the serving environment (vLLM) and the demo's base model, where they are missing."""
    with known_errors():
        home = Home.from_environment()
        ensure_vllm(home, say=say)
        ensure_demo_model(home, say=say)
        say(f"ready: {home.vllm_env} and {home.demo_model}")


Teacher = Annotated[str, typer.Option(help="A LiteLLM model string.")]
TaskName = Annotated[str, typer.Option(help="A name for your narrow job.")]
BaseModel = Annotated[str, typer.Option(help="Absolute folder or Hugging Face id on this machine; the demo's.")]


@app.command()
def init(  # noqa: PLR0917  typer reads options from the signature
    teacher: Teacher = "openai/gpt-4o-mini",
    task: TaskName = "my-task",
    base_model: BaseModel = "",
    config: Config = CONFIG,
) -> None:
    """Write a configuration to start from."""
    if config.exists():
        fail(f"{config} exists; it is not overwritten")
    _write_starter(config, teacher=teacher, task=task, base_model=base_model)
    say(f"wrote {config}: read it, set the teacher's key in the environment, then `tutelage up`")


def _write_starter(config: Path, *, teacher: str, task: str, base_model: str) -> None:
    from tutelage.starter import starter

    with known_errors():
        base = base_model or str(ensure_demo_model(Home.from_environment(), say=say))
    config.write_text(starter(teacher=teacher, task=task, base_model=base))


@app.command()
def up(
    teacher: Annotated[str, typer.Option(help="A LiteLLM model string, where there is no configuration yet.")] = "",
    task: TaskName = "my-task",
    config: Config = CONFIG,
) -> None:
    """Run everything on this machine until Ctrl-C: student, teacher server, ingester, gateway, console, worker."""
    from tutelage.upkeep import Upkeep

    if teacher and not config.exists():
        _write_starter(config, teacher=teacher, task=task, base_model="")
        say(f"wrote {config}: clients send model {task!r} to have their requests recorded for that task")
    with known_errors():
        settings, home = load(config), Home.from_environment()
        if teacher and teacher not in {each.model for each in settings.teachers.values()}:
            fail(f"{config} exists and names other teachers: leave --teacher out, or name another --config")
        for each in settings.teachers.values():
            each.api_key()  # one that is missing is told before anything is installed
        if not settings.student.base_url:
            ensure_vllm(home, say=say)
        own = (console_program(settings, config.resolve()), worker(config.resolve()))
        served = [*programs(settings, config.resolve(), home), *own]
        with Stack(logs_of(config), served) as stack, console.status("starting") as line:
            upkeep = Upkeep(stack, settings, say=say)
            try:
                # Not for the student: the teacher answers while vLLM loads its model.
                stack.wait_ready(
                    tick=lambda name, waited: line.update(f"waiting for {name} ({waited:.0f} s)"), but={"student"}
                )
                say(f"serving http://{settings.server.host}:{settings.server.port}/v1, logs in {logs_of(config)}")
                say(f"console: http://{settings.console.host}:{settings.console.port}/console")
                while True:
                    line.update(upkeep.look())
                    time.sleep(1.0)
            except KeyboardInterrupt:
                line.stop()
                say("stopping; streams may finish")


@app.command()
def status(config: Config = CONFIG) -> None:
    """What runs, what is in force, and how far each task is from its next release. Status 1: nothing runs."""
    from ledger.database import connect
    from tutelage.found import found
    from tutelage.found import in_a_line as found_in_a_line
    from tutelage.spending import machine, saved, spending
    from tutelage.standing import describe
    from tutelage.unmatched import in_a_line

    with known_errors():
        settings = load(config)
        try:
            running = states(logs_of(config))
        except NotRunning as error:
            running = []
            say(str(error))
        for part in running:
            say(f"{part.name}: {part.words}")
        engine, now = connect(settings.ledger.url), time.time()
        lines = (
            *describe(settings, engine, now=now),
            saved(engine, now=now),
            machine(settings, engine, now=now),
            *spending(settings, engine, now=now),
        )
        for line in filter(None, lines):
            say(line)
        for words in filter(None, (in_a_line(settings, engine, now=now), found_in_a_line(found(engine, settings)))):
            say(words)
    raise typer.Exit(0 if running else 1)


@app.command()
def decisions(
    task: str, limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20, config: Config = CONFIG
) -> None:
    """What the worker decided about TASK, or noticed, and why; newest first."""
    from ledger.database import connect
    from ledger.decisions import latest
    from tutelage.standing import date

    table = Table("since", "decision", "by", "why", "about")
    with known_errors():
        settings = load(config)
        settings.task(task)
        for found in latest(connect(settings.ledger.url), task, limit=limit):
            table.add_row(date(found.at), found.action, found.trigger, found.reason, found.release or "")
    console.print(table)


@app.command("import")
def import_(  # noqa: PLR0917  typer reads options from the signature
    file: Annotated[Path, typer.Argument(help="JSONL: OpenAI chat logs or stored completions, LiteLLM spend logs.")],
    task: Annotated[str, typer.Option(help="The task whose requests the file holds.")],
    by_teacher: Annotated[bool, typer.Option("--by-teacher", help="All its answers are the task's teacher's.")] = False,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out lines that cannot be read.")] = False,
    config: Config = CONFIG,
) -> None:
    """Start from history: a log of prompts and the teacher's answers becomes rows that teach and certify."""
    from ledger.database import connect
    from tutelage.importing import carry, source
    from tutelage.progress import RunProgress

    with known_errors():
        settings = load(config)
        found = source(settings, file, task=task, by_teacher=by_teacher, now=time.time())
        engine, progress = connect(settings.ledger.url), RunProgress(console)
        redactor = settings.redactor(engine)
        tally = carry(found, engine, skip_broken=skip_broken, progress=progress.advance, redactor=redactor)
    for line in tally.words():
        say(line)


app.command()(cli_alias.unmatched)
app.command()(cli_replay.replay)
app.command()(cli_feedback.feedback)
app.command()(cli_forget.forget)
app.command()(cli_synthesize.synthesize)
app.command()(cli_releases.recertify)
app.command()(cli_report.report)
app.command()(cli_report.reconcile)
app.command()(cli_releases.calibrate)


@app.command()
def demo(  # noqa: PLR0913, PLR0917  typer reads options from the signature
    data: Annotated[Path | None, typer.Option(help="Your own labelled CSV instead of the generated desk.")] = None,
    text: Annotated[str, typer.Option(help="Column with the messages.")] = "text",
    label: Annotated[str, typer.Option(help="Column with the labels; only the local teacher reads it.")] = "label",
    rows: Annotated[int, typer.Option(min=100, help="Requests before the student exists.")] = 3000,
    serve: Annotated[int, typer.Option(min=20, help="Requests of each phase in which a student serves.")] = 500,
    epochs: Annotated[int | None, typer.Option(help="Epochs of training: 1, and 3 on your own file.")] = None,
    seed: int = 0,
    drift: Annotated[
        bool, typer.Option(help="Whether the generated desk's traffic drifts, for the second half.")
    ] = True,
    mistakes: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the teacher's answers that are wrong.")
    ] = 0.02,
    may_train: Annotated[bool, typer.Option(help="Whether the teacher's terms allow training on its answers.")] = True,
    out: Annotated[Path, typer.Option(help="Where the plot goes.")] = Path("tutelage-demo.png"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Afterwards leave all up, with a console, until Ctrl-C, however it went.")
    ] = False,
) -> None:
    """The loop by itself: teacher only, distilled, certified, serving; the traffic drifts, and again. Status 0 only if
    each phase showed what it claims."""
    from tutelage.demo.plan import DemoPlan
    from tutelage.demo.run import run_demo

    with known_errors():
        home = Home.from_environment()
        ensure_vllm(home, say=say)
        ensure_demo_model(home, say=say)
        sizes = (rows, serve, epochs, seed)
        plan = DemoPlan(data, text, label, *sizes, out, drift=drift, mistakes=mistakes, may_train=may_train, keep=keep)
        failures = run_demo(plan, home, console=console)
    raise typer.Exit(1 if failures else 0)
