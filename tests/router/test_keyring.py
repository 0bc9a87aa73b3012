"""Who is let in, as whom, and how soon that changes."""

import asyncio
import time

import pytest

from ledger.budgets import Budget
from ledger.database import connect
from ledger.keys import Grant, create, revoke, rotate
from router.errors import NotAuthenticated
from router.keyring import ANYBODY, OWN, Keyring
from router.releases import POLL_S, LedgerWatch

NOW = 1000.0


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def refused(keyring, secret, now=NOW):
    with pytest.raises(NotAuthenticated) as error:
        keyring.caller(secret, now=now)
    assert secret not in error.value.message or not secret
    return error.value.message


def test_without_any_key_anybody_may_ask(engine):
    keyring = Keyring(None)
    keyring.read(engine)
    assert keyring.caller("", now=NOW) is ANYBODY and ANYBODY.key is None


def test_with_the_first_key_everybody_needs_one_also_when_it_is_gone_again(engine):
    keyring = Keyring(None)
    key, secret = create(engine, Grant("shop", tasks=("desk",)), now=NOW)
    keyring.read(engine)
    caller = keyring.caller(secret, now=NOW)
    assert (caller.key, caller.grant.name) == (key.id, "shop")
    for wrong in ("", "tut-", secret[:-1], secret + "x", key.id, key.digest, "s\xe9cret"):
        refused(keyring, wrong)
    revoke(engine, key.id, now=NOW)
    keyring.read(engine)
    refused(keyring, secret)
    refused(keyring, "")


def test_the_key_of_the_settings_is_an_admins_beside_the_ledgers(engine):
    keyring = Keyring("boot")
    refused(keyring, "")
    _, secret = create(engine, Grant("shop"), now=NOW)
    keyring.read(engine)
    assert keyring.caller("boot", now=NOW).key == OWN and keyring.caller("boot", now=NOW).may("admin")
    assert keyring.caller(secret, now=NOW).grant.name == "shop"


def test_a_key_ends_when_it_expires_without_another_reading(engine):
    keyring = Keyring(None)
    _, secret = create(engine, Grant("shop"), now=NOW, expires_at=NOW + 10)
    keyring.read(engine)
    assert keyring.caller(secret, now=NOW + 9.9).grant.name == "shop"
    assert refused(keyring, secret, now=NOW + 10) == "The API key provided has expired."


def test_old_and_new_key_of_a_rotation_are_one_account_with_one_budget(engine):
    keyring, budget = Keyring(None), Budget(5.0, "month")
    old, first = create(engine, Grant("shop", budget=budget), now=NOW)
    _, second = rotate(engine, old.id, now=NOW, grace_s=60.0)
    create(engine, Grant("gone", budget=budget), now=NOW, expires_at=NOW + 1)
    keyring.read(engine)
    assert {keyring.caller(each, now=NOW).account for each in (first, second)} == {old.id}
    refused(keyring, first, now=NOW + 60)
    assert keyring.budgets(now=NOW + 60) == {old.id: budget}


@pytest.mark.parametrize(("role", "may"), [("client", 1), ("worker", 2), ("admin", 3)])
def test_each_role_may_do_what_the_ones_before_it_may(engine, role, may):
    keyring = Keyring(None)
    _, secret = create(engine, Grant("x", role), now=NOW)
    keyring.read(engine)
    caller = keyring.caller(secret, now=NOW)
    assert [caller.may(each) for each in ("client", "worker", "admin")] == [number < may for number in range(3)]


async def test_a_revocation_is_in_force_in_less_than_a_second(engine):
    keyring = Keyring(None)
    key, secret = create(engine, Grant("shop"), now=NOW)
    watch = LedgerWatch(engine, bindings={})
    watch.tell(keyring.read)
    watch.refresh()
    running = asyncio.create_task(watch.run())
    try:
        await asyncio.sleep(POLL_S)
        assert keyring.caller(secret, now=NOW).key == key.id
        await asyncio.to_thread(revoke, engine, key.id, now=NOW)
        revoked_at = time.monotonic()
        while time.monotonic() < revoked_at + 5.0:
            try:
                keyring.caller(secret, now=NOW)
            except NotAuthenticated:
                break
            await asyncio.sleep(0.01)
        assert time.monotonic() - revoked_at < 1.0
    finally:
        running.cancel()


async def test_a_ledger_that_cannot_be_read_leaves_the_keys_in_force(engine, tmp_path):
    keyring = Keyring(None)
    _, secret = create(engine, Grant("shop"), now=NOW)
    watch = LedgerWatch(engine, bindings={})
    watch.tell(keyring.read)
    watch.refresh()
    (tmp_path / "ledger.db").rename(tmp_path / "away")
    engine.dispose()
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(2 * POLL_S)
    assert not running.done() and keyring.caller(secret, now=NOW).grant.name == "shop"
    running.cancel()
