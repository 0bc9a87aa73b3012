from ledger.database import connect
from ledger.random_keys import random_key


def test_a_key_is_drawn_once_and_kept(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    drawn = random_key(connect(url), "one")
    assert len(drawn) == 32 and random_key(connect(url), "one") == drawn != random_key(connect(url), "other")
