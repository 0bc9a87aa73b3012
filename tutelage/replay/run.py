"""The day-0 report from end to end: read, look, price; then, where it is allowed, make a student and judge it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from calibration.agreement import Measure
from calibration.certificate import Contract
from calibration.fit import CannotFit
from calibration.study import study
from ledger.prices import Price
from tutelage.progress import RunProgress
from tutelage.provision import Home, ensure_demo_model, ensure_vllm
from tutelage.replay import prices, traffic
from tutelage.replay.facts import Judged, Prices, Replay, Seen
from tutelage.replay.page import write
from tutelage.replay.traffic import Log, TaskLog
from tutelage.replay.view import show_log, show_student
from tutelage.replay.workshop import TEACHER, Workshop

SHOWN = 20  # tasks, the largest ones

NOT_ALLOWED = (
    "nothing was trained: a model may be trained on a teacher's outputs only where its provider's terms allow it; read "
    'them, and say with --terms "where they allow it" that they do'
)
NOT_YET = "the student was not finished: the same command goes on from what is"


@dataclass(frozen=True)
class Ask:
    """The command line of `tutelage replay`. `terms` empty: nothing may be trained. `base_model` empty: the demo's."""

    file: Path
    out: Path
    task: str | None
    terms: str
    contracts: Sequence[Contract]
    measure: Measure
    base_model: str
    rows: int
    cheaper: Sequence[str]
    teacher_price: Price | None
    student_price: Price
    machine_usd_per_hour: float
    skip_broken: bool


def replay(ask: Ask, *, home: Home, console: Console) -> tuple[Replay, Path]:
    """The report, and its page, which is written before a student is made and again afterwards.

    Raises LogRefused and ConfigError before anything is written, and what making a student raises.
    """
    with RunProgress(console) as progress:
        progress.step(f"reading {ask.file}")
        log = traffic.read(
            ask.file, rows=ask.rows, skip_broken=ask.skip_broken, now=time.time(), progress=progress.advance
        )
        progress.step(f"{log.counts.lines:,} lines are read; looking at their tasks")
        facts = look(log, ask)
        page = write(facts, ask.out)
        show_log(facts, console=console)
        if ask.terms:
            facts = _judged(facts, ask, home=home, progress=progress)
            page = write(facts, ask.out)
    show_student(facts, console=console)
    return facts, page


def look(log: Log, ask: Ask) -> Replay:
    """All that is known without a student. Raises ConfigError where a task or a price is unknown."""
    place = log.choose(ask.task)
    teacher = log.tasks[place]
    found = Prices(
        teacher=prices.of_teacher(teacher.model, given=ask.teacher_price),
        student=ask.student_price,
        cheaper=prices.of_cheaper(ask.cheaper),
        machine_usd_per_hour=ask.machine_usd_per_hour,
    )
    known: dict[str | None, Price | None] = {teacher.model: found.teacher}
    shown = sorted({*range(min(SHOWN, len(log.tasks))), place})
    seen = {each: _seen(each, log.tasks[each], known) for each in shown}
    why_not = NOT_YET if ask.terms else NOT_ALLOWED
    return Replay(log, tuple(seen.values()), seen[place], found, ask.measure, judged=None, why_not=why_not)


def _seen(place: int, task: TaskLog, known: dict[str | None, Price | None]) -> Seen:
    if task.model not in known:
        known[task.model] = prices.listed(task.model) if task.model else None
    return Seen(place + 1, task, task.narrowness(), known[task.model])


def _judged(facts: Replay, ask: Ask, *, home: Home, progress: RunProgress) -> Replay:
    """With a student, or with the reason why there is none."""
    from tutelage.replay.student import NoStudent, make  # with torch, which a report without a student does not need

    ensure_vllm(home, say=progress.step)
    workshop = Workshop(
        folder=ask.out.resolve(),
        teacher=facts.chosen.task.model or TEACHER,
        terms=ask.terms,
        teacher_price=facts.prices.teacher,
        student_price=facts.prices.student,
        base_model=_base_model(ask.base_model) or str(ensure_demo_model(home, say=progress.step)),
        measure=ask.measure,
    )
    try:
        trial = make(facts.log, facts.chosen.task, workshop, home=home, progress=progress)
    except NoStudent as error:
        return replace(facts, why_not=f"no student was made: {error}")
    rows = trial.rows
    try:
        found = study([row.drafted() for row in rows], ask.contracts, clusters=[row.cluster for row in rows])
    except CannotFit as error:
        return replace(facts, judged=Judged(trial, None), why_not=f"the student cannot be judged: {error}")
    return replace(facts, judged=Judged(trial, found), why_not="")


def _base_model(name: str) -> str:
    """A folder's whole path, since the engine runs elsewhere; any other name is a hub's."""
    return str(Path(name).resolve()) if name and Path(name).is_dir() else name
