"""What `up` tells and loads, over a real ledger; the stack and vLLM are scripted."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from distill.adapters import EngineDown
from ledger import decisions, releases
from ledger.database import connect
from ledger.progress import Progress, publish
from router.settings import Settings
from tests.ledger.make import certified
from tutelage import upkeep as module
from tutelage.processes import State
from tutelage.upkeep import AWAY, Upkeep

RESTARTED = State("student", "STARTING", 7, 1.0, "")


@dataclass
class World:
    """What has changed in the stack, which adapters vLLM holds (None: it is away), and what was told."""

    engine: sa.Engine
    changed: list[State] = field(default_factory=list)
    loaded: set[str] | None = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    broken: str = ""

    def changes(self):
        found, self.changed = self.changed, []
        return found

    def load(self, settings, engine, *, checked):
        if self.loaded is None:
            raise EngineDown("connection refused")
        if self.broken:
            return {release.name: self.broken for release in releases.champions(engine).values()}
        self.loaded |= {release.name for release in releases.champions(engine).values()}
        return dict.fromkeys(self.loaded, "")

    def promote(self):
        name = releases.add_candidate(self.engine, task="desk", cut_at=0.0, base_model="b", now=1.0).name
        releases.promote(self.engine, name, values=certified(), now=2.0)
        return name

    def new(self, upkeep):
        """What one look tells."""
        self.told.clear()
        upkeep.look()
        return list(self.told)

    def retire(self, *, now, steady):
        """What is loaded and in force no more is taken off, as if it had long ended."""
        ended = (self.loaded or set()) - {release.name for release in releases.served(self.engine)}
        if self.loaded:
            self.loaded -= ended
        return ended


@pytest.fixture
def world(tmp_path, monkeypatch):
    world = World(connect(f"sqlite:///{tmp_path}/ledger.db"))
    monkeypatch.setattr(module, "load_champions", world.load)
    monkeypatch.setattr(module, "Retiring", lambda engine, shelf: SimpleNamespace(look=world.retire))
    return world


@pytest.fixture
def upkeep(world, tmp_path):
    price = {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.2}
    settings = Settings(
        ledger={"url": f"sqlite:///{tmp_path}/ledger.db"},
        teachers={"big": {"model": "openai/big"}},
        student={"base_model": "m", "price": price},
        tasks={"desk": {"teacher": "big"}},
    )
    return Upkeep(world, settings, say=world.told.append)


def test_a_champion_is_loaded_once_and_again_where_vllm_was_started_again(world, upkeep):
    name = world.promote()
    assert world.new(upkeep) == [f"in force: {name}"] and world.loaded == {name}
    assert world.new(upkeep) == []
    world.loaded, world.changed = set(), [RESTARTED]
    assert world.new(upkeep) == ["student: starting for 1 s, pid 7", f"in force: {name}"] and world.loaded == {name}


def test_what_somebody_else_has_taken_off_or_an_engine_elsewhere_has_lost_comes_back(world, upkeep, monkeypatch):
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    name = world.promote()
    upkeep.look()
    world.loaded = set()
    assert world.new(upkeep) == [] and world.loaded == {name}


def test_an_engine_that_stays_away_ends_nothing_and_is_told_once(world, upkeep):
    name = world.promote()
    world.loaded = None
    assert world.new(upkeep) == [AWAY]
    assert world.new(upkeep) == []
    world.loaded = set()
    assert world.new(upkeep) == [f"in force: {name}"]


def test_an_adapter_that_cannot_be_loaded_is_told_once_and_tried_again(world, upkeep, monkeypatch):
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    name, world.broken = world.promote(), "the folder is altered"
    assert world.new(upkeep) == [f"not in force, the teacher answers for it: {name}: the folder is altered"]
    assert world.new(upkeep) == []
    world.broken = ""
    assert world.new(upkeep) == [f"in force: {name}"]
    assert world.new(upkeep) == []


def test_a_release_that_another_process_promotes_is_told_and_loaded(world, upkeep):
    assert world.new(upkeep) == ["in force: no release, the teacher answers"]
    name = world.promote()
    assert world.new(upkeep) == [f"{name}: champion", f"in force: {name}"]
    releases.void(world.engine, name, reason="alarm: 9 of 40", now=3.0)
    assert world.new(upkeep)[0] == f"{name}: voided: alarm: 9 of 40"


def test_what_has_ended_is_taken_off_and_loaded_again_where_it_comes_back(world, upkeep):
    first = world.promote()
    upkeep.look()
    second = world.promote()
    assert world.new(upkeep)[-1] == f"{first}: its adapter is taken off the student, nothing needs it"
    assert world.loaded == {second}
    releases.rollback(world.engine, "desk", binding={}, now=9.0)
    assert f"in force: {first}" in world.new(upkeep) and world.loaded == {first}


def test_decisions_are_told_once_and_old_ones_not_at_all(world, upkeep):
    decisions.record(world.engine, decisions.Decision(1.0, "desk", "wait", "rows", "old"))
    upkeep.look()
    decisions.record(world.engine, decisions.Decision(2.0, "desk", "train", "first", "1000 rows are enough"))
    assert world.new(upkeep) == ["desk: train (first): 1000 rows are enough"]
    assert world.new(upkeep) == []


def test_it_returns_how_far_each_task_is(world, upkeep):
    publish(world.engine, "desk", Progress(10, 1000, 5, 600, None), now=1.0)
    assert upkeep.look() == "desk: 10 of 1000 rows, 5 of 600 references"


def test_a_ledger_that_is_away_ends_nothing(world, upkeep, monkeypatch):
    upkeep.look()

    def broken(_):
        raise sa.exc.OperationalError("select", {}, Exception("disk I/O error"))

    with monkeypatch.context() as down:
        down.setattr(module, "published", broken)
        assert world.new(upkeep) == ["the ledger does not answer (OperationalError): what is in force stays so"]
        assert world.new(upkeep) == []
    assert upkeep.look() == ""
