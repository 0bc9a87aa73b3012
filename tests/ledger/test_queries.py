"""The questions asked of the ledger, on a small known one."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.database import connect
from ledger.ingest import ingest_once, store
from ledger.queries import (
    RowReused,
    Spend,
    Use,
    answers_since,
    cost_timeline,
    mean_costs,
    record_uses,
    reference_key,
    route_counts,
    rows_used,
    spend,
    task_rows,
)
from ledger.records import Label, TeacherReply, Usage
from ledger.spool import SpoolWriter
from tests.ledger.make import exchange, student_exchange


@pytest.fixture
def engine(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    writer = SpoolWriter(tmp_path / "spool")
    for record in (
        exchange(1),
        exchange(2),
        student_exchange(3, reference=True),
        student_exchange(4, reference=True),
        student_exchange(5, reference=False),
        exchange(6, task=None, reason="no_task"),
        exchange(7, origin="probe"),
        Label(exchange_id="id-000003", at=9.0, reply=TeacherReply("big", "invoice", "stop", Usage(10, 1), 0.02)),
    ):
        writer.append(record)
    writer.close()
    ingest_once(engine, tmp_path / "spool")
    return engine


def test_rows_come_in_order_with_their_labels_or_without(engine):
    rows = task_rows(engine, "desk")
    assert [(row.exchange_id[-1], row.teacher_text) for row in rows] == [
        ("1", "label 1"), ("2", "label 2"), ("3", "invoice"), ("4", None), ("5", None)
    ]  # fmt: skip
    assert rows[0].messages == [{"role": "user", "content": "message 1 \u2713"}]
    assert [row.exchange_id[-1] for row in task_rows(engine, "desk", since=2.0, until=4.0)] == ["2", "3"]


def test_spend_in_hand_computed_dollars(engine):
    found = spend(engine, "desk")
    assert (found.requests, found.student_answers) == (5, 3)
    assert found.teacher_usd == pytest.approx(0.02)
    assert found.reference_usd == pytest.approx(0.02)
    assert found.draft_usd == pytest.approx(0.003)
    assert sum(usd for _, _, usd in cost_timeline(engine, "desk")) == pytest.approx(found.total_usd)


def test_routes_are_counted(engine):
    assert route_counts(engine, "desk") == {("teacher", "no_release"): 2, ("student", "accepted"): 3}


def answers(engine, **options):
    found = answers_since(engine, "desk--v000001", **options)
    return [(one.seq, one.reference, one.teacher_text) for one in found]


def test_a_students_answers_come_in_order_with_the_labels_of_references(engine):
    known = [(3, True, "invoice"), (4, True, None), (5, False, None)]
    assert answers(engine) == known
    assert answers(engine, limit=2) == known[:2]
    assert answers(engine, after=3) == known[1:]
    found = answers_since(engine, "desk--v000001", after=4)
    assert [(one.at, one.score, one.rho, one.text) for one in found] == [(5.0, 0.9, 0.5, "refund")]


def test_a_reference_that_its_client_did_not_read_to_the_end_is_an_answer_as_well(engine, tmp_path):
    writer = SpoolWriter(tmp_path / "spool")
    writer.append(student_exchange(9, reference=True, route="none", status=499))
    writer.append(student_exchange(10, reference=True, route="teacher", reason="unsure"))
    writer.close()
    ingest_once(engine, tmp_path / "spool")
    assert [one.at for one in answers_since(engine, "desk--v000001", after=7)] == [9.0]


def test_answers_end_where_a_label_may_still_be_on_its_way(engine):
    assert [number for number, *_ in answers(engine, due=4.0)] == [3]  # labelled; the fourth has no label
    assert [number for number, *_ in answers(engine, due=4.5)] == [3, 4, 5]


def test_a_row_certifies_once_and_never_what_it_taught(engine):
    record_uses(
        engine, release="desk--v000001", uses=[Use("id-000001", "train"), Use("id-000002", "certify", "d", 0.5, 0.0)]
    )
    for row in ("id-000001", "id-000002"):
        with pytest.raises(RowReused):
            record_uses(engine, release="desk--v000002", uses=[Use("id-000003", "certify"), Use(row, "certify")])
    assert "id-000003" not in rows_used(engine, "desk")
    record_uses(engine, release="desk--v000002", uses=[Use("id-000002", "train")])  # having certified, it may teach
    assert rows_used(engine, "desk") == {"id-000001": {"train"}, "id-000002": {"certify", "train"}}


def test_the_reference_key_is_made_once(engine):
    assert reference_key(engine) == reference_key(engine)
    assert len(reference_key(engine)) == 32


def test_processes_that_start_at_once_share_one_reference_key(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/new.db")
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: reference_key(engine), range(8)))) == 1


def test_a_row_says_how_it_was_answered_and_labelled(engine):
    first, *_, last = task_rows(engine, "desk", until=4.0)
    assert (first.route, first.teacher, first.teacher_finish_reason) == ("teacher", "big", "stop")
    assert (first.teacher_background, first.score, first.draft_text, first.release) == (False, None, None, None)
    assert (last.teacher_background, last.score, last.draft_text) == (True, 0.9, "refund")
    assert (last.eligible, last.reference, last.release) == (True, True, "desk--v000001")


def test_a_row_never_certifies_the_release_that_it_teaches_in_any_order(engine):
    row, release = "id-000001", "desk--v000001"
    with pytest.raises(RowReused):
        record_uses(engine, release=release, uses=[Use(row, "certify"), Use(row, "train")])
    record_uses(engine, release=release, uses=[Use(row, "certify")])
    for use in ("train", "validate", "fit"):
        with pytest.raises(RowReused):
            record_uses(engine, release=release, uses=[Use(row, use)])
    assert rows_used(engine, "desk") == {row: {"certify"}}


def test_two_runs_at_once_do_not_both_get_a_row_to_certify(engine):
    def claim(number: int) -> bool:
        use = Use("id-000001", "certify" if number % 2 else "train")
        try:
            record_uses(engine, release=f"desk--v{number:06d}", uses=[use])
        except RowReused:
            return False
        return number % 2 == 1

    with ThreadPoolExecutor(8) as pool:
        certified = list(pool.map(claim, range(16)))
    assert sum(certified) <= 1


def test_uses_of_another_task_are_not_mixed_in(engine):
    record_uses(engine, release="a_b--v000001", uses=[Use("x", "train")])
    record_uses(engine, release="axb--v000001", uses=[Use("y", "train")])
    assert rows_used(engine, "a_b") == {"x": {"train"}}


def test_a_task_without_traffic_has_spent_nothing(engine):
    assert spend(engine, "nobody") == Spend(0, 0, 0.0, 0.0, 0.0)


def test_what_a_teachers_answer_costs_is_not_what_a_judge_costs(engine):
    reply = TeacherReply("referee", "SAME", "stop", Usage(400, 1), 9.0)
    store(engine, [exchange(8, origin="judge", teacher_reply=reply)])
    teacher_usd, draft_usd = mean_costs(engine, "desk", release="desk--v000001")
    assert teacher_usd == pytest.approx((0.01 * 3 + 0.02) / 4) and draft_usd == pytest.approx(0.001)
    assert [row.exchange_id for row in task_rows(engine, "desk")][-1] == "id-000005"
    assert spend(engine, "desk").teacher_usd == pytest.approx(0.02)


def test_what_came_while_no_reference_was_drawn_is_no_answer_of_the_draw(engine):
    store(engine, [student_exchange(n, rho=None if n % 2 else 0.5, reference=False) for n in range(90, 94)])
    assert [one.at for one in answers_since(engine, "desk--v000001", after=7)] == [90.0, 92.0]
