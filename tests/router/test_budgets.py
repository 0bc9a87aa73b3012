"""Budgets over a real ledger: who pays, what is refused in which words, and what happens while it is away."""

from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from ledger import budgets as ledger
from ledger.budgets import Budget, amounts
from ledger.database import connect
from ledger.keys import Grant
from ledger.prices import Price
from ledger.records import Usage
from router import budgets as module
from router.budgets import STALE_S, LedgerBudgets
from router.errors import BudgetReserved, BudgetUnavailable, InsufficientQuota, TeacherUnavailable
from router.ports import Bill, Caller

NOW = 1_800_000_000.0  # a Friday in January
DOLLAR = Budget(1.0, "month")
PRICE = Price(0.001, 0.01)


@dataclass
class Prices:
    known: Price | None = PRICE

    def price(self, teacher):
        return self.known

    async def price_soon(self, teacher):
        return self.known


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(engine, clock):
    made = []

    def one(*, total=None, tasks=None, prices=None):
        prices = prices or Prices()
        parts = LedgerBudgets(engine, total=total, tasks=tasks or {}, prices=prices, lease_s=60.0, clock=clock)
        made.append(parts)
        return parts

    yield one
    for parts in made:
        parts.close()


def bill(task="desk", payer=None, *, prompt=100, answer=10):
    return Bill("big", task, payer, Usage(prompt, answer))  # 0.2 dollars


def payer(usd=None):
    return Caller("key-2", "key-1", Grant("shop", budget=Budget(usd, "day") if usd else None))


def spent(engine):
    return {scope: pytest.approx(usd) for (scope, _), usd in amounts(engine, now=NOW).items()}


async def test_without_a_budget_the_ledger_is_not_asked(make, monkeypatch):
    monkeypatch.setattr(ledger, "reserve", None)
    parts = make(tasks={"till": DOLLAR})
    assert await parts.reserve(bill(payer=payer())) is None
    assert await parts.reserve(bill(task=None)) is None


async def test_what_a_request_may_cost_is_promised_everywhere_and_settled(make, engine):
    parts = make(total=DOLLAR, tasks={"desk": DOLLAR})
    reservation = await parts.reserve(bill(payer=payer(5.0)))
    assert spent(engine) == {scope: (0.0, 0.2) for scope in ("total", "task:desk", "key:key-1")}
    await parts.settle(reservation, usd=0.05)
    assert spent(engine) == {scope: (0.05, 0.0) for scope in ("total", "task:desk", "key:key-1")}
    await parts.settle(await parts.reserve(bill(task=None)), usd=None)
    assert spent(engine)["total"] == (0.25, 0.0)


async def test_a_budget_that_is_used_up_refuses_until_its_period_ends(make, clock):
    parts = make(tasks={"desk": Budget(0.3, "day")})
    await parts.settle(await parts.reserve(bill()), usd=0.15)
    with pytest.raises(InsufficientQuota) as refused:
        await parts.reserve(bill())
    error = refused.value
    assert (error.status, error.type, error.code) == (429, "insufficient_quota", "insufficient_quota")
    assert "the budget of the task desk is used up" in error.message and "0.3" not in error.message
    wait_s = int(error.headers["retry-after"])
    assert error.headers["x-should-retry"] == "false" and 0 < wait_s <= 86_400
    clock.now += wait_s
    assert await parts.reserve(bill()) is not None


async def test_one_that_is_only_promised_says_to_try_again(make):
    parts = make(total=Budget(0.3, "total"))
    held = await parts.reserve(bill())
    with pytest.raises(BudgetReserved, match="this gateway is taken by requests under way") as refused:
        await parts.reserve(bill())
    assert refused.value.headers == {"retry-after": "1"}
    await parts.settle(held, usd=0.0)
    assert await parts.reserve(bill()) is not None


async def test_a_total_that_is_used_up_names_no_time(make):
    parts = make(total=Budget(0.1, "total"))
    with pytest.raises(InsufficientQuota, match="this gateway is used up") as refused:
        await parts.reserve(bill())
    assert not isinstance(refused.value, BudgetReserved)
    assert refused.value.headers == {"x-should-retry": "false"}


async def test_the_budget_of_one_key_is_not_anothers(make):
    parts = make()
    with pytest.raises(InsufficientQuota, match="this API key"):
        await parts.reserve(bill(payer=payer(0.1)))
    other = Caller("key-5", "key-5", Grant("b", budget=Budget(1.0, "day")))
    assert await parts.reserve(bill(payer=other)) is not None


async def test_a_teacher_whose_price_is_not_known_is_not_asked(make):
    with pytest.raises(TeacherUnavailable, match="price"):
        await make(total=DOLLAR, prices=Prices(None)).reserve(bill())


async def test_while_the_ledger_is_away_what_has_a_budget_is_refused_and_the_rest_goes_on(make, monkeypatch):
    def away(*_, **__):
        raise sa.exc.OperationalError("", None, OSError("gone"))

    parts = make(tasks={"desk": DOLLAR})
    monkeypatch.setattr(ledger, "reserve", away)
    with pytest.raises(BudgetUnavailable) as refused:
        await parts.reserve(bill())
    assert (refused.value.status, refused.value.code) == (503, "budget_unavailable")
    assert await parts.reserve(bill(task="till")) is None


async def test_one_that_is_known_to_be_used_up_refuses_without_asking_the_ledger(make, engine, *, clock, monkeypatch):
    parts = make(tasks={"desk": Budget(0.3, "day")})
    await parts.settle(await parts.reserve(bill()), usd=0.15)
    parts.read(engine)
    monkeypatch.setattr(ledger, "reserve", None)
    with pytest.raises(InsufficientQuota, match="used up"):
        await parts.reserve(bill())
    monkeypatch.undo()
    assert await parts.reserve(bill(answer=4)) is not None  # 0.14 dollars still fit
    clock.now += 86_400
    assert await parts.reserve(bill()) is not None


async def test_a_settlement_outlives_a_ledger_that_is_away_for_a_moment(make, engine, monkeypatch):
    parts, tries, settle = make(total=DOLLAR), [], ledger.settle

    def away_at_first(*arguments, **named):
        tries.append(1)
        if len(tries) < 3:
            raise sa.exc.OperationalError("", None, OSError("gone"))
        return settle(*arguments, **named)

    monkeypatch.setattr(ledger, "settle", away_at_first)
    monkeypatch.setattr(module, "SETTLE_PAUSES_S", (0.0, 0.0, 0.0))
    await parts.settle(await parts.reserve(bill()), usd=0.05)
    assert spent(engine)["total"] == (0.05, 0.0)


async def test_references_are_drawn_while_their_labels_can_be_paid_for(make, engine, clock):
    parts = make(total=Budget(100.0, "total"), tasks={"desk": DOLLAR})
    assert not parts.leaves_references("desk")  # the ledger was not read yet
    for usd, draws in ((0.94, True), (0.02, False)):
        await parts.settle(await parts.reserve(bill(prompt=0, answer=1)), usd=usd)
        parts.read(engine)
        assert parts.leaves_references("desk") == draws
    assert parts.leaves_references("till")
    clock.now += 40 * 86_400  # the next month
    parts.read(engine)
    assert parts.leaves_references("desk")
    clock.now += STALE_S + 0.1
    assert not parts.leaves_references("desk")
    assert make().leaves_references("desk")


async def test_balances_are_of_everything_that_has_a_budget(make, engine):
    parts = make(total=DOLLAR, tasks={"desk": DOLLAR})
    await parts.settle(await parts.reserve(bill(payer=payer(5.0))), usd=0.1)
    parts.read(engine)
    found = {each.scope: (each.budget.usd, each.spent_usd) for each in parts.balances({"key-1": Budget(5.0, "day")})}
    assert found == {"total": (1.0, 0.1), "task:desk": (1.0, 0.1), "key:key-1": (5.0, 0.1)}
