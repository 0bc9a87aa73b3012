"""Promises and what becomes of them; that no interleaving overspends is tests/properties/test_budget_laws.py."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from ledger.budgets import TOTAL, Balance, Budget, NoRoom, amounts, balances, of_key, of_task, reserve, settle
from ledger.database import connect
from ledger.schema import reservations

DOLLAR = Budget(1.0, "total")
LEASE = 60.0


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def ask(engine, name, usd, *, scopes=((TOTAL, DOLLAR),), now=0.0):
    reserve(engine, name, scopes, usd=usd, now=now, lease_s=LEASE)


def at(*date):
    return datetime(*date, tzinfo=UTC).timestamp()


def test_what_is_promised_is_spent_at_its_real_cost_or_free_again(engine):
    ask(engine, "a", 0.6)
    assert amounts(engine, now=0.0) == {(TOTAL, "total"): (0.0, 0.6)}
    with pytest.raises(NoRoom) as refused:
        ask(engine, "b", 0.6)
    assert refused.value.balance == Balance(TOTAL, DOLLAR, 0.0, 0.6)
    assert not refused.value.balance.used_up(0.6) and refused.value.balance.left_usd == 0.4
    settle(engine, "a", usd=0.1)
    ask(engine, "b", 0.9)
    settle(engine, "b", usd=0.0)
    settle(engine, "b", usd=0.9)  # twice is once
    assert amounts(engine, now=0.0) == {(TOTAL, "total"): (0.1, 0.0)}


def test_a_request_that_costs_more_than_the_whole_budget_never_fits(engine):
    for _ in range(2):
        with pytest.raises(NoRoom) as refused:
            ask(engine, "a", 1.1)
        assert refused.value.balance.used_up(1.1)
    assert amounts(engine, now=0.0) == {}


def test_a_hundred_cents_are_a_dollar(engine):
    for number in range(100):
        ask(engine, str(number), 0.01)
        settle(engine, str(number), usd=0.01)
    with pytest.raises(NoRoom):
        ask(engine, "one more", 0.01)


def test_all_scopes_or_none(engine):
    small = ((TOTAL, DOLLAR), (of_task("desk"), DOLLAR), (of_key("key-1"), Budget(0.1, "day")))
    with pytest.raises(NoRoom) as refused:
        ask(engine, "a", 0.5, scopes=small)
    assert refused.value.balance.scope == "key:key-1" and amounts(engine, now=0.0) == {}
    ask(engine, "b", 0.05, scopes=small)
    settle(engine, "b", usd=0.04)
    assert {scope: usd for (scope, _), usd in amounts(engine, now=0.0).items()} == {
        scope: (0.04, 0.0) for scope, _ in small
    }


def test_a_new_period_begins_with_nothing_spent(engine):
    month, day = Budget(1.0, "month"), Budget(1.0, "day")
    evening, morning = at(2026, 1, 31, 23, 59), at(2026, 2, 1)
    for now in (evening, morning):
        ask(engine, f"m{now}", 1.0, scopes=[("m", month), ("d", day)], now=now)
    assert sorted(amounts(engine, now=morning)) == [("d", "2026-02-01"), ("m", "2026-02")]
    settle(engine, f"m{evening}", usd=0.2)  # in the period that it was promised in
    assert amounts(engine, now=evening)["m", "2026-01"] == pytest.approx((0.2, 0.0))


@pytest.mark.parametrize(
    ("per", "now", "ends"),
    [
        ("day", at(2026, 2, 28, 5), at(2026, 3, 1)),
        ("month", at(2026, 12, 31, 23), at(2027, 1, 1)),
        ("month", at(2026, 1, 1), at(2026, 2, 1)),
        ("total", at(2026, 1, 1), None),
    ],
)
def test_when_a_period_ends(per, now, ends):
    assert Budget(1.0, per).ends_at(now) == ends


@pytest.mark.parametrize("usd", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_is_an_amount(usd):
    with pytest.raises(ValueError, match="finite and above 0"):
        Budget(usd, "month")


def test_what_a_killed_process_has_reserved_counts_as_spent_when_its_lease_ends(engine):
    ask(engine, "killed", 0.7)
    ask(engine, "slow", 0.2)
    with pytest.raises(NoRoom):
        ask(engine, "next", 0.2, now=LEASE - 1)
    ask(engine, "next", 0.1, now=LEASE)
    assert amounts(engine, now=LEASE)[TOTAL, "total"] == pytest.approx((0.9, 0.1))
    settle(engine, "slow", usd=0.05)  # it has only taken longer
    assert amounts(engine, now=LEASE)[TOTAL, "total"] == pytest.approx((0.75, 0.1))


def test_what_was_never_settled_is_forgotten_after_a_day_and_stays_spent(engine):
    ask(engine, "killed", 0.7)
    for now in (LEASE, LEASE + 86_400.0):
        ask(engine, f"at {now}", 0.01, now=now)
    with engine.connect() as connection:
        assert "killed" not in connection.execute(sa.select(reservations.c.id)).scalars().all()
    settle(engine, "killed", usd=0.0)
    assert amounts(engine, now=0.0)[TOTAL, "total"][0] == pytest.approx(0.71)


def test_a_scope_that_nothing_was_spent_in_has_all_of_its_budget():
    (balance,) = balances({}, [(TOTAL, DOLLAR)], now=0.0)
    assert (balance.spent_usd, balance.left_usd) == (0.0, 1.0)


def test_of_many_at_once_as_many_are_admitted_as_there_is_room_for(engine):
    def one(number: int) -> bool:
        try:
            ask(engine, str(number), 0.1)
        except NoRoom:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        admitted = list(pool.map(one, range(40)))
    assert sum(admitted) == 10
