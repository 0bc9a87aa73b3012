"""Who asks: the keys of the ledger, as last read, and `server.api_key` beside them.

A key is looked up by the digest of what was sent. The time a lookup takes may tell something of stored digests; to use
that, one would have to choose keys by their digests' first bytes, and would learn a digest, which opens nothing. The
comparison that decides takes the same time wherever two digests differ.

Keys that were read stay in force while the ledger cannot be read; they expire by themselves.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from ledger.budgets import Budget
from ledger.keys import Grant, Key, all_keys, digest, version
from router.errors import NotAllowed, NotAuthenticated
from router.ports import Caller

OWN = "server.api_key"  # how it is recorded who asked with it
ANYBODY = Caller(None, None, Grant("anybody", "admin"))  # on loopback, before there are keys
NOBODY = digest("")


@dataclass(frozen=True)
class _Entry:
    digest: str
    caller: Caller
    expires_at: float | None = None


@dataclass(frozen=True)
class _Held:
    """One reading, exchanged as one."""

    by_digest: Mapping[str, _Entry]
    open: bool


class Keyring:
    """Nobody needs a key until there is one: `api_key`, or any in the ledger, also one that is not valid any more."""

    def __init__(self, api_key: str | None) -> None:
        own = _Entry(digest(api_key), Caller(OWN, None, Grant(OWN, "admin"))) if api_key else None
        self._own = {own.digest: own} if own else {}
        self._held = _Held(self._own, open=not self._own)
        self._version = (0, 0)

    def read(self, engine: sa.Engine) -> None:
        """Take over the ledger's keys, where they have changed (blocking)."""
        # Asked first: what changes between the two questions is read again next time.
        if (now := version(engine)) == self._version:
            return
        found, self._version = all_keys(engine), now
        entries = {key.digest: _entry(key) for key in found if key.revoked_at is None}
        self._held = _Held({**entries, **self._own}, open=not found and not self._own)

    def caller(self, secret: str, *, now: float) -> Caller:
        """Who has this key. Raises NotAuthenticated."""
        held = self._held
        if held.open:
            return ANYBODY
        sent = digest(secret)
        entry = held.by_digest.get(sent)
        if not hmac.compare_digest(sent, entry.digest if entry else NOBODY) or entry is None:
            raise NotAuthenticated("Incorrect API key provided.")
        if entry.expires_at is not None and now >= entry.expires_at:
            raise NotAuthenticated("The API key provided has expired.")
        return entry.caller

    def budgets(self, *, now: float) -> dict[str, Budget]:
        """Account -> its budget, where a key of it is valid and has one."""
        valid = [
            each.caller for each in self._held.by_digest.values() if each.expires_at is None or now < each.expires_at
        ]
        return {each.account: each.grant.budget for each in valid if each.account and each.grant.budget}


def check_task(caller: Caller, task: str | None, *, model: str) -> None:
    """Raises NotAllowed where a task is none of the caller's."""
    if not caller.may_ask(task):
        raise NotAllowed(
            f"This API key does not have access to model `{model}`.", code="model_not_found", param="model"
        )


def _entry(key: Key) -> _Entry:
    return _Entry(key.digest, Caller(key.id, key.account, key.grant), key.expires_at)
