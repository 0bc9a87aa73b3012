import pytest
import sqlalchemy as sa

from ledger.database import connect
from ledger.decisions import Decision, began, latest, notices, record, tell_failed


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def test_decisions_come_newest_first_and_by_task(engine):
    record(engine, Decision(1.0, "desk", "wait", "rows", "10 of 300"))
    record(engine, Decision(2.0, "other", "train", "first", "300 rows"))
    record(engine, Decision(3.0, "desk", "train", "first", "300 rows", "desk--v000001"))
    assert [d.action for d in latest(engine, "desk")] == ["train", "wait"]
    assert latest(engine, "desk", limit=1)[0].release == "desk--v000001"


def test_a_run_was_begun_for_the_reason_that_was_recorded_last(engine):
    assert began(engine, "desk") is None
    record(engine, Decision(1.0, "desk", "train", "first", "300 rows"))
    record(engine, Decision(2.0, "desk", "train", "rows", "600 rows; a student would save $2"))
    record(engine, Decision(3.0, "desk", "notice", "drift", "it answers less", "desk--v000001"))
    record(engine, Decision(4.0, "other", "train", "hand", "a person has asked for it"))
    assert began(engine, "desk") == "600 rows; a student would save $2"


def test_waiting_by_the_same_rule_is_written_once_and_its_numbers_follow(engine):
    for at in (1.0, 2.0, 3.0):
        record(engine, Decision(at, "desk", "wait", "rows", f"{at} rows"))
    assert latest(engine, "desk") == [Decision(1.0, "desk", "wait", "rows", "3.0 rows")]
    record(engine, Decision(4.0, "desk", "wait", "settled", "nothing asks"))
    record(engine, Decision(5.0, "desk", "wait", "rows", "few new rows"))
    assert [(d.at, d.trigger) for d in latest(engine, "desk")] == [(5.0, "rows"), (4.0, "settled"), (1.0, "rows")]
    for at in (6.0, 7.0):
        record(engine, Decision(at, "desk", "train", "rows", "again"))
    assert len(latest(engine, "desk")) == 5


def test_a_failure_is_told_each_time_and_a_ledger_that_is_away_hides_no_error(engine):
    for _ in range(2):
        record(engine, Decision(1.0, "desk", "train", "first", "rows are enough"))
        tell_failed(engine, "desk", "DiskFull: 1 GB is free")
    assert [each.action for each in latest(engine, "desk")] == ["wait", "train"] * 2
    assert latest(engine, "desk")[0].reason == "a run has failed: DiskFull: 1 GB is free"
    tell_failed(sa.create_engine("sqlite://"), "desk", "what failed it")  # without a table


def test_a_notice_that_is_found_again_is_written_once_and_hides_no_wait(engine):
    shift = Decision(2.5, "desk", "notice", "score", "the mean score has gone", "desk--v000001")
    record(engine, Decision(1.0, "desk", "wait", "settled", "nothing asks"))
    assert record(engine, shift) and not record(engine, shift)
    assert record(engine, Decision(2.5, "desk", "notice", "prompt length", "longer", "desk--v000001"))
    assert not record(engine, Decision(3.0, "desk", "wait", "settled", "nothing asks"))
    assert [d.trigger for d in notices(engine, "desk--v000001")] == ["score", "prompt length"]
    assert notices(engine, "desk--v000002") == []
