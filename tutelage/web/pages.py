"""Each page's facts. A page reads the ledger, and changes nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from calibration.words import percent
from ledger import live, savings
from ledger.decisions import latest
from ledger.progress import Progress, measure
from ledger.releases import Release, ReleaseError, canaries, champions, get, history
from ledger.standing import standing
from router.abilities import joined_text
from router.settings import Settings
from tutelage.explaining import facts as release_facts
from tutelage.found import found as found_tasks
from tutelage.report.saved import gather
from tutelage.savings_words import in_words, usd
from tutelage.standing import agreed
from tutelage.standing import in_words as progress_in_words
from tutelage.unmatched import find
from tutelage.web import charts
from tutelage.web.dollars import of_exchange
from tutelage.web.found import PAGE, ROUTES, Wanted, one, recent, rounds

DAY_S = 86400.0
DAYS = 30
FOUND_DAYS = 7
NO_TASK = "(no task)"


class Unknown(Exception):
    """There is nothing of that name; the message says so."""


@dataclass(frozen=True)
class Asked:
    """What a page is asked about: `words` are those of its address."""

    settings: Settings
    engine: sa.Engine
    words: Mapping[str, str]
    now: float

    @property
    def task(self) -> str:
        """The task that the address names. Raises Unknown."""
        if (name := self.words.get("task", "")) not in self.settings.tasks:
            raise Unknown(f"No task named {name!r} is configured.")
        return name


def overview(asked: Asked) -> dict[str, Any]:
    """Every task: what it has saved, how far its student is, what is in force."""
    since = asked.now - DAYS * DAY_S
    saved = savings.by_task(asked.engine, since=since)
    in_force, shown = champions(asked.engine), live.published(asked.engine)
    tasks = [
        {
            "name": name,
            "saved": saved.get(name, savings.Savings()),
            "champion": in_force.get(name),
            "live": shown.get(name) if name in in_force else None,
            "alpha": plan.alpha,
            "progress": _progress(asked, name),
            "decision": next(iter(latest(asked.engine, name, limit=1)), None),
        }
        for name, plan in asked.settings.tasks.items()
    ]
    return {"tasks": tasks, "total": savings.together(saved.values()), "days": DAYS, "rest": saved.get("")}


def task(asked: Asked) -> dict[str, Any]:
    """One task: money, quality, rounds, releases, decisions."""
    name = asked.task
    champion, shown = champions(asked.engine).get(name), live.published(asked.engine).get(name)
    found = gather(asked.settings, asked.engine, task=name, since=asked.now - DAYS * DAY_S, until=asked.now)
    return {
        "name": name,
        "plan": asked.settings.tasks[name],
        "champion": champion,
        "canary": canaries(asked.engine).get(name),
        "agreed": agreed(shown) if champion and shown else None,
        "saved": found.total,
        "by_day": found.days,
        "days": DAYS,
        "rounds": rounds(asked.engine, name),
        "agreements": _agreements(asked, name),
        "releases": list(reversed(history(asked.engine, name))),
        "progress": _progress(asked, name),
        "decisions": latest(asked.engine, name, limit=8),
    }


def exchanges(asked: Asked) -> dict[str, Any]:
    """The newest exchanges, searched. Raises Unknown for a place that is no number."""
    words = {name: asked.words.get(name, "").strip() for name in ("task", "route", "reason", "text")}
    before = asked.words.get("before", "")
    if before and not before.isdigit():
        raise Unknown(f"{before!r} is no place in the list.")
    rows = recent(asked.engine, Wanted(**words, before=int(before) if before else None))
    more = rows[PAGE - 1]["seq"] if len(rows) > PAGE else None
    return {
        "rows": [{**row, "question": _question(row["messages"])} for row in rows[:PAGE]],
        "wanted": words,
        "more": more,
        "tasks": list(asked.settings.tasks),
        "routes": ROUTES,
    }


def exchange(asked: Asked) -> dict[str, Any]:
    """One exchange, and why it was answered as it was. Raises Unknown."""
    row = one(asked.engine, asked.words.get("id", ""))
    if row is None:
        raise Unknown("No exchange of that id is in the ledger. One that was just answered comes within a second.")
    messages = [{"role": said.get("role", ""), "text": _text(said)} for said in row["messages"]]
    by_the_hour = bool(asked.settings.student.usd_per_hour)
    return {
        "row": row,
        "messages": messages,
        "why": why(row),
        "dollars": list(of_exchange(asked.engine, row, by_the_hour=by_the_hour)),
        "evidence": sorted((row["evidence"] or {}).items()),
    }


def release(asked: Asked) -> dict[str, Any]:
    """A release, as `tutelage releases show` tells it. Raises Unknown."""
    try:
        found = get(asked.engine, asked.words.get("name", ""))
    except ReleaseError as error:
        raise Unknown(str(error)) from error
    return {"release": found, "facts": release_facts(asked.engine, found), "promotable": promotable(found)}


def found(asked: Asked) -> dict[str, Any]:
    """What is asked without a task: tasks that nobody has named, and edited prompts of those that there are."""
    unmatched = find(asked.settings, asked.engine, since=asked.now - FOUND_DAYS * DAY_S)
    return {
        "tasks": found_tasks(asked.engine, asked.settings, now=asked.now),
        "words": unmatched.words(days=FOUND_DAYS),
    }


def chart(asked: Asked) -> str:
    """One of a task's charts as SVG. Raises Unknown."""
    name, dark = asked.task, asked.words.get("shade") == "dark"
    match asked.words.get("chart"):
        case "savings":
            days = gather(asked.settings, asked.engine, task=name, since=asked.now - DAYS * DAY_S, until=asked.now).days
            return charts.savings([(day, savings.together(found.values())) for day, found in days], dark=dark)
        case "escalation":
            return charts.escalation(rounds(asked.engine, name), dark=dark)
        case "agreement":
            return charts.agreement(_agreements(asked, name), dark=dark)
    raise Unknown("There is no such chart.")


def promotable(found: Release) -> bool:
    """Whether `promote` may be asked for; whether its certificate holds is asked then."""
    return found.status in ("retired", "rolled_back", "ready", "canary") and not found.gone


def why(row: Mapping[str, Any]) -> str:
    """Why it was answered as it was, in a sentence."""
    score, threshold, reason = row["score"], row["threshold"], row["reason"]
    if score is not None and threshold is not None:
        seen = f"the draft's score was {score:.4f}, and {row['release']} answers from {threshold:.4f} on"
        return f"The student answered: {seen}." if reason == "accepted" else f"The teacher was asked: {seen}."
    return REASONS.get(reason, f"Reason: {reason}.")


REASONS = {
    "no_task": "The request belongs to no task, so no student could be asked.",
    "no_release": "No release was in force, so the teacher answers everything and every answer may teach.",
    "certificate_expired": "The release's certificate had expired.",
    "student_unavailable": "The student did not answer in time, or not at all.",
    "truncated": "The draft was cut off before its end.",
    "no_evidence": "The draft came without the log-probabilities that a score is made of.",
    "new_alias": "The prompt belongs to the task since later than what the release was certified on.",
    "decoding_mode": "The answer was asked for in a form that the release was not certified on.",
    "unfamiliar": "It is unlike everything that taught the student, so that it was not asked.",
    "client_left": "The client left before it was decided.",
    "own": "Tutelage has asked the teacher on its own account.",
    "import": "It was imported from a log.",
}


def _agreements(asked: Asked, name: str) -> Sequence[tuple[str, live.Live, float]]:
    """Each release that references have said something of, with its alpha."""
    told = live.of_releases(asked.engine, name)
    certified = {each.name: each.certificate or {} for each in history(asked.engine, name)}
    return [(each, told[each], float(certified[each].get("alpha", 0.0))) for each in sorted(told) if each in certified]


def _progress(asked: Asked, name: str) -> Progress:
    chosen, plan = asked.settings.distill, asked.settings.tasks[name]
    return measure(
        standing(asked.engine, name, teacher=plan.teacher, window_share=chosen.window_share),
        min_rows=chosen.min_rows,
        min_references=chosen.min_references,
        max_references=chosen.max_references,
        now=asked.now,
    )


def _question(messages: Sequence[Mapping[str, Any]]) -> str:
    """What was asked last, as far as a line holds it."""
    spoken = [said for said in messages if said.get("role") == "user"]
    return _text(spoken[-1]) if spoken else ""


def _text(said: Mapping[str, Any]) -> str:
    text = joined_text(said.get("content"))
    return text if text is not None else json.dumps(said.get("content"), ensure_ascii=False)


def _date(at: float | None) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") if at is not None else ""


WORDS = {
    "usd": usd,
    "date": _date,
    "percent": percent,
    "saved_in_words": in_words,
    "progress_in_words": progress_in_words,
    "no_task": NO_TASK,
    "first_upper": lambda words: words[:1].upper() + words[1:],
}
