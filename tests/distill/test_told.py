"""What a report is told beside the certificate: of whom, by which prices, and what is not known."""

from types import SimpleNamespace

import pytest

from distill.evaluate import judge
from distill.judge import JudgeMute
from distill.told import of_fit, of_window
from ledger.database import connect
from ledger.ingest import store
from ledger.prices import Price, write_price
from ledger.records import TeacherReply, Usage
from tests.distill.seen import window
from tests.ledger.make import exchange

CONFIG = SimpleNamespace(anew=None, teacher="big", rho=0.05)
ANEW = SimpleNamespace(anew=object(), teacher="new", rho=0.05)
SEEN = window(("refund", "refund", {}), ("refund", "voucher", {"correction": "refund"}), scores=(0.9, 0.8))


@pytest.fixture
def engine(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    reply = TeacherReply("big", "refund", "stop", Usage(100, 10), 0.5, 2.0)
    store(engine, [exchange(n, id=f"id-{n}", teacher_reply=reply) for n in range(2)])
    return engine


def compare(rows, drafts, answers):
    return judge([row.exchange_id for row in rows], drafts, answers, measure="exact")


def told(engine, config=CONFIG, *, threshold=0.85, by=compare, say=lambda words: None):
    return of_window(engine, config, seen=SEEN, threshold=threshold, compare=by, say=say)


def test_of_a_certified_window_all_is_told(engine):
    found = told(engine)
    assert found["effort"]["of"] == "window" and found["effort"]["teacher"]["p50_s"] == 2.0
    assert found["people"]["drafts"] == {"rows": 1, "teacher_wrong": 1, "fixed": 1, "copied": 0, "added": 0}
    assert found["people"]["answers"]["rows"] == 0
    assert (found["corrections"], found["window_agreement_corrected"]) == (1, 1.0)
    assert found["expected"]["escalation"] == 0.5 and found["expected"]["rho"] == 0.05
    assert found["expected"]["dollars"]["teacher_alone"] == 0.5


def test_dollars_are_those_of_the_price_in_force(engine):
    write_price(engine, "big", Price(0.001, 0.01), source="settings", at=1.0)
    assert told(engine)["expected"]["dollars"]["teacher_alone"] == pytest.approx(0.2)


def test_without_a_certificate_nothing_is_said_of_a_threshold(engine):
    found = told(engine, threshold=None)
    assert "expected" not in found and found["people"]["answers"] is None and found["people"]["drafts"]["fixed"] == 1


def test_before_the_window_is_looked_at_there_are_the_rows_that_fit(engine):
    found = of_fit(engine, CONFIG, rows=SEEN.window, drafts=[SEEN.drafts[0], None])
    assert found["effort"]["of"] == "fit rows" and found["effort"]["student"]["rows"] == 1
    assert found.keys() == {"effort"}


def test_of_a_teacher_or_prompt_to_come_nothing_recorded_is_told(engine):
    found = told(engine, ANEW)
    assert found["effort"]["teacher"]["rows"] == 0 and found["effort"]["student"]["rows"] == 2
    assert found["expected"]["escalation"] == 0.5 and found["expected"]["dollars"] is None
    assert found["people"]["drafts"]["rows"] == 0 and "corrections" not in found


def test_a_judge_that_is_away_fails_nothing(engine):
    said = []

    def mute(rows, drafts, answers):
        raise JudgeMute("no verdict")

    found = told(engine, by=mute, say=said.append)
    assert found.keys() == {"effort", "expected"}
    assert said == ["drafts are not compared with what people say is right: no verdict"]
