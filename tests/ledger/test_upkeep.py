"""A machine costs what it costs, whatever it answers."""

import pytest

from ledger import totals, upkeep
from ledger.database import connect
from ledger.releases import add_candidate, promote, set_adapter, try_out, void
from ledger.savings import savings
from ledger.totals import HOUR_S
from tests.ledger.make import certified

MONTH = 720.0  # a dollar an hour


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path / 'ledger.db'}")


def in_force(engine, *, step=promote):
    name = add_candidate(engine, task="desk", cut_at=5.0, base_model="m", now=1.0).name
    set_adapter(engine, name, path="/a", digest="d")
    step(engine, name, values=certified(), now=2.0)
    return name


def charge(engine, hours):
    return upkeep.charge(engine, "desk", usd_per_month=MONTH, now=hours * HOUR_S)


def test_whole_hours_are_charged_once(engine):
    in_force(engine)
    assert [charge(engine, hours) for hours in (10.5, 11.0, 11.6, 11.7, 14.4, 14.5, 14.6)] == [0, 0, 1, 0, 2, 1, 0]
    assert savings(engine, task="desk").costs["upkeep"] == 4.0
    with engine.connect() as connection:
        hours = {hour: sums.paid_usd for hour, _, sums in totals.read(connection, since=0.0)}
    assert hours == {10 * HOUR_S: 1.0, 11 * HOUR_S: 1.0, 12 * HOUR_S: 1.0, 13 * HOUR_S: 1.0}


def test_one_on_trial_costs_its_machine_too(engine):
    in_force(engine, step=try_out)
    assert [charge(engine, hours) for hours in (10.0, 11.0)] == [0, 1]


def test_without_a_release_in_force_nothing_is_charged(engine):
    assert charge(engine, 1.0) == charge(engine, 50.0) == 0
    name = in_force(engine)
    assert charge(engine, 60.0) == 0 and charge(engine, 61.0) == 1
    void(engine, name, reason="alarm", now=3.0)
    assert charge(engine, 70.0) == 0
    in_force(engine)
    assert charge(engine, 80.0) == 0 and charge(engine, 81.0) == 1  # not for the time between


def test_a_clock_that_is_set_back_pays_nothing_back(engine):
    in_force(engine)
    charge(engine, 10.0)
    assert charge(engine, 5.0) == 0 and charge(engine, 11.0) == 1


def test_long_names_are_told_apart(engine):
    one, other = ("t" * 62 + end for end in "ab")
    for task in (one, other):
        name = add_candidate(engine, task=task, cut_at=5.0, base_model="m", now=1.0).name
        set_adapter(engine, name, path="/a", digest=task)
        promote(engine, name, values=certified(), now=2.0)
    begun = {one: 0.0, other: HOUR_S / 2}
    for task, now in begun.items():
        upkeep.charge(engine, task, usd_per_month=MONTH, now=now)
    assert [upkeep.charge(engine, task, usd_per_month=MONTH, now=1.2 * HOUR_S) for task in begun] == [1, 0]


def test_what_is_not_due_waits_for_no_writer(engine, monkeypatch):
    in_force(engine)
    charge(engine, 1.0)
    monkeypatch.setattr(upkeep, "writing", None)
    assert charge(engine, 1.5) == 0
