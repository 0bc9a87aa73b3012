import pytest

from calibration.familiar import Familiar
from ledger import familiar, releases
from ledger.database import connect, writing
from ledger.ended import set_deleted
from ledger.schema import familiar as table
from tests.ledger.make import certified


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def release(engine, *, kept=True):
    name = releases.add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=1.0).name
    known = Familiar.with_all_of(["where is my card"], seed=0)
    bound = {familiar.BOUND: familiar.keep(engine, name, known)} if kept else {}
    releases.promote(engine, name, values=certified() | {"report": {"bound_to": bound}}, now=2.0)
    return releases.get(engine, name)


def test_a_release_knows_what_taught_it(engine):
    known = familiar.of(engine, release(engine))
    assert (known.likeness("Where is my card"), known.likeness("play jazz")) == (1.0, 0.0)


def test_one_from_before_knows_nothing_of_it(engine):
    assert familiar.of(engine, release(engine, kept=False)) is None


@pytest.mark.parametrize("damage", [table.delete(), table.update().values(lessons=b"others")])
def test_what_is_not_as_it_was_certified_is_not_used(engine, damage):
    one = release(engine)
    with writing(engine) as connection:
        connection.execute(damage)
    with pytest.raises(ValueError, match="what taught it is not there as it was certified"):
        familiar.of(engine, one)


def test_it_goes_with_the_adapter_and_no_sooner(engine):
    first, second = release(engine), release(engine)
    assert set_deleted(engine, [first.name, second.name], before=1e9) == {first.name}
    with pytest.raises(ValueError, match="what taught it"):
        familiar.of(engine, first)
    assert familiar.of(engine, second) is not None
