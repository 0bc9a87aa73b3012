import pytest

from calibration.monitor import Alarm
from distill import references as following
from distill.references import Followed, References
from ledger import live
from ledger.database import connect
from ledger.ingest import ingest_once
from ledger.records import Draft, TeacherReply, Usage
from ledger.releases import add_candidate, promote
from ledger.spool import SpoolWriter
from tests.ledger.make import certified, student_exchange


@pytest.fixture
def ledger(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    name = add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=0.5).name
    promote(engine, name, values=certified(), now=0.6)
    return engine


@pytest.fixture
def record(ledger, tmp_path):
    def write(numbers, **fields):
        spool = SpoolWriter(tmp_path / "spool")
        for number in numbers:
            spool.append(student_exchange(number, **fields))
        spool.close()
        ingest_once(ledger, tmp_path / "spool")

    return write


def look(references, ledger, *, go_on=lambda: True):
    champion = Followed("desk--v000001", threshold=0.5, measure="exact", alarm=Alarm(0.1, 100.0))
    return references.look("desk", champion, due=1e9, go_on=go_on)


def test_a_long_history_is_read_to_its_end_in_parts_while_that_is_allowed(ledger, record, monkeypatch):
    monkeypatch.setattr(following, "AT_ONCE", 10)
    record(range(1, 36), reference=False)
    references = References(ledger)
    assert look(references, ledger, go_on=lambda: False).agreement.answers == 10
    assert look(references, ledger).agreement.answers == 35


def test_a_lower_rate_begins_another_interval_and_the_alarm_goes_on(ledger, record):
    record(range(1, 3), reference=True)  # without labels: lost
    record(range(3, 11), reference=False)
    record(range(11, 16), reference=False, rho=0.25)
    found = look(References(ledger), ledger)
    assert (found.agreement.answers, found.agreement.rate, found.since) == (5, 0.25, 11.0)
    assert found.alarm.references == found.alarm.errors == 2
    assert live.published(ledger)["desk"].since == 11.0


def test_references_are_compared_by_the_tasks_measure(ledger, record):
    label = TeacherReply("big", "it is 12.0", "stop", Usage(5, 1), 0.01, 0.1)
    record(range(1, 6), draft=Draft("12", "stop", {"x": 1.0}, Usage(1, 1), 0.1), teacher_reply=label, reference=True)
    for measure, errors in (("number", 0), ("exact", 5)):
        champion = Followed("desk--v000001", threshold=0.5, measure=measure, alarm=Alarm(0.5, 1e6))
        found = References(ledger).look("desk", champion, due=1e9, go_on=lambda: True)
        assert found.agreement.errors == errors


def test_a_slow_answer_that_is_recorded_after_a_quick_one_is_heard_as_well(ledger, record):
    references = References(ledger)
    record([2], reference=True)
    assert look(references, ledger).alarm.references == 1
    record([1], reference=True)  # it arrived before
    assert look(references, ledger).alarm.references == 2
    assert look(references, ledger).alarm.references == 2


def test_what_is_recorded_while_the_clock_is_set_back_an_hour_is_heard(ledger, record):
    references = References(ledger)
    record(range(5000, 5003), reference=False)
    assert look(references, ledger).agreement.answers == 3
    record(range(1400, 1403), reference=True)
    assert look(references, ledger).alarm.references == 3


def test_nothing_is_added_behind_an_alarm(ledger, record):
    record(range(1, 31), reference=True)
    found = look(References(ledger), ledger)
    assert found.alarm.raised and found.alarm.references < 30
    assert found.in_words().startswith(f"alarm: {found.alarm.errors} of the last {found.alarm.errors} references")


def test_an_alarm_says_the_contract_as_it_was_made():
    followed = Followed("desk--v000001", threshold=0.5, measure="exact", alarm=Alarm(0.025, 100.0), heard=[1.0])
    assert followed.in_words().endswith("the contract allows 2.5%")
