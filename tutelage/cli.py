"""`tutelage`: set up, serve, distill, look at releases, and the demo. Composes packages; no logic of theirs."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from router.settings import ConfigError, load
from tutelage.processes import NotRunning, Stack, StackError, ingester, programs, states, student, worker
from tutelage.provision import Home, ProvisionError, ensure_demo_model, ensure_vllm

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
serve_app = typer.Typer(no_args_is_help=True, help="Run one part in the foreground.")
distill_app = typer.Typer(no_args_is_help=True, help="Make a student from recorded traffic.")
releases_app = typer.Typer(no_args_is_help=True, help="Look at releases, and roll back.")
app.add_typer(serve_app, name="serve")
app.add_typer(distill_app, name="distill")
app.add_typer(releases_app, name="releases")

console = Console(highlight=False)
Config = Annotated[Path, typer.Option("--config", "-c", help="The YAML configuration.")]
CONFIG = Path("tutelage.yaml")
REFUSED = 3  # not 1, which a crash ends with too


def main() -> None:
    """The console script. Known errors end with their message and status 2, not with a trace."""
    app()


@app.command()
def setup() -> None:
    """Make the serving environment (vLLM) and the demo's base model, where they are missing."""
    with _known_errors():
        home = Home.from_environment()
        ensure_vllm(home, say=_say)
        ensure_demo_model(home, say=_say)
        _say(f"ready: {home.vllm_env} and {home.demo_model}")


Teacher = Annotated[str, typer.Option(help="A LiteLLM model string.")]
TaskName = Annotated[str, typer.Option(help="A name for your narrow job.")]
BaseModel = Annotated[str, typer.Option(help="Hugging Face id or folder of the student's base model.")]


@app.command()
def init(  # noqa: PLR0917  typer reads options from the signature
    teacher: Teacher = "openai/gpt-4o-mini",
    task: TaskName = "my-task",
    base_model: BaseModel = "",
    config: Config = CONFIG,
) -> None:
    """Write a configuration to start from."""
    if config.exists():
        _fail(f"{config} exists; it is not overwritten")
    _write_starter(config, teacher=teacher, task=task, base_model=base_model)
    _say(f"wrote {config}: read it, set the teacher's key in the environment, then `tutelage up`")


def _write_starter(config: Path, *, teacher: str, task: str, base_model: str) -> None:
    from tutelage.starter import starter

    with _known_errors():
        base = base_model or str(ensure_demo_model(Home.from_environment(), say=_say))
    config.write_text(starter(teacher=teacher, task=task, base_model=base))


@app.command()
def up(
    teacher: Annotated[str, typer.Option(help="A LiteLLM model string, where there is no configuration yet.")] = "",
    task: TaskName = "my-task",
    config: Config = CONFIG,
) -> None:
    """Run everything on this machine until Ctrl-C: student, teacher server, ingester, gateway, worker."""
    from tutelage.upkeep import Upkeep

    if teacher and not config.exists():
        _write_starter(config, teacher=teacher, task=task, base_model="")
        _say(f"wrote {config}: clients send model {task!r} to have their requests recorded for that task")
    with _known_errors():
        settings, home = load(config), Home.from_environment()
        if teacher and teacher not in {each.model for each in settings.teachers.values()}:
            _fail(f"{config} exists and names other teachers: leave --teacher out, or name another --config")
        for each in settings.teachers.values():
            each.api_key()  # one that is missing is told before anything is installed
        ensure_vllm(home, say=_say)
        served = [*programs(settings, config.resolve(), home), worker(config.resolve())]
        with Stack(logs_of(config), served) as stack, console.status("starting") as line:
            upkeep = Upkeep(stack, settings, say=_say)
            try:
                # Not for the student: the teacher answers while vLLM loads its model.
                stack.wait_ready(
                    tick=lambda name, waited: line.update(f"waiting for {name} ({waited:.0f} s)"), but={"student"}
                )
                _say(f"serving http://{settings.server.host}:{settings.server.port}/v1, logs in {logs_of(config)}")
                while True:
                    line.update(upkeep.look())
                    time.sleep(1.0)
            except KeyboardInterrupt:
                line.stop()
                _say("stopping; streams may finish")


def logs_of(config: Path) -> Path:
    """Where `up` keeps the logs of all parts, and its supervisor."""
    return config.resolve().parent / "tutelage-data" / "logs"


@app.command()
def status(config: Config = CONFIG) -> None:
    """What runs, what is in force, and how far each task is from its next release. Status 1: nothing runs."""
    from ledger.database import connect
    from tutelage.standing import describe

    with _known_errors():
        settings = load(config)
        try:
            running = states(logs_of(config))
        except NotRunning as error:
            running = []
            _say(str(error))
        for found in running:
            _say(f"{found.name}: {found.words}")
        for line in describe(settings, connect(settings.ledger.url), now=time.time()):
            _say(line)
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
    with _known_errors():
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

    with _known_errors():
        settings = load(config)
        found = source(settings, file, task=task, by_teacher=by_teacher, now=time.time())
        engine, progress = connect(settings.ledger.url), RunProgress(console)
        tally = carry(found, engine, skip_broken=skip_broken, progress=progress.advance)
    for line in tally.words():
        _say(line)


@serve_app.command("gateway")
def serve_gateway(config: Config = CONFIG) -> None:
    """The OpenAI-compatible endpoint."""
    _become([sys.executable, "-m", "router", str(config)])


@serve_app.command("teacher")
def serve_teacher(config: Config = CONFIG) -> None:
    """LiteLLM as an OpenAI-compatible URL."""
    _become([sys.executable, "-m", "router.teacher_server", str(config)])


@serve_app.command("ingester")
def serve_ingester(config: Config = CONFIG) -> None:
    """The process that moves spools into the ledger."""
    with _known_errors():
        _become(list(ingester(load(config)).command))


@serve_app.command("student")
def serve_student(config: Config = CONFIG) -> None:
    """vLLM with the base model."""
    with _known_errors():
        home = Home.from_environment()
        ensure_vllm(home, say=_say)
        program = student(load(config), home)
        _become(list(program.command), environment=dict(program.environment))


@distill_app.command("run")
def distill_run(
    task: str, config: Config = CONFIG, decided: Annotated[bool, typer.Option("--decided", hidden=True)] = False
) -> None:
    """Train, certify and promote a release of TASK. Status 0: promoted; 3: refused, with the reason."""
    _run(task, config, by_hand=not decided)


@app.command()
def recertify(
    task: str,
    release: Annotated[str | None, typer.Option(help="Whose adapter; that of the newest certified one.")] = None,
    config: Config = CONFIG,
) -> None:
    """Certify an adapter anew, without training: for another engine, measure or contract. Status as `distill run`."""
    from ledger.database import connect
    from ledger.releases import newest_certified

    with _known_errors():
        settings = load(config)
        settings.task(task)
        chosen = release or newest_certified(connect(settings.ledger.url), task).name
    _run(task, config, by_hand=True, reuse=chosen)


def _run(task: str, config: Path, *, by_hand: bool, reuse: str | None = None) -> None:
    """One run in this process; ends with its status."""
    # Threads that spin while they wait make training beside other work three times slower. Read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from ledger.database import connect
    from ledger.decisions import Decision, record
    from tutelage.distilling import exclusive, run_config
    from tutelage.progress import RunProgress

    with _known_errors():
        settings = load(config)
        plan = run_config(settings, task, reuse=reuse)
        from distill.run import Released, run  # torch takes seconds to import: not before the settings are known good

        with exclusive(connect(settings.ledger.url), task) as engine:
            if by_hand:  # otherwise the worker has recorded why
                asked = "a person has asked for it" + (f", with the adapter of {reuse}" if reuse else "")
                record(engine, Decision(time.time(), task, "train", "hand", asked))
            outcome = run(engine, plan, progress=RunProgress(console))
    if isinstance(outcome, Released):
        found = outcome.certificate
        _say(
            f"promoted {outcome.release}: it accepts {found.coverage:.0%} of the window, of which {found.errors} of "
            f"{found.accepted} disagree; a release that differs on more than {found.alpha:.0%} passes this test with a "
            f"probability of {found.delta_spent:.0%} at most"
        )
        return
    _say(f"refused {outcome.release}: {outcome.refusal.reason}")
    if outcome.refusal.rows_needed:
        _say(f"about {outcome.refusal.rows_needed} independent references would do; {outcome.refusal.n} were there")
    raise typer.Exit(REFUSED)


@distill_app.command("watch")
def distill_watch(config: Config = CONFIG) -> None:
    """Watch every task: void what the alarm closes, make the next release when one is due. Until Ctrl-C."""
    from distill.worker import run
    from ledger.database import connect
    from tutelage.watching import compose

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _known_errors():
        settings = load(config)
        run(compose(settings, connect(settings.ledger.url), config.resolve()), stop=stop)


@app.command()
def report(  # noqa: PLR0917  typer reads options from the signature
    task: str,
    release: Annotated[str | None, typer.Option(help="One of the task's releases; its newest certified one.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write to; report-TASK where none is named.")] = None,
    config: Config = CONFIG,
) -> None:
    """One page on a release: its certificate in words, what it accepts at which risk and cost, its references since."""
    from ledger.database import connect
    from tutelage.report.facts import gather
    from tutelage.report.page import write

    with _known_errors():
        settings = load(config)
        facts = gather(settings, connect(settings.ledger.url), task, release=release)
        _say(f"wrote {write(facts, out or Path(f'report-{task}'))}")


@releases_app.command("list")
def releases_list(task: str, config: Config = CONFIG) -> None:
    """All releases of TASK, oldest first."""
    from ledger.database import connect
    from ledger.releases import history

    table = Table("release", "status", "threshold", "coverage", "contract", "why refused")
    with _known_errors():
        settings = load(config)
        settings.task(task)
        for release in history(connect(settings.ledger.url), task):
            held, refusal = release.certificate or {}, release.refusal or {}
            numbers = [f"{held[key]:.4f}" if key in held else "" for key in ("threshold", "coverage", "alpha")]
            table.add_row(release.name, release.status, *numbers, refusal.get("reason", ""))
    console.print(table)


@releases_app.command("rollback")
def releases_rollback(task: str, config: Config = CONFIG) -> None:
    """Put the release before the present one back in force; without one the teacher answers everything."""
    from ledger.database import connect
    from ledger.releases import rollback
    from tutelage.distilling import load_champion

    with _known_errors():
        settings = load(config)
        settings.task(task)
        engine = connect(settings.ledger.url)
        release = rollback(engine, task, binding=settings.binding(task), now=time.time())
        if release is None:
            _say(f"{task}: no release is in force, the teacher answers")
        elif failure := load_champion(settings, release):
            _say(f"{release.name} is the champion again, and until this is mended the teacher answers: {failure}")
        else:
            _say(f"in force: {release.name}")


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
) -> None:
    """The loop by itself: teacher only, distilled, certified, serving; the traffic drifts, and again. Status 0 only if
    each phase showed what it claims."""
    from tutelage.demo.plan import DemoPlan
    from tutelage.demo.run import run_demo

    with _known_errors():
        home = Home.from_environment()
        ensure_vllm(home, say=_say)
        ensure_demo_model(home, say=_say)
        sizes = (rows, serve, epochs, seed)
        plan = DemoPlan(data, text, label, *sizes, out, drift=drift, mistakes=mistakes, may_train=may_train)
        failures = run_demo(plan, home, console=console)
    for failure in failures:
        console.print(f"[red]failed:[/red] {failure}")
    raise typer.Exit(1 if failures else 0)


def _say(words: str) -> None:
    console.print(words, markup=False, soft_wrap=True)  # a path stays whole, to be copied


def _fail(words: str) -> NoReturn:
    console.print(f"tutelage: {words}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(2)


def _become(command: list[str], *, environment: dict[str, str] | None = None) -> NoReturn:
    """Replace this process: signals then reach the part itself."""
    os.execvpe(command[0], command, {**os.environ, **(environment or {})})


@contextmanager
def _known_errors() -> Iterator[None]:
    """Errors with a message for the user end the command with status 2."""
    from distill.errors import DistillError
    from ledger.database import LedgerError
    from ledger.releases import ReleaseError
    from tutelage.importing import ImportRefused

    known = (ConfigError, LedgerError, ReleaseError, ProvisionError, StackError, DistillError, ImportRefused)
    try:
        yield
    except known as error:
        _fail(str(error))
