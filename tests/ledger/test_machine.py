"""A machine by the hour: every second once, to whom it worked for."""

import pytest

from ledger import machine, totals
from ledger.database import connect, writing
from ledger.ingest import store
from ledger.machine import LOOK_S, OFF_S, STORED_S
from ledger.records import Draft, Usage
from ledger.releases import add_candidate, promote, set_adapter, try_out, void
from ledger.savings import by_task, savings
from ledger.totals import HOUR_S
from tests.ledger.make import certified, student_exchange

TASKS = ("desk", "till", "shelf")
USD = 3.6  # an hour: a tenth of a cent a second


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path / 'ledger.db'}")


def run(engine, since, until, *, usd=USD, step=LOOK_S):
    """A worker that looks every minute from then until then, in hours."""
    now, charged = since * HOUR_S, 0.0
    while now <= until * HOUR_S:
        charged += machine.charge(engine, TASKS, usd_per_hour=usd, now=now)
        now += step
    return charged


def drafted(engine, number, *, task, tokens, hour):
    draft = Draft("refund", "stop", {"x": 1.0}, Usage(tokens - 2, 2), 0.0)
    store(engine, [student_exchange(number, task=task, draft=draft, at=hour * HOUR_S + 10.0, release=f"{task}--v1")])


def release(engine, task, *, step=promote):
    name = add_candidate(engine, task=task, cut_at=5.0, base_model="m", now=1.0).name
    set_adapter(engine, name, path="/a", digest=task)
    step(engine, name, values=certified(), now=2.0)
    return name


def spent(engine):
    return {task: found.costs["machine"] for task, found in by_task(engine).items() if found.costs["machine"]}


def by_hour(engine):
    with engine.connect() as connection:
        rows = totals.read(connection, since=0.0)
    return {(hour // HOUR_S, of.task): round(sums.paid_usd, 9) for hour, of, sums in rows if of.origin == "machine"}


def test_who_has_drafted_pays_by_tokens(engine):
    release(engine, "shelf")  # in force, and asked nothing in that hour
    drafted(engine, 1, task="desk", tokens=300, hour=10)
    drafted(engine, 2, task="till", tokens=100, hour=10)
    assert run(engine, 10, 11.2) == pytest.approx(USD)
    assert spent(engine) == pytest.approx({"desk": 2.7, "till": 0.9})
    assert savings(engine).saved_usd == pytest.approx(-USD)  # a machine that saves nothing is lost
    assert by_task(engine)["till"].saved_usd == pytest.approx(-0.9)


def test_an_idle_hour_is_shared_by_those_it_is_kept_ready_for(engine):
    release(engine, "desk")
    release(engine, "till", step=try_out)
    void(engine, release(engine, "shelf"), reason="alarm", now=3.0)
    release(engine, "no longer configured")
    run(engine, 10, 11.2)
    assert spent(engine) == pytest.approx({"desk": 1.8, "till": 1.8})


def test_before_there_is_a_student_it_is_nobodys(engine):
    run(engine, 10, 11.2)
    assert spent(engine) == pytest.approx({"": USD})


def test_each_hour_is_its_own(engine):
    drafted(engine, 1, task="desk", tokens=10, hour=10)
    drafted(engine, 2, task="till", tokens=10, hour=11)
    run(engine, 10.5, 13.2)
    assert by_hour(engine) == {(10, "desk"): 1.8, (11, "till"): USD, (12, ""): USD}


def test_time_in_which_it_is_off_costs_nothing(engine):
    run(engine, 10, 10.5)
    run(engine, 20.25, 21.2)
    assert by_hour(engine) == {(10, ""): 1.8, (20, ""): 2.7}


def test_a_worker_that_is_away_while_drafts_are_written_takes_no_hour_off_the_bill(engine):
    run(engine, 10, 10.5)
    drafted(engine, 1, task="desk", tokens=10, hour=12)
    run(engine, 14, 15.2)
    assert by_hour(engine) == {(10, ""): 1.8, (12, "desk"): USD, (14, ""): USD}


def test_a_worker_that_is_started_again_has_not_been_off(engine):
    charged = run(engine, 10, 10.5) + run(engine, 10.5 + OFF_S / HOUR_S, 11.2)
    assert charged == pytest.approx(USD)


def test_several_workers_pay_it_once(engine):
    for now in range(0, 3 * HOUR_S, 20):
        for late in (0.0, 7.0, -30.0):  # clocks differ
            machine.charge(engine, TASKS, usd_per_hour=USD, now=now + late)
    assert by_hour(engine) == {(0, ""): USD, (1, ""): USD}


def test_killed_in_the_middle_an_hour_is_charged_once_and_whole(engine, monkeypatch):
    run(engine, 10, 11)
    due = 11 * HOUR_S + STORED_S
    monkeypatch.setattr(machine, "_write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        machine.charge(engine, TASKS, usd_per_hour=USD, now=due)
    assert spent(engine) == {}
    monkeypatch.undo()
    assert machine.charge(engine, TASKS, usd_per_hour=USD, now=due) == pytest.approx(USD)
    assert machine.charge(engine, TASKS, usd_per_hour=USD, now=due + LOOK_S) == 0.0


def test_a_changed_price_changes_nothing_that_is_past(engine):
    run(engine, 10, 10.5, usd=2.0)
    run(engine, 10.5 + LOOK_S / HOUR_S, 11.2, usd=4.0)
    assert by_hour(engine) == {(10, ""): pytest.approx(1.0 + 2.0, abs=0.1)}


def test_what_was_counted_is_charged_though_it_is_paid_for_otherwise_now(engine):
    run(engine, 10, 10.5)
    assert run(engine, 10.5, 12.0, usd=0.0) == pytest.approx(1.8)
    with engine.connect() as connection:
        assert machine._read(connection) is None  # by hand or by token: nothing is counted any more


def test_what_is_not_due_waits_for_no_writer(engine, monkeypatch):
    machine.charge(engine, TASKS, usd_per_hour=USD, now=100.0)
    monkeypatch.setattr(machine, "writing", None)
    assert machine.charge(engine, TASKS, usd_per_hour=USD, now=100.0 + LOOK_S / 2) == 0.0
    assert machine.charge(connect("sqlite://"), TASKS, usd_per_hour=0.0, now=0.0) == 0.0


def test_what_is_charged_is_in_the_sum_of_all_time(engine):
    run(engine, 10, 12.2)
    with engine.connect() as connection:
        assert [sums.paid_usd for _, _, sums in totals.read(connection)] == [pytest.approx(2 * USD)]
    with writing(engine) as connection:
        assert machine._shares(connection, 0, TASKS) == {"": 1.0}
