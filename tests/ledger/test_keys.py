"""Keys: what is stored of them, how they end, and what their successors inherit."""

import pytest
import sqlalchemy as sa

from ledger.budgets import Budget
from ledger.database import connect
from ledger.keys import Grant, KeyRefused, all_keys, create, digest, revoke, rotate, state, version
from ledger.schema import keys

GRANT = Grant("shop", tasks=("desk",), rpm=60, tpm=9000, streams=4, budget=Budget(5.0, "month"))
DAY = 86_400.0


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def test_a_key_comes_back_as_it_was_made(engine):
    made, _ = create(engine, GRANT, now=100.0, expires_at=200.0)
    bare, _ = create(engine, Grant("bare"), now=101.0)
    assert all_keys(engine) == [made, bare]
    assert (made.grant, made.account, made.expires_at) == (GRANT, made.id, 200.0)
    assert (bare.grant.tasks, bare.grant.budget, bare.expires_at) == (None, None, None)


def test_the_secret_is_long_its_own_and_nowhere_in_the_ledger(engine, tmp_path):
    made, secret = create(engine, GRANT, now=1.0)
    _, other = create(engine, GRANT, now=1.0)
    assert secret.startswith("tut-") and len(secret) >= 4 + 32 and secret != other
    assert made.digest == digest(secret)
    with engine.connect() as connection:
        stored = str(connection.execute(sa.select(keys)).all())
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret not in stored and secret.encode() not in files and digest(secret) in stored
    assert made.id not in secret


def test_every_change_makes_another_version(engine):
    seen = [version(engine)]
    key, _ = create(engine, GRANT, now=100.0)
    seen.append(version(engine))
    rotate(engine, key.id, now=50.0, grace_s=1.0)  # by a clock that was set back
    seen.append(version(engine))
    revoke(engine, key.id, now=20.0)
    seen.append(version(engine))
    assert len(set(seen)) == 4 and version(engine) == seen[-1]


@pytest.mark.parametrize("expires_at", [99.0, 100.0])
def test_a_key_that_would_have_expired_is_not_made(engine, expires_at):
    with pytest.raises(KeyRefused, match="expired already"):
        create(engine, GRANT, now=100.0, expires_at=expires_at)
    assert all_keys(engine) == []


def test_it_is_valid_until_it_expires_or_is_revoked(engine):
    made, _ = create(engine, GRANT, now=100.0, expires_at=200.0)
    assert [(made.valid(now), state(made, now)) for now in (199.9, 200.0)] == [(True, "valid"), (False, "expired")]
    gone = revoke(engine, made.id, now=150.0)
    assert (gone.valid(151.0), state(gone, 151.0), gone.revoked_at) == (False, "revoked", 150.0)
    assert revoke(engine, made.id, now=160.0) == gone == all_keys(engine)[0]


def test_a_successor_inherits_grant_account_and_span_and_the_old_key_has_its_grace(engine):
    old, secret = create(engine, GRANT, now=100.0, expires_at=100.0 + 30 * DAY)
    new, fresh = rotate(engine, old.id, now=100.0 + DAY, grace_s=3600.0)
    assert fresh != secret
    assert (new.grant, new.account, new.replaces) == (GRANT, old.account, old.id)
    assert new.expires_at == 100.0 + 31 * DAY
    assert all_keys(engine)[0].expires_at == 100.0 + DAY + 3600.0
    third, _ = rotate(engine, new.id, now=100.0 + 2 * DAY, grace_s=0.0, expires_at=100.0 + 9 * DAY)
    assert (third.account, third.expires_at) == (old.account, 100.0 + 9 * DAY)
    assert not all_keys(engine)[1].valid(100.0 + 2 * DAY)


def test_the_grace_lengthens_no_life(engine):
    old, _ = create(engine, GRANT, now=0.0, expires_at=100.0)
    rotate(engine, old.id, now=50.0, grace_s=1000.0)
    assert all_keys(engine)[0].expires_at == 100.0


def test_what_cannot_be_rotated_is_said(engine):
    old, _ = create(engine, GRANT, now=0.0)
    new, _ = rotate(engine, old.id, now=1.0, grace_s=100.0)
    with pytest.raises(KeyRefused, match=f"rotate its successor {new.id}"):
        rotate(engine, old.id, now=2.0, grace_s=100.0)
    with pytest.raises(KeyRefused, match="is expired: create a new key"):
        rotate(engine, old.id, now=200.0, grace_s=100.0)
    revoke(engine, new.id, now=3.0)
    with pytest.raises(KeyRefused, match="is revoked"):
        rotate(engine, new.id, now=4.0, grace_s=100.0)
    for change in (lambda: rotate(engine, "key-no", now=1.0, grace_s=1.0), lambda: revoke(engine, "key-no", now=1.0)):
        with pytest.raises(KeyRefused, match="no key 'key-no': `tutelage keys list`"):
            change()
