import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.database import connect
from ledger.leases import LeaseTaken, give_back, held, take, who

TERM = 10.0


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def asks(engine, who, now):
    return take(engine, "worker", holder=who, now=now, term_s=TERM)


def test_one_holder_at_a_time_until_the_term_ends(engine):
    assert asks(engine, "a", 0.0)
    assert not asks(engine, "b", 9.9)
    assert asks(engine, "a", 9.9)  # renewed until 19.9
    assert not asks(engine, "b", 19.8) and who(engine, "worker", now=19.8) == "a"
    assert asks(engine, "b", 19.9) and who(engine, "worker", now=20.0) == "b"
    assert not asks(engine, "a", 20.0)


def test_what_is_given_back_is_free_and_only_the_holder_gives_back(engine):
    assert asks(engine, "a", 0.0)
    give_back(engine, "worker", holder="b")
    assert not asks(engine, "b", 1.0)
    give_back(engine, "worker", holder="a")
    assert who(engine, "worker", now=1.0) is None
    assert asks(engine, "b", 1.0)


def test_a_clock_set_back_an_hour_blocks_nobody_for_an_hour(engine):
    assert asks(engine, "a", 3600.0)
    assert asks(engine, "b", 0.0)


def test_of_many_that_ask_at_once_one_gets_it(engine):
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda who: asks(engine, str(who), 0.0), range(8)))
    assert got.count(True) == 1


def test_a_lease_is_held_while_the_block_runs_however_long(engine):
    with held(engine, "worker", holder="a", term_s=0.3):
        time.sleep(0.8)
        with pytest.raises(LeaseTaken, match="worker is under way already, by a"), held(engine, "worker", holder="b"):
            pass
    with held(engine, "worker", holder="b"):
        assert who(engine, "worker", now=time.time()) == "b"
