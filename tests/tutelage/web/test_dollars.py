"""The dollars of one exchange."""

import pytest

from ledger.database import connect
from ledger.forgetting import Meant, find, forget
from ledger.ingest import store
from ledger.records import Draft, Label, TeacherReply, Usage
from tests.ledger.make import exchange, student_exchange
from tutelage.web.dollars import of_exchange
from tutelage.web.found import one

DRAFT = Draft("refund", "stop", {"x": 1.0}, Usage(98, 2), 0.0001)


@pytest.fixture
def told(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")

    def tell(*records, by_the_hour=False):
        store(engine, records)
        return dict(of_exchange(engine, one(engine, records[0].id), by_the_hour=by_the_hour))

    return tell


def test_an_escalated_one_has_paid_for_its_draft_and_its_answer(told):
    usage = Usage(90, 3, cached_tokens=64, reasoning_tokens=2)
    reply = TeacherReply("big", "refund", "stop", usage, 0.01)
    assert told(exchange(1, draft=DRAFT, teacher_reply=reply)) == {
        "draft": "$0.00010, 98 tokens read, 2 written",
        "teacher's answer": "$0.0100, 90 tokens read, 3 written (of them 64 read before, 2 of reasoning)",
        "spent": "$0.0101",
        "teacher alone": "$0.0100",
    }


def test_an_answer_of_the_student_is_held_against_what_references_cost(told):
    label = Label(exchange_id="id-000001", at=1.0, reply=TeacherReply("big", "refund", "stop", Usage(90, 3), 0.01))
    assert told(student_exchange(2, draft=DRAFT))["teacher alone"].startswith("not known")
    labelled = told(student_exchange(1, draft=DRAFT), label)
    assert labelled["label of a reference"].startswith("$0.0100") and labelled["spent"] == "$0.0101"
    assert labelled["teacher alone"] == "$0.0100, which its label has cost"
    twice = Draft("refund", "stop", {}, Usage(196, 4), 0.0)
    assert told(student_exchange(3, draft=twice), by_the_hour=True) == {
        "draft": "$0.00, 196 tokens read, 4 written; its machine is paid by the hour",
        "spent": "$0.00",
        "teacher alone": "some $0.0200, as the task's references cost for as many tokens",
    }


def test_what_nobody_answered_and_what_is_our_own_account(told):
    refused = exchange(1, status=429, route="none", teacher_reply=None)
    assert told(refused) == {"spent": "$0.00", "teacher alone": "$0.00"}
    probe = told(exchange(2, origin="probe", reason="own"))
    assert probe.keys() == {"teacher's answer", "spent"}
    assert told(exchange(3, origin="import")) == {"cost": "somebody else's: it was imported"}


def test_what_is_forgotten_has_cost_what_it_has(tmp_path, told):
    told(student_exchange(1, draft=DRAFT))
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    forget(engine, find(engine, (meant := Meant(exchanges=("id-000001",))), due=9e9), meant=meant, now=9e9)
    found = dict(of_exchange(engine, one(engine, "id-000001"), by_the_hour=False))
    assert (found["draft"], found["spent"]) == ("$0.00010, 98 tokens read, 2 written", "$0.00010")


def test_a_page_does_not_read_what_only_a_student_reads(tmp_path, told):
    told(exchange(1, teacher_reply=TeacherReply("big", "yes", rationale="long", logprobs=[[("yes", -0.5)]])))
    row = one(connect(f"sqlite:///{tmp_path}/ledger.db"), "id-000001")
    assert row["teacher_text"] == "yes" and not {"teacher_rationale", "teacher_logprobs"} & row.keys()
