"""What has ended is told by its status and time; that an adapter is gone is said of nothing that may be in use."""

import pytest

from ledger import releases
from ledger.database import connect
from ledger.ended import DELETED, FORGOTTEN, ended, set_deleted
from ledger.schema import releases as table
from tests.ledger.make import certified

BINDING = {"teacher": "openai/big"}


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def candidate(engine, task="desk"):
    name = releases.add_candidate(engine, task=task, cut_at=0.0, base_model="b", now=1.0).name
    releases.set_adapter(engine, name, path=f"/adapters/{name}", digest="abc")
    return name


def promote(engine, *, at, task="desk"):
    name = candidate(engine, task)
    releases.promote(engine, name, values=certified(bound_to=BINDING), now=at)
    return name


def test_what_is_in_use_or_has_just_ended_or_is_anothers_has_not_ended(engine):
    first, second = promote(engine, at=10.0), promote(engine, at=20.0)  # the first retires at 20
    other, _ = promote(engine, at=10.0, task="mail"), promote(engine, at=11.0, task="mail")
    tried, waits, made = candidate(engine), candidate(engine), candidate(engine)
    releases.try_out(engine, tried, values=certified(), now=21.0)
    releases.hold(engine, waits, values=certified(), now=22.0)
    assert ended(engine, ["desk"], before=20.0) == set()
    assert ended(engine, ["desk"], before=20.1) == {first}
    assert ended(engine, ["desk", "mail"], before=1e9) == {first, other}
    assert set_deleted(engine, [first, second, tried, waits, made], before=1e9) == {first}
    assert [each.name for each in releases.history(engine, "desk") if each.gone] == [first]


def test_whoever_puts_it_in_force_first_has_it(engine):
    first, second = promote(engine, at=10.0), promote(engine, at=20.0)
    releases.reinstate(engine, first, binding=BINDING, now=30.0)
    assert set_deleted(engine, [first], before=100.0) == set() and not releases.get(engine, first).gone
    assert set_deleted(engine, [second], before=30.0) == set()  # it ended at 30
    assert set_deleted(engine, [second], before=31.0) == {second}
    with pytest.raises(releases.ReleaseError, match=r"cannot be promoted: its adapter was deleted.*promote another"):
        releases.reinstate(engine, second, binding=BINDING, now=40.0)
    assert (
        releases.rollback(engine, "desk", binding=BINDING, now=41.0) is None
    )  # the teacher's, not one without adapter


def test_it_is_said_again_so_that_a_folder_that_is_left_goes_and_one_that_is_forgotten_stays_so(engine):
    first, second, _ = (promote(engine, at=at) for at in (10.0, 20.0, 30.0))
    with engine.begin() as connection:
        connection.execute(table.update().where(table.c.name == first).values(adapter_path=FORGOTTEN))
    for _ in range(2):
        assert set_deleted(engine, [first, second], before=100.0) == {first, second}
    assert releases.get(engine, first).adapter_path == FORGOTTEN
    assert releases.get(engine, second).adapter_path == DELETED


def test_one_without_an_adapter_is_not_certified_anew(engine):
    first, second = promote(engine, at=10.0), promote(engine, at=20.0)
    releases.void(engine, second, reason="alarm", now=30.0)
    assert releases.newest_certified(engine, "desk").name == second
    set_deleted(engine, [second], before=100.0)
    assert releases.newest_certified(engine, "desk").name == first
