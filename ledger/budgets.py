"""What may be spent at teachers, what is, and what is promised: one row a scope and period, for all gateways together.

What a request may cost at most is reserved before its teacher is asked, in all scopes or in none, and settled at its
real cost afterwards. So a budget is passed only where a request costs more than was reserved for it. A reservation that
nobody settles (its process was killed) ends with its lease, as spent: its teacher was most likely asked, and kills must
not make a gateway overspend.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

import sqlalchemy as sa

from ledger.database import writing
from ledger.schema import budgets, reservations

Per = Literal["month", "day", "total"]
PERS: tuple[Per, ...] = get_args(Per)
TOTAL = "total"  # the scope of everything that is spent
DAY_S = 86_400.0
ROUNDING_USD = 1e-9  # sums of floats: the last cent of a budget can be spent


@dataclass(frozen=True)
class Budget:
    """US dollars in a month or a day of the calendar in UTC, or altogether."""

    usd: float
    per: Per

    def __post_init__(self) -> None:
        if not (math.isfinite(self.usd) and self.usd > 0):
            raise ValueError(f"a budget must be finite and above 0, not {self.usd}")

    def period(self, now: float) -> str:
        """The name of the period in which `now` lies, in seconds since the epoch."""
        form = {"month": "%Y-%m", "day": "%Y-%m-%d", "total": "total"}[self.per]
        return datetime.fromtimestamp(now, UTC).strftime(form)

    def ends_at(self, now: float) -> float | None:
        """When the next period begins; None: never."""
        if self.per == "total":
            return None
        day = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        next_day = day + timedelta(days=1)
        next_month = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        return (next_day if self.per == "day" else next_month).timestamp()


@dataclass(frozen=True)
class Balance:
    """What a scope has of its budget in a period. `reserved_usd` is promised to requests under way."""

    scope: str
    budget: Budget
    spent_usd: float = 0.0
    reserved_usd: float = 0.0

    @property
    def left_usd(self) -> float:
        """What may still be promised."""
        return max(0.0, self.budget.usd - self.spent_usd - self.reserved_usd)

    def used_up(self, usd: float) -> bool:
        """Whether there is no room for this much, even if nothing that is under way costs anything."""
        return self.spent_usd + usd > self.budget.usd + ROUNDING_USD


Scopes = Sequence[tuple[str, Budget]]
Amounts = dict[tuple[str, str], tuple[float, float]]  # (scope, period) -> US dollars spent, reserved


class NoRoom(Exception):
    """A budget has no room for a request; nothing was reserved."""

    def __init__(self, balance: Balance) -> None:
        super().__init__(balance.scope)
        self.balance = balance


def reserve(engine: sa.Engine, reservation: str, scopes: Scopes, *, usd: float, now: float, lease_s: float) -> None:
    """Promise `usd` in all scopes or, raising NoRoom, in none. `reservation`: an id of its own."""
    with writing(engine) as connection:
        _end_leases(connection, now)
        for scope, budget in scopes:
            entry = {"scope": scope, "period": budget.period(now)}
            _promise(connection, entry, budget=budget, usd=usd)
            row = {**entry, "id": reservation, "usd": usd, "until": now + lease_s, "ended": False}
            connection.execute(reservations.insert().values(row))


def settle(engine: sa.Engine, reservation: str, *, usd: float | None) -> None:
    """Spend `usd`, the real cost, in place of what was promised, also where its lease has ended meanwhile; None: it is
    not known, and all that was promised is spent. A second time nothing happens."""
    with writing(engine) as connection:
        settled = reservations.delete().where(reservations.c.id == reservation).returning(reservations)
        for row in connection.execute(settled).all():
            cost = row.usd if usd is None else usd
            # At the end of its lease it was counted as spent.
            spent, reserved = (cost - row.usd, 0.0) if row.ended else (cost, -row.usd)
            _change(connection, row.scope, row.period, spent=spent, reserved=reserved)


def amounts(engine: sa.Engine, *, now: float) -> Amounts:
    """What was spent and is promised in the periods in which `now` lies."""
    periods = [Budget(1.0, per).period(now) for per in PERS]
    with engine.connect() as connection:
        rows = connection.execute(sa.select(budgets).where(budgets.c.period.in_(periods)))
        return {(row.scope, row.period): (row.spent_usd, max(0.0, row.reserved_usd)) for row in rows}


def balances(found: Amounts, scopes: Scopes, *, now: float) -> Iterator[Balance]:
    """Of each scope; one that nothing was spent in is there too."""
    for scope, budget in scopes:
        yield Balance(scope, budget, *found.get((scope, budget.period(now)), (0.0, 0.0)))


def of_task(task: str) -> str:
    """The scope of what is spent for a task."""
    return f"task:{task}"


def of_key(account: str) -> str:
    """The scope of what is spent for a key, and for what replaces it."""
    return f"key:{account}"


def _promise(connection: sa.Connection, entry: dict[str, str], *, budget: Budget, usd: float) -> None:
    """The row is compared and changed in one statement. Raises NoRoom."""
    row = sa.and_(budgets.c.scope == entry["scope"], budgets.c.period == entry["period"])
    fits = budgets.c.spent_usd + budgets.c.reserved_usd + usd <= budget.usd + ROUNDING_USD
    promised = budgets.update().where(row, fits).values(reserved_usd=budgets.c.reserved_usd + usd)
    if connection.execute(promised).rowcount:
        return
    found = connection.execute(sa.select(budgets.c.spent_usd, budgets.c.reserved_usd).where(row)).one_or_none()
    balance = Balance(entry["scope"], budget, *(found or (0.0, 0.0)))
    if found or balance.used_up(usd):
        raise NoRoom(balance)
    connection.execute(budgets.insert().values(**entry, spent_usd=0.0, reserved_usd=usd))


def _end_leases(connection: sa.Connection, now: float) -> None:
    """What was reserved by processes that are gone counts as spent; for a day it can still be settled."""
    connection.execute(reservations.delete().where(reservations.c.ended, reservations.c.until <= now - DAY_S))
    over = sa.and_(reservations.c.until <= now, sa.not_(reservations.c.ended))
    for row in connection.execute(reservations.update().where(over).values(ended=True).returning(reservations)).all():
        _change(connection, row.scope, row.period, spent=row.usd, reserved=-row.usd)


def _change(connection: sa.Connection, scope: str, period: str, *, spent: float, reserved: float) -> None:
    changed = {"spent_usd": budgets.c.spent_usd + spent, "reserved_usd": budgets.c.reserved_usd + reserved}
    row = sa.and_(budgets.c.scope == scope, budgets.c.period == period)
    connection.execute(budgets.update().where(row).values(changed))
