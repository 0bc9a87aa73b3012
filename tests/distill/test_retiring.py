"""Engines hold what somebody may need; what has ended leaves each of them by itself."""

from pathlib import Path

import httpx
import pytest

from distill.retiring import LOOK_S, QUIET_S, Quiet, Retiring, Shelf
from ledger import leases, releases
from ledger.database import connect
from tests.distill.test_fleet import Fleet
from tests.ledger.make import certified

ENDED_S = 80.0
A, B = "10.0.0.1", "10.0.0.2"


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


class World:
    """Two engines, a ledger and a clock."""

    def __init__(self, engine, folder, monkeypatch):
        self.engine, self.folder, self.now = engine, folder, 1000.0
        self.fleet = Fleet(monkeypatch, A, B)
        self.retiring = Retiring(engine, Shelf("http://student-engines:8000", folder, ["desk"], ENDED_S))

    def held(self, address=A):
        return set(self.fleet.engines[address].folders)

    def add(self, task="desk", *, folder=None):
        """A candidate whose adapter every engine holds."""
        name = releases.add_candidate(self.engine, task=task, cut_at=0.0, base_model="b", now=self.now).name
        self.fleet.server.load(name, (folder or self.folder) / name)
        return name

    def promote(self, task="desk", **where):
        name = self.add(task, **where)
        releases.promote(self.engine, name, values=certified(), now=self.now)
        return name

    def look(self, passed_s=0.0):
        self.now += passed_s
        return self.retiring.look(now=self.now, steady=self.now)

    def settle(self):
        """Looks until everything that has ended may go."""
        found = set()
        for _ in range(int((ENDED_S + QUIET_S) / LOOK_S) + 2):
            found |= self.look(LOOK_S)
        return found


@pytest.fixture
def world(engine, tmp_path, monkeypatch):
    return World(engine, tmp_path / "adapters", monkeypatch)


def test_after_a_second_release_the_first_leaves_every_engine_and_the_second_stays(world):
    first, second = world.promote(), world.promote()
    assert world.settle() == {first}
    assert world.held(A) == world.held(B) == {second}
    assert world.settle() == set()


def test_not_before_the_last_draft_that_it_can_have_been_asked_for_is_over(world):
    first = world.promote()
    world.settle()
    world.promote()
    assert world.look(ENDED_S) == set() and first in world.held()
    assert world.look(LOOK_S) == {first}


def test_candidates_canaries_and_what_waits_stay(world):
    tried, waits, made = world.add(), world.add(), world.add()
    releases.try_out(world.engine, tried, values=certified(), now=world.now)
    releases.hold(world.engine, waits, values=certified(), now=world.now)
    assert world.settle() == set() and world.held() == {tried, waits, made}


def test_a_refused_one_that_a_killed_run_has_left_goes(world):
    left = world.add()
    releases.abandon(world.engine, "desk", now=world.now)
    assert world.settle() == {left}


def test_while_a_run_is_under_way_nothing_of_its_task_goes(world):
    first = world.promote()
    world.promote()
    for _ in range(40):
        leases.take(world.engine, leases.run_lease("desk"), holder="run", now=world.now, term_s=30.0)
        assert world.look(LOOK_S) == set()
    leases.give_back(world.engine, leases.run_lease("desk"), holder="run")
    assert world.look(LOOK_S) == set()  # nor at once afterwards
    assert world.settle() == {first}


def test_after_a_machine_slept_a_lease_that_has_ended_is_waited_for(engine):
    quiet, lease = Quiet(engine, ["desk"]), leases.run_lease("desk")
    leases.take(engine, lease, holder="run", now=0.0, term_s=30.0)
    assert quiet.look(now=8000.0, steady=0.0) == []
    leases.take(engine, lease, holder="run", now=8001.0, term_s=30.0)  # it goes on
    assert quiet.look(now=8002.0, steady=2.0) == []
    assert quiet.look(now=8040.0, steady=40.0) == []
    assert quiet.look(now=8040.0 + QUIET_S, steady=40.0 + QUIET_S) == ["desk"]


def test_what_the_ledger_does_not_know_another_task_or_another_folder_is_left_alone(world, tmp_path):
    elsewhere, _ = world.promote(folder=tmp_path / "other"), world.promote()
    others, _ = world.promote("mail"), world.promote("mail")
    world.fleet.server.load("by-hand", world.folder / "by-hand")
    assert world.settle() == set()
    assert {elsewhere, others, "by-hand"} < world.held()


def test_an_engine_that_is_away_is_tidied_when_it_is_back(world):
    first, second = world.promote(), world.promote()
    away = world.fleet.engines[A]

    def refuse(request):
        raise httpx.ConnectError("refused")

    world.fleet.engines[A] = refuse
    assert world.settle() == {first} and world.held(B) == {second} and first in away.folders
    world.fleet.engines[A] = away
    assert world.look(LOOK_S) == {first} and world.held(A) == {second}


def test_without_any_engine_it_waits(world):
    first, _ = world.promote(), world.promote()
    engines = dict(world.fleet.engines)
    world.fleet.engines.clear()
    assert world.settle() == set()
    world.fleet.engines.update(engines)
    assert world.look(LOOK_S) == {first}


def test_the_folder_is_compared_as_the_engine_was_told_it(world):
    """`AdapterServer.load` tells absolute paths."""
    world.retiring = Retiring(world.engine, Shelf("http://student-engines:8000", Path("adapters"), ["desk"], ENDED_S))
    world.folder = Path("adapters")
    first, _ = world.promote(), world.promote()
    assert world.settle() == {first}
