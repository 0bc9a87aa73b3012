import pytest

from calibration.judged import Labelled
from calibration.question import Pair
from ledger import verdicts
from ledger.database import KEYS_AT_ONCE, connect
from ledger.ingest import store
from ledger.records import TeacherReply, Usage
from ledger.verdicts import JudgedLabel
from tests.ledger.make import exchange, student_exchange

REPLY = TeacherReply("big", "invoice", "stop", Usage(1, 1))


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def test_the_first_verdict_of_an_exchange_stays_and_judges_are_not_mixed(engine):
    verdicts.add(engine, "j", {"a": True, "b": False}, now=1.0)
    verdicts.add(engine, "j", {"a": False, "c": True}, now=2.0)
    verdicts.add(engine, "k", {"a": False}, now=2.0)
    verdicts.add(engine, "k", {}, now=3.0)
    assert verdicts.known(engine, "j", ["a", "b", "c", "d"]) == {"a": True, "b": False, "c": True}
    assert verdicts.known(engine, "k", ["a"]) == {"a": False} and verdicts.known(engine, "j", []) == {}


def test_of_many_exchanges_none_is_passed_over(engine):
    ids = [f"id-{n}" for n in range(2 * KEYS_AT_ONCE + 1)]
    verdicts.add(engine, "j", dict.fromkeys(ids, True), now=1.0)
    assert verdicts.known(engine, "j", ids) == dict.fromkeys(ids, True)


def of(number, *, same, flagged):
    return JudgedLabel(Pair("q", f"student {number}", "teacher"), same, flagged)


def test_labels_are_counted_and_a_pair_that_is_labelled_again_counts_once(engine):
    first = [of(1, same=False, flagged=True), of(2, same=False, flagged=False), of(3, same=True, flagged=False)]
    verdicts.label(engine, "desk", judge="j", labels=first, now=1.0)
    assert verdicts.labelled(engine, "desk", judge="j") == Labelled(different=2, caught=1, same=1, spared=1)
    verdicts.label(engine, "desk", judge="j", labels=[of(2, same=True, flagged=True)] * 2, now=2.0)
    assert verdicts.labelled(engine, "desk", judge="j") == Labelled(different=1, caught=1, same=2, spared=1)
    assert verdicts.labelled(engine, "desk", judge="k") == verdicts.labelled(engine, "mail", judge="j") == Labelled()


def test_accepted_drafts_are_references_that_the_student_has_answered_beside_the_teachers_answer(engine):
    store(
        engine,
        [
            student_exchange(1, reference=True, teacher_reply=REPLY),
            student_exchange(2, reference=False, teacher_reply=REPLY),
            student_exchange(3, reference=True),
            student_exchange(4, reference=True, teacher_reply=REPLY, route="teacher"),
            student_exchange(5, reference=True, teacher_reply=REPLY, release="desk--v000002"),
            exchange(6),
        ],
    )
    (only,) = verdicts.accepted(engine, "desk--v000001")
    assert only == ([{"role": "user", "content": "message 1 \u2713"}], "refund", "invoice")
    assert verdicts.messages_of(engine, ["id-000006"]) == {
        "id-000006": [{"role": "user", "content": "message 6 \u2713"}]
    }
