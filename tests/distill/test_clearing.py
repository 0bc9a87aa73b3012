"""What is needed stays on disk, the newest few beside it; the rest goes, and the ledger knows."""

import shutil

import httpx
import pytest

from distill.adapters import digest
from distill.clearing import EVERY_S, Alike, Clear, Clearing
from distill.retiring import QUIET_S, Shelf
from ledger import leases, releases
from ledger.database import connect
from tests.distill.test_fleet import Fleet
from tests.ledger.make import certified

BINDING = {"teacher": "openai/big"}
ENDED_S, DAY_S = 80.0, 86_400.0
LEASE = leases.run_lease("desk")


class World:
    """A ledger, a folder, two engines and a clock; each release is made a day after the last."""

    def __init__(self, tmp_path, monkeypatch):
        self.engine = connect(f"sqlite:///{tmp_path}/ledger.db")
        self.folder = tmp_path / "adapters"
        self.folder.mkdir()
        self.fleet = Fleet(monkeypatch, "10.0.0.1", "10.0.0.2")
        self.now = 1e6
        self.keeping(1)

    def keeping(self, count):
        shelf = Shelf("http://student-engines:8000", self.folder, ["desk"], ENDED_S)
        clear = Clear(shelf, {"desk": Alike(BINDING, 0.1)}, count)
        self.clearing = Clearing(self.engine, clear, holder="worker")

    def candidate(self, task="desk"):
        self.now += DAY_S
        name = releases.add_candidate(self.engine, task=task, cut_at=0.0, base_model="b", now=self.now).name
        path = self.folder / name
        path.mkdir()
        (path / "adapter_config.json").write_text("{}")
        (path / "adapter_model.safetensors").write_text(name)
        releases.set_adapter(self.engine, name, path=str(path), digest=digest(path))
        return name

    def promote(self, task="desk", *, bound_to=BINDING, expires_s=DAY_S / 2, **certificate):
        """Expired by the next day, if nothing else is said."""
        name = self.candidate(task)
        values = certified(bound_to=bound_to, expires_at=self.now + expires_s, **certificate)
        releases.promote(self.engine, name, values=values, now=self.now)
        return name

    def refuse(self):
        name = self.candidate()
        releases.refuse(self.engine, name, refusal={"reason": "too weak"}, report={}, now=self.now)
        return name

    def here(self):
        return {path.name for path in self.folder.iterdir()}

    def look(self, *, but=None):
        """Long enough for anything that has ended, in looks that see every lease."""
        for _ in range(3):
            self.now += QUIET_S
            self.clearing.look(now=self.now, steady=self.now, but=but)
        self.now += EVERY_S
        self.clearing.look(now=self.now, steady=self.now, but=but)
        return self.here()


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def test_the_newest_of_the_others_stay_and_the_ledger_says_which_are_gone(world):
    refused = [world.refuse() for _ in range(4)]
    champion = world.promote()
    assert world.look() == {champion, refused[-1]}
    assert [each.name for each in releases.history(world.engine, "desk") if each.gone] == refused[:-1]
    world.keeping(0)
    assert world.look() == {champion}


def test_what_a_rollback_may_go_back_to_stays_until_its_certificate_expires(world):
    world.keeping(0)
    first = world.promote(expires_s=10 * DAY_S, coverage=0.5)
    second, third = (world.promote(expires_s=10 * DAY_S) for _ in range(2))
    assert world.look() == {first, second, third}
    world.now += 11 * DAY_S
    assert world.look() == {second, third}  # the second is the best of those that retired


def test_rolled_back_and_back_again_every_release_has_its_adapter(world):
    world.keeping(0)
    made = [world.promote(expires_s=10 * DAY_S) for _ in range(3)]
    world.look()
    for name in reversed(made[:-1]):
        assert releases.rollback(world.engine, "desk", binding=BINDING, now=world.now).name == name
        assert name in world.look()


def test_the_best_so_far_stays_though_it_has_expired_and_one_that_is_altered_is_not_the_best(world):
    world.keeping(0)
    altered, best, last, champion = (world.promote(coverage=share) for share in (0.9, 0.8, 0.7, 0.6))
    (world.folder / altered / "adapter_model.safetensors").write_text("other")
    assert last and world.look() == {best, champion}


def test_the_best_of_other_settings_is_none_but_that_of_another_engine_is(world):
    world.keeping(0)
    world.promote(coverage=0.9, bound_to={"teacher": "openai/other"})
    before = world.promote(coverage=0.8, bound_to={**BINDING, "engine": "0.31"})
    after = world.promote(coverage=0.7, bound_to={**BINDING, "engine": "0.32"})
    champion = world.promote(coverage=0.6, bound_to={**BINDING, "engine": "0.32"})
    assert world.look() == {before, after, champion}


def test_the_last_that_was_certified_stays_for_a_certificate_anew(world):
    world.keeping(0)
    first, second = world.promote(), world.promote()
    releases.void(world.engine, second, reason="alarm", now=world.now)
    refused = world.refuse()
    assert world.look() == {first, second}, refused  # the first is the best of those that retired
    assert releases.newest_certified(world.engine, "desk").name == second


def test_nothing_goes_that_an_engine_serves_or_while_one_is_away(world):
    world.keeping(0)
    refused, champion = world.refuse(), world.promote()
    engine = world.fleet.engines["10.0.0.2"]
    engine.folders["another name"] = str(world.folder / refused)
    assert world.look() == {refused, champion} and not releases.get(world.engine, refused).gone

    def away(request):
        raise httpx.ConnectError("refused")

    engine.folders.clear()
    world.fleet.engines["10.0.0.2"] = away
    assert world.look() == {refused, champion}
    world.fleet.engines["10.0.0.2"] = engine
    assert world.look() == {champion}


def test_while_a_run_is_under_way_or_has_just_begun_nothing_of_its_task_goes(world):
    world.keeping(0)
    refused = world.refuse()
    assert world.look(but="desk") == {refused}
    leases.take(world.engine, LEASE, holder="run", now=world.now, term_s=1e4)
    assert world.look() == {refused}
    leases.give_back(world.engine, LEASE, holder="run")
    assert world.look() == set()
    assert leases.who(world.engine, LEASE, now=world.now) is None


def test_a_run_that_begins_meanwhile_keeps_everything(world, monkeypatch):
    world.keeping(0)
    refused = world.refuse()

    def taken(*_, **__):
        raise leases.LeaseTaken("the run")

    monkeypatch.setattr("distill.clearing.held", taken)
    assert world.look() == {refused}


def test_what_a_killed_run_left_is_refused_and_goes_with_its_unfinished_folder(world):
    world.keeping(0)
    left = world.candidate()
    partial = world.folder / f".{left}.partial"
    (partial / "sub").mkdir(parents=True)
    leases.take(world.engine, LEASE, holder="killed", now=world.now, term_s=30.0)
    world.look()
    assert releases.get(world.engine, left).status == "refused"
    assert world.look() == set() and releases.get(world.engine, left).gone


def test_the_unfinished_folder_of_a_run_under_way_stays(world):
    made = releases.add_candidate(world.engine, task="desk", cut_at=0.0, base_model="b", now=world.now).name
    (world.folder / f".{made}.partial").mkdir()
    leases.take(world.engine, LEASE, holder="run", now=world.now, term_s=1e4)
    assert world.look() == {f".{made}.partial"} and releases.get(world.engine, made).status == "candidate"


def test_what_the_ledger_does_not_know_and_another_task_is_left_alone(world):
    world.keeping(0)
    other, _ = world.promote("mail"), world.promote("mail")
    for name in ("by-hand", ".by-hand.partial", "desk--v000999"):
        (world.folder / name).mkdir()
    (world.folder / "desk--v000001").write_text("no folder")
    world.keeping(0)
    assert world.look() > {other, "by-hand", ".by-hand.partial", "desk--v000999", "desk--v000001"}


def test_a_folder_that_was_left_half_deleted_goes_the_next_time(world, monkeypatch):
    world.keeping(0)
    refused = world.refuse()
    with monkeypatch.context() as broken:
        broken.setattr(shutil, "rmtree", fail)
        assert world.look() == {refused} and releases.get(world.engine, refused).gone
    assert world.look() == set()


def fail(path):
    raise PermissionError(13, "Permission denied", str(path))


def test_without_a_folder_there_is_nothing_to_do(world):
    world.refuse()
    shutil.rmtree(world.folder)
    world.clearing.look(now=world.now, steady=0.0, but=None)
    world.clearing.look(now=world.now, steady=QUIET_S, but=None)
    assert not world.folder.exists()
