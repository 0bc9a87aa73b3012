"""What was saved, and what is spent at teachers and left of every budget, in words: for `tutelage status`."""

from collections.abc import Iterator, Mapping, Sequence

import sqlalchemy as sa

from ledger.budgets import TOTAL, Balance, Budget, amounts, balances, of_key, of_task
from ledger.keys import Key, all_keys
from ledger.savings import by_task, savings
from router.budgets import LABEL_SHARE
from router.settings import Settings
from tutelage.savings_words import in_words as in_a_line
from tutelage.savings_words import usd as in_usd

SAVED_DAYS = 30
PER = {"month": "this month", "day": "today", "total": "in all"}


def saved(engine: sa.Engine, *, now: float) -> str:
    """What the last thirty days came to."""
    return f"last {SAVED_DAYS} days: {in_a_line(savings(engine, since=_since(now)))}"


def machine(settings: Settings, engine: sa.Engine, *, now: float) -> str | None:
    """What the student's machine has come to in the same time; None where it is not paid for by the hour."""
    if not (per_hour := settings.student.usd_per_hour):
        return None
    paid = {task: found.costs["machine"] for task, found in by_task(engine, since=_since(now)).items()}
    idle = f", {in_usd(paid[''])} of it while no task had a student" if paid.get("") else ""
    return f"the student's machine: {in_usd(per_hour)} an hour, {in_usd(sum(paid.values()))} in these days{idle}"


def _since(now: float) -> float:
    return now - SAVED_DAYS * 86400.0


def spending(settings: Settings, engine: sa.Engine, *, now: float) -> Iterator[str]:
    """A line a budget: of everything, of each task, of each key that is valid."""
    keys = {key.account: key for key in all_keys(engine) if key.grant.budget and key.valid(now)}
    scopes = [*_settled(settings), *((of_key(account), key.grant.budget) for account, key in keys.items())]
    found = amounts(engine, now=now)
    for each in balances(found, [(scope, budget) for scope, budget in scopes if budget], now=now):
        yield in_words(each, keys)


def _settled(settings: Settings) -> Sequence[tuple[str, Budget | None]]:
    return [(TOTAL, settings.server.budget), *((of_task(name), task.budget) for name, task in settings.tasks.items())]


def in_words(found: Balance, keys: Mapping[str, Key]) -> str:
    """What is spent, reserved and left, and what follows where that is little."""
    kind, _, name = found.scope.partition(":")
    whose = {TOTAL: "everything", "task": f"task {name}", "key": name}[kind]
    if name in keys:
        whose = f"{keys[name].id} ({keys[name].grant.name})"
    held = f" and {_usd(found.reserved_usd)} reserved" if found.reserved_usd else ""
    words = (
        f"budget of {whose}: {_usd(found.spent_usd)} spent{held} of {_usd(found.budget.usd)} {PER[found.budget.per]}, "
        f"{_usd(found.left_usd)} left"
    )
    if kind == "key" or found.left_usd >= LABEL_SHARE * found.budget.usd:
        return words
    return f"WARNING: {words}: no references are drawn, so that the alarm hears nothing of what students answer"


def _usd(amount: float) -> str:
    return f"${amount:.2f}" if amount >= 1.0 or amount == 0.0 else f"${amount:.4f}"
