"""Requests without a task: their sums, an example of each, and their becoming a task's."""

import pytest

from ledger.database import connect
from ledger.ingest import store
from ledger.releases import add_candidate
from ledger.unclaimed import Claim, ClaimRefused, claim, prompts, rows, volumes
from tests.ledger.make import exchange
from tests.ledger.test_prompts import unmatched


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def claimed(number):
    return Claim(f"id-{number:06d}", "no_release", as_eligible=True, as_reference=True, as_rho=1.0)


def test_sums_are_of_what_was_answered_dearest_first(engine):
    lost = unmatched(9, "A", status=502, teacher_reply=None)
    store(engine, [unmatched(1, "A"), unmatched(2, "B"), unmatched(3, "B", model="huge"), unmatched(4, "B"), lost])
    first, *others = volumes(engine, since=0.0)
    assert (first.model, first.fingerprint, first.requests, first.first_at, first.last_at) == ("big", "B", 2, 2.0, 4.0)
    assert first.usd == pytest.approx(0.02) and (first.prompt_tokens, first.answer_tokens) == (20, 2)
    assert {(each.model, each.fingerprint) for each in others} == {("big", "A"), ("huge", "B")}
    assert [each.requests for each in volumes(engine, since=3.5)] == [1]


def test_prompts_are_of_the_newest_request_and_rows_newest_first(engine):
    records = [unmatched(1, "A"), unmatched(2, "A"), unmatched(3, "B"), unmatched(4, "A", model="huge"), exchange(5)]
    store(engine, records)
    assert dict(prompts(engine, "big")) == {"A": records[1].messages, "B": records[2].messages}
    assert dict(prompts(engine, "big", fingerprints=["B"])) == {"B": records[2].messages}
    assert [row.exchange_id for row in rows(engine, "big", ["A", "B"])] == ["id-000003", "id-000002", "id-000001"]
    assert [row.exchange_id for row in rows(engine, "big", ["A"], since=1.5, limit=1)] == ["id-000002"]
    assert rows(engine, "big", ["A"])[0].text == "label 2"


def test_only_what_has_no_task_is_claimed(engine):
    store(engine, [unmatched(1, "A"), unmatched(2, "A"), exchange(3)])
    assert claim(engine, "mail", [claimed(1), claimed(3)]) == 1
    assert claim(engine, "mail", [claimed(1), claimed(2)]) == 1
    assert claim(engine, "mail", []) == 0 and volumes(engine, since=0.0) == []


def test_a_task_with_a_release_claims_nothing(engine):
    store(engine, [unmatched(1, "A")])
    add_candidate(engine, task="mail", cut_at=0.0, base_model="m", now=1.0)
    with pytest.raises(ClaimRefused, match="has releases already"):
        claim(engine, "mail", [claimed(1)])
    assert len(volumes(engine, since=0.0)) == 1
