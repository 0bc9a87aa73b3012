"""How often each prompt was sent, and by whom it is counted."""

import pytest

from ledger.database import connect
from ledger.ingest import store
from ledger.prompts import counts, prompts_of
from tests.ledger.make import exchange


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def unmatched(number, prompt, **fields):
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": str(number)}]
    facts = {"task": None, "reason": "no_task", "model": "big", "messages": messages, "prompt_fingerprint": prompt}
    return exchange(number, **{**facts, "eligible": False, "reference": False, "rho": None, **fields})


def test_prompts_come_most_frequent_first_with_their_newest_request(engine):
    records = [unmatched(1, "A"), unmatched(2, "B"), unmatched(3, "A"), unmatched(4, "A", model="huge"), exchange(5)]
    store(engine, records)
    found = prompts_of(engine, None, since=0.0, limit=10)
    assert [(each.model, each.fingerprint, each.requests, each.last_at) for each in found] == [
        ("big", "A", 2, 3.0), ("huge", "A", 1, 4.0), ("big", "B", 1, 2.0)
    ]  # fmt: skip
    assert found[0].messages == records[2].messages
    assert [each.fingerprint for each in prompts_of(engine, None, since=0.0, limit=1)] == ["A"]
    assert [each.fingerprint for each in prompts_of(engine, None, since=3.5, limit=9)] == ["A"]
    assert [(each.fingerprint, each.requests) for each in prompts_of(engine, "desk", since=0.0, limit=9)] == [("f", 1)]


def test_only_what_clients_asked_is_counted_and_what_is_no_chat_is_not_unmatched(engine):
    records = [unmatched(1, "A"), exchange(2), exchange(3, origin="probe"), exchange(4, task="gone")]
    store(engine, [*records, unmatched(5, "", reason="embeddings")])
    assert counts(engine, ["desk"], since=0.0) == (1, 3)
    assert counts(engine, ["desk"], since=1.5) == (0, 2)
    assert [each.fingerprint for each in prompts_of(engine, None, since=0.0, limit=9)] == ["A"]
