"""A task's standing in words: for `tutelage status` and the console line of `up`."""

from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa

from ledger.decisions import latest
from ledger.releases import champions
from ledger.standing import Standing, standing
from router.settings import DistillSettings, Settings


def describe(settings: Settings, engine: sa.Engine, *, now: float) -> Iterator[str]:
    """A few lines a task: what is in force, how far the next release is, the last decision."""
    in_force = champions(engine)
    for task in settings.tasks:
        found = standing(engine, task, window_share=settings.distill.window_share)
        yield f"{task}: {_in_force(found)}"
        if task not in in_force:
            yield f"  {progress(found, settings.distill, now=now)}"
        for decision in latest(engine, task, limit=1):
            yield f"  {_date(decision.at)} {decision.action} ({decision.trigger}): {decision.reason}"


def progress(found: Standing, settings: DistillSettings, *, now: float) -> str:
    """Rows gathered, rows needed, and when they will be there at the pace so far."""
    references = max(settings.min_references, found.references_needed or 0)
    have = f"{found.rows} of {settings.min_rows} rows, {found.references} of {references} references"
    shares = (found.rows / settings.min_rows, found.references / references)
    if min(shares) >= 1:
        return f"{have}: enough for a run"
    if found.first_at is None or min(shares) == 0:
        return have
    waited = now - found.first_at
    return f"{have}; at this rate on {_date(found.first_at + waited / min(shares))}"


def _in_force(found: Standing) -> str:
    if found.champion is None:
        return "no release in force, the teacher answers" + (" (the alarm closed the last one)" if found.voided else "")
    rate = "" if found.escalation_rate is None else f", {found.escalation_rate:.0%} of recent requests escalate"
    return f"{found.champion} in force since {_date(found.champion_since or 0.0)}{rate}"


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%a %d %b %H:%M UTC")
