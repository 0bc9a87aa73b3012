"""A task's standing in words: for `tutelage status` and the console line of `up`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from calibration.canary import FIRST_LOOK
from calibration.certificate import Certificate
from calibration.monitor import delay, exposure
from calibration.words import percent
from distill.canary import in_words as in_trial
from distill.worth import appraise
from ledger import live, probes, trials
from ledger.decisions import latest, notices
from ledger.leases import run_lease, who
from ledger.progress import Progress, measure
from ledger.releases import Release, canaries, champions, history
from ledger.standing import Standing, load, standing
from router.settings import Settings, Task
from tutelage.distilling import canary_rules, terms

HOUR_S = 3600.0


@dataclass(frozen=True)
class Pace:
    """A task's client traffic a minute: requests, those its teacher answered, tokens of all."""

    requests: float
    answered: float
    tokens: float


def describe(settings: Settings, engine: sa.Engine, *, now: float) -> Iterator[str]:
    """A few lines a task: what is in force, how far the next release is, the last attempt and the last decision."""
    in_force, shown = champions(engine), live.published(engine)
    share = settings.distill.window_share
    standings = {
        name: standing(engine, name, teacher=task.teacher, window_share=share) for name, task in settings.tasks.items()
    }
    paces = {task: _pace(engine, task, now=now) for task in standings}
    watched = dict[str, float | None]()
    for task, found in standings.items():
        held = _held(in_force[task], settings, now=now) if task in in_force else None
        yield f"{task}: " + (f"{found.champion} is not in force: {held}" if isinstance(held, str) else _in_force(found))
        if words := trial_in_words(settings, engine, task):
            yield f"  {words}"
        if words := headroom(settings, paces, task=task):
            yield f"  {words}"
        if isinstance(held, Certificate):
            if task in shown:
                yield f"  {agreed(shown[task])}"
            watched[task] = shown[task].pace(now=now) if task in shown else None
            yield f"  {false_alarms(settings.tasks[task], pace=watched[task])}"
            yield f"  {exposed(settings.tasks[task], alpha=held.tested_at)}"
        else:
            yield f"  {in_words(measured(settings, found, now=now))}"
        plan, earns = settings.tasks[task], terms(settings, settings.tasks[task])
        if worth := appraise(engine, task, teacher=plan.teacher, terms=earns, rows=found.rows, now=now):
            yield f"  {worth.words}"
        yield from (f"  {words}" for words in _past(settings, engine, task, now=now))
    if len(watched) > 1:
        yield false_alarms_of_all(settings, watched)


def measured(settings: Settings, found: Standing, *, now: float) -> Progress:
    """How far a task is from its next release."""
    chosen = settings.distill
    needs = {name: getattr(chosen, name) for name in ("min_rows", "min_references", "max_references")}
    return measure(found, **needs, now=now)


def _past(settings: Settings, engine: sa.Engine, task: str, *, now: float) -> Iterator[str]:
    """What was found of the teacher, the last attempt, the newest notice and the last decision."""
    last = next(reversed(history(engine, task)), None)
    for words in (_repeats(settings, engine, task), _attempt(engine, last, now=now) if last else None):
        if words:
            yield words
    champion = champions(engine).get(task)
    for notice in notices(engine, champion.name)[:1] if champion else []:
        yield f"{date(notice.at)} notice: {notice.reason}; the guarantee is the alarm's"
    for decision in latest(engine, task, limit=1):
        yield f"{date(decision.at)} {decision.action} ({decision.trigger}): {decision.reason}"


def trial_in_words(settings: Settings, engine: sa.Engine, task: str) -> str | None:
    """How far the trial of a task's canary is, and when it ends at the latest; None where there is none."""
    canary = canaries(engine).get(task)
    if canary is None:
        return None
    rules, since = canary_rules(settings), canary.changed_at
    last = f"decided by {date(since + rules.max_s)} at the latest if {FIRST_LOOK} have come, else some time after that"
    return f"{in_trial(canary, trials.count(engine, canary.name, since=since), rules=rules)}; {last}"


def _held(champion: Release, settings: Settings, *, now: float) -> Certificate | str:
    """The certificate that a champion serves under, or why the gateway does not use it."""
    try:
        certificate = champion.valid(settings.binding(champion.task))
    except ValueError as error:
        return str(error)
    return certificate if certificate.holds(now) else "its certificate has expired, or this clock is behind it"


def _repeats(settings: Settings, engine: sa.Engine, task: str) -> str | None:
    """How well the teacher agrees with itself, and whether the contract asks for more of the student."""
    alpha, model = settings.tasks[task].alpha, settings.binding(task)["teacher"]
    rounds = probes.history(engine, task, teacher=model)
    if not rounds:
        return None
    found = rounds[0].repeats  # asked as clients ask: at temperature 0 a teacher agrees with itself more often
    words = f"asked again, the teacher repeats {found.agreed} of {found.asked} answers"
    if alpha >= found.least_alpha:
        return words
    return (
        f"WARNING: {words}: no student can differ on less than {found.least_alpha:.1%}, and alpha is {percent(alpha)}"
    )


def _attempt(engine: sa.Engine, last: Release, *, now: float) -> str | None:
    """The run that is under way, or why the last one ended without a release."""
    if last.status == "candidate" and who(engine, run_lease(last.task), now=now):
        return f"{last.name} is being made since {date(last.created_at)}"
    if last.status == "ready":
        until = date((last.certificate or {}).get("expires_at", 0.0))
        return f"{last.name} is certified for other settings, and takes over if they come before {until}"
    if last.status == "refused":
        return f"{last.name} was refused on {date(last.changed_at)}: {(last.refusal or {}).get('reason')}"
    return None


def in_words(found: Progress) -> str:
    """Rows gathered, rows needed, and when they will be there at the pace so far."""
    have = f"{found.rows} of {found.rows_needed} rows, {found.references} of {found.references_needed} references"
    if found.complete:
        return f"{have}: enough for a run"
    return have if found.expected_at is None else f"{have}; at this rate on {date(found.expected_at)}"


def headroom(settings: Settings, paces: Mapping[str, Pace], *, task: str) -> str | None:
    """What a teacher of limited capacity would get if the student closed, of every task of it; None: no limit is set.

    A certificate is a task's own, but vLLM is everybody's.
    """
    name = settings.tasks[task].teacher
    teacher, pace = settings.teachers[name], paces[task]
    of_teacher = [paces[other] for other, plan in settings.tasks.items() if plan.teacher == name]
    closed = (
        ("capacity_rpm", teacher.capacity_rpm, sum(each.requests for each in of_teacher)),
        ("capacity_tpm", teacher.capacity_tpm, sum(each.tokens for each in of_teacher)),
    )
    shares = {f"{setting} {limit}": asked / limit for setting, limit, asked in closed if limit is not None}
    if not shares:
        return None
    warning = "WARNING: " if max(shares.values()) > 1.0 else ""
    others = "with its other tasks " if len(of_teacher) > 1 else ""
    return (
        f"{warning}{name} answers {pace.answered:.1f} of {pace.requests:.1f} requests a minute (last hour); if the "
        f"student closed, all {pace.requests:.1f}: {others}"
        + " and ".join(f"{share:.0%} of {limit}" for limit, share in shares.items())
    )


def agreed(found: live.Live) -> str:
    """What the references say of everything the release in force has answered."""
    return (
        f"agreement {found.agreement:.1%} ({found.low:.1%} to {found.high:.1%} with 95 % confidence at all times) of "
        f"{found.answers} answers since {date(found.since)}: {found.errors} of {found.references} references disagree; "
        f"the alarm is at {found.alarm:.0%}"
    )


def exposed(task: Task, *, alpha: float) -> str:
    """What would pass before the alarm, if twice as many answers came to differ as the contract allows."""
    risk = min(0.99, 2 * alpha)
    facts = {"alpha": alpha, "bound": task.alarm_references, "risk": risk}
    references, wrong = delay(**facts), exposure(**facts, rho=task.rho)
    return (
        f"alarm: if {percent(risk)} of its answers differed at once, not {percent(alpha)}, it would sound after some "
        f"{references:.0f} references, {references / task.rho:.0f} answers, {wrong:.0f} of them wrong beyond what the "
        "contract allows"
    )


def false_alarms(task: Task, *, pace: float | None) -> str:
    """B in references and, at a pace of references a day, in days; of a release that keeps its contract."""
    words = bound_in_words(task.alarm_references, pace=pace)
    return f"{words}: a false alarm within m references has a probability of at most m / B"


def bound_in_words(bound: float, *, pace: float | None) -> str:
    """So many references, and days at a pace of references a day."""
    days = (
        "how many days that is cannot be told yet"
        if pace is None
        else f"some {_days(bound / pace)} days at the pace so far"
    )
    return f"B = {bound:,.0f} references, {days}"


def false_alarms_of_all(settings: Settings, paces: Mapping[str, float | None]) -> str:
    """B in days of all tasks together, whose rates add; those of no known pace are named."""
    known = {task: pace for task, pace in paces.items() if pace is not None}
    days = live.alarm_days(known, {task: settings.tasks[task].alarm_references for task in known})
    unknown = ", ".join(task for task, pace in paces.items() if pace is None)
    if days is None:
        return f"all tasks: how many days there are between false alarms is not known yet ({unknown})"
    return f"all tasks: at most one false alarm in some {_days(days)} days" + (
        f", without {unknown}, whose pace is not known yet" if unknown else ""
    )


def _days(days: float) -> str:
    return f"{days:,.0f}" if days >= 10 else f"{days:.2g}"


def _pace(engine: sa.Engine, task: str, *, now: float) -> Pace:
    """Over the last hour, or since its first request where that is shorter ago."""
    found = load(engine, task, since=now - HOUR_S)
    minutes = max(60.0, now - (found.first_at or now)) / 60.0
    return Pace(found.requests / minutes, found.answered / minutes, found.tokens / minutes)


def _in_force(found: Standing) -> str:
    gone = found.forgotten
    due = f"; retraining is due: {gone} had learned from what is forgotten" if gone else ""
    if found.champion is None:
        return "no release in force, the teacher answers" + (" (the last one was voided)" if found.voided else due)
    rate = "" if found.escalation_rate is None else f", {found.escalation_rate:.0%} of recent requests escalate"
    return f"{found.champion} in force since {date(found.champion_since or 0.0)}{rate}{due}"


def date(at: float) -> str:
    """A time in words, to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%a %d %b %H:%M UTC")
