"""`tutelage distill`, `recertify`, `report` and `releases`: making releases, looking at them, going back."""

import logging
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from calibration.words import percent
from router.settings import load
from tutelage.console import CONFIG, Config, console, known_errors, say
from tutelage.gpus import take
from tutelage.threads import share_cores

distill = typer.Typer(no_args_is_help=True, help="Make a student from recorded traffic.")
releases = typer.Typer(no_args_is_help=True, help="Look at releases, and roll back.")
if TYPE_CHECKING:
    from ledger.releases import Release

REFUSED = 3  # not 1, which a crash ends with too


@distill.command("run")
def distill_run(
    task: str, config: Config = CONFIG, decided: Annotated[bool, typer.Option("--decided", hidden=True)] = False
) -> None:
    """Train and certify a release of TASK, and try or promote it. Status 0: certified; 3: refused, with the reason."""
    _run(task, config, by_hand=not decided)


def recertify(
    task: str,
    release: Annotated[str | None, typer.Option(help="Whose adapter; that of the newest certified one.")] = None,
    config: Config = CONFIG,
) -> None:
    """Certify an adapter anew, without training: for another contract, measure, engine, prompt or teacher.

    Before a cut-over: with a configuration of what is to come, on ports of its own and the same ledger. What is in
    force goes on, and the new release waits for the settings it is certified for. Status as `distill run`.
    """
    from ledger.database import connect
    from ledger.releases import get, newest_certified
    from tutelage.beside import parts

    with known_errors():
        settings = load(config)
        settings.task(task)
        engine = connect(settings.ledger.url)
        chosen = get(engine, release) if release else newest_certified(engine, task)
        with parts(settings, config.resolve(), console=console):
            _run(task, config, by_hand=True, reuse=chosen)


def _run(task: str, config: Path, *, by_hand: bool, reuse: "Release | None" = None) -> None:
    """One run in this process; ends with its status."""
    share_cores()
    from distill.anew import FIT_ROWS
    from distill.errors import in_words
    from ledger.database import connect
    from ledger.decisions import Decision, record, tell_failed
    from ledger.releases import last_in_force
    from tutelage.distilling import exclusive, run_config, worth_in_words
    from tutelage.progress import RunProgress

    with known_errors():
        settings = load(config)
        take(1 if reuse else settings.distill.gpus)
        served = last_in_force(connect(settings.ledger.url), task) if reuse else None
        plan = run_config(settings, task, reuse=reuse, served=served)
        if plan.anew:
            most = FIT_ROWS + plan.max_references
            say(f"teacher or prompt is another one: {plan.teacher} is asked up to {most} recorded requests again")
        # torch takes seconds to import: not before the settings are known good
        from distill.plan import Released
        from distill.run import run

        with exclusive(connect(settings.ledger.url), task) as engine:
            if by_hand:  # otherwise the worker has recorded why
                now = time.time()
                why = f"with the adapter of {reuse.name}" if reuse else worth_in_words(settings, engine, task, now=now)
                record(engine, Decision(now, task, "train", "hand", f"a person has asked for it: {why}"))
                say(why)
            try:
                outcome = run(engine, plan, progress=RunProgress(console))
            except Exception as error:
                if not by_hand:  # who has asked for it reads why
                    tell_failed(engine, task, in_words(error))
                raise
    if isinstance(outcome, Released):
        found = outcome.certificate
        became = "on trial:" if outcome.canary else "promoted" if outcome.in_force else "ready for its settings:"
        say(
            f"{became} {outcome.release}: it accepts {found.coverage:.0%} of the window, of which {found.errors} of "
            f"{found.accepted} disagree; a release that differs on more than {percent(found.alpha)} passes this test "
            f"with a probability of {percent(found.delta_spent)} at most"
        )
        return
    say(f"refused {outcome.release}: {outcome.refusal.reason}")
    if outcome.refusal.rows_needed:
        say(f"about {outcome.refusal.rows_needed} references would do; {outcome.refusal.n} were there")
    raise typer.Exit(REFUSED)


@distill.command("watch")
def distill_watch(config: Config = CONFIG) -> None:
    """Watch every task: void what the alarm closes, make the next release when one is due. Until Ctrl-C."""
    from distill.worker import run
    from ledger import logs
    from ledger.database import connect
    from tutelage.watching import compose

    logs.begin()
    logging.getLogger("httpx").setLevel(logging.WARNING)  # vLLM is asked for its version every few seconds
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with known_errors():
        settings = load(config)
        run(compose(settings, connect(settings.ledger.url), config.resolve()), stop=stop)


def calibrate(  # noqa: PLR0917  typer reads options from the signature
    source: Annotated[str, typer.Argument(help="A task, or a file of a student's drafts beside a teacher's answers.")],
    alpha: Annotated[list[float] | None, typer.Option(help="Repeatable; the largest share that may differ.")] = None,
    delta: Annotated[float, typer.Option(help="Chance that a worse student passes.")] = 0.05,
    measure: Annotated[str | None, typer.Option(help="Of a file: exact (where none is named), number or json.")] = None,
    config: Config = CONFIG,
) -> None:
    """What drafts that exist already would be certified for. Nothing is trained, served or promoted by it."""
    from calibration.certificate import Certificate
    from tutelage.calibrating import read

    with known_errors():
        found = read(source, config, alphas=alpha, delta=delta, measure=measure)
    say(
        f"{found.rows} drafts, {found.agreement:.1%} of them agree; {len(found.tested)} are tested, "
        f"{found.near_duplicates} of them near-duplicates that came in bursts, and the others fit"
    )
    table = Table("at most this share differs", "student answers", "disagree", "or why not", "rows that would do")
    for contract, outcome in found.outcomes:
        if isinstance(outcome, Certificate):
            table.add_row(percent(contract.alpha), f"{outcome.coverage:.1%}", f"{outcome.errors} of {outcome.accepted}")
        else:
            table.add_row(percent(contract.alpha), "", "", outcome.reason, str(outcome.rows_needed or ""))
    console.print(table)
    say("each line holds for a contract that was chosen before it was read")


@releases.command("list")
def releases_list(task: str, config: Config = CONFIG) -> None:
    """All releases of TASK, oldest first."""
    from ledger.database import connect
    from ledger.releases import history
    from tutelage.standing import trial_in_words

    table = Table("release", "status", "threshold", "coverage", "contract", "why refused")
    with known_errors():
        settings = load(config)
        settings.task(task)
        engine = connect(settings.ledger.url)
        trial = trial_in_words(settings, engine, task)
        for release in history(engine, task):
            held, refusal = release.certificate or {}, release.refusal or {}
            numbers = [f"{held[key]:.4f}" if key in held else "" for key in ("threshold", "coverage", "alpha")]
            table.add_row(release.name, release.status, *numbers, refusal.get("reason", ""))
    console.print(table)
    if trial:
        say(trial)


@releases.command("rollback")
def releases_rollback(task: str, config: Config = CONFIG) -> None:
    """End the trial of a canary, or put the release before the present one back in force; without one the teacher
    answers everything."""
    from ledger.database import connect
    from tutelage.switching import roll_back

    with known_errors():
        settings = load(config)
        words = roll_back(settings, connect(settings.ledger.url), task)
    say(words)


@releases.command("promote")
def releases_promote(name: str, config: Config = CONFIG) -> None:
    """Put the release NAME in force: one that was before, is on trial, or is certified and waits. The present one
    retires."""
    from ledger.database import connect
    from tutelage.switching import promote

    with known_errors():
        settings = load(config)
        words = promote(settings, connect(settings.ledger.url), name)
    say(words)


@releases.command("show")
def releases_show(
    name: str,
    rows: Annotated[Path | None, typer.Option(help="A new file: each row that it was made of, and what for.")] = None,
    config: Config = CONFIG,
) -> None:
    """What the release NAME was made of and with, and what was found of it."""
    from ledger.database import connect
    from ledger.releases import get
    from tutelage.explaining import facts, write_rows
    from tutelage.standing import trial_in_words

    table = Table(show_header=False)
    with known_errors():
        settings = load(config)
        engine = connect(settings.ledger.url)
        release = get(engine, name)
        for fact in facts(engine, release).items():
            table.add_row(*map(escape, fact))
        if release.status == "canary":
            table.add_row("trial", escape(trial_in_words(settings, engine, release.task) or ""))
        console.print(table)
        if rows is not None:
            say(f"wrote {write_rows(engine, name, rows)} rows to {rows}")


@releases.command("diff")
def releases_diff(before: str, after: str, config: Config = CONFIG) -> None:
    """By what the release AFTER differs from BEFORE, rows that taught only one of them among it."""
    from ledger.database import connect
    from ledger.releases import get
    from tutelage.explaining import differences

    table = Table("", before, after)
    with known_errors():
        engine = connect(load(config).ledger.url)
        for found in differences(engine, get(engine, before), get(engine, after)):
            table.add_row(*map(escape, (found.name, found.before, found.after)))
    console.print(table)
