import msgspec
import pytest

from ledger import releases
from ledger.database import connect
from ledger.forgetting import Meant, find, forget
from ledger.ingest import ingest_once
from ledger.queries import Use, record_uses
from ledger.records import TeacherReply, Usage
from ledger.spool import SpoolWriter
from ledger.standing import Load, load, standing
from tests.ledger.make import certified, exchange, student_exchange


@pytest.fixture
def ledger(tmp_path):
    """A ledger, and a way to put exchanges into it."""
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")

    def add(*exchanges):
        spool = SpoolWriter(tmp_path / "spool")
        for each in exchanges:
            spool.append(each)
        spool.close()
        ingest_once(engine, tmp_path / "spool")
        return engine

    return add


def ask(engine):
    return standing(engine, "desk", teacher="big", window_share=0.5)


def test_an_empty_ledger_stands_at_nothing(ledger):
    found = ask(ledger())
    assert (found.rows, found.references, found.attempts, found.first_at) == (0, 0, 0, None)


def test_rows_are_counted_on_both_sides_of_the_cut(ledger):
    engine = ledger(*map(exchange, range(10)), exchange(10, eligible=False), exchange(11, task="other"))
    found = ask(engine)
    assert (found.rows, found.references, found.first_at) == (5, 2, 0.0)  # references: 6 and 8
    assert found.live_share == 1.0
    name = releases.add_candidate(engine, task="desk", cut_at=5.0, base_model="b", now=7.5).name
    record_uses(engine, release=name, uses=[Use("id-000006", "certify")])
    refusal = {"reason": "few", "n": 50, "rows_needed": 123}
    releases.refuse(engine, name, refusal=refusal, report={"window_references": 100}, now=8.0)
    found = ask(engine)
    assert (found.references, found.new_rows, found.attempts, found.references_needed) == (1, 2, 1, 123)


@pytest.mark.parametrize(("labels_seen", "wanted"), [(False, 123), (True, None)])
def test_only_a_refusal_for_want_of_references_asks_for_them(ledger, labels_seen, wanted):
    engine = ledger(*map(exchange, range(10)))
    name = releases.add_candidate(engine, task="desk", cut_at=5.0, base_model="b", now=7.5).name
    refusal = {"reason": "errors", "n": 50, "rows_needed": 123, "labels_seen": labels_seen}
    releases.refuse(engine, name, refusal=refusal, report={"window_references": 100}, now=8.0)
    assert ask(engine).references_needed == wanted


def test_rows_of_a_teacher_before_count_for_nothing(ledger):
    before = TeacherReply("small", "refund", "stop", Usage(10, 1), 0.01, 0.2)
    engine = ledger(*(exchange(n, teacher_reply=before) for n in range(6)), *map(exchange, range(6, 10)))
    found = ask(engine)
    assert (found.rows, found.references, found.new_rows, found.first_at) == (2, 1, 4, 6.0)


def test_a_run_that_was_killed_or_failed_is_no_attempt(ledger):
    engine = ledger(*map(exchange, range(10)))
    releases.add_candidate(engine, task="desk", cut_at=5.0, base_model="b", now=20.0)
    assert (ask(engine).attempts, ask(engine).new_rows) == (0, 10)
    releases.abandon(engine, "desk", now=21.0)
    assert (ask(engine).attempts, ask(engine).new_rows) == (0, 10)
    failed = releases.add_candidate(engine, task="desk", cut_at=5.0, base_model="b", now=22.0).name
    releases.refuse(engine, failed, refusal={"reason": "few", "n": 9, "rows_needed": 99}, report={}, now=23.0)
    assert (ask(engine).attempts, ask(engine).refusals, ask(engine).new_rows) == (1, 1, 0)


def test_what_failed_its_trial_came_to_nothing_too(ledger):
    engine = ledger(*map(exchange, range(10)))
    for now in (20.0, 30.0):
        name = releases.add_candidate(engine, task="desk", cut_at=5.0, base_model="b", now=now).name
        releases.try_out(engine, name, values=certified(), now=now + 1)
        releases.rollback(engine, "desk", binding={}, now=now + 2, of=name, reason="it is slow")
    assert (ask(engine).attempts, ask(engine).refusals) == (2, 2)
    name = releases.add_candidate(engine, task="desk", cut_at=5.0, base_model="b", now=40.0).name
    releases.try_out(engine, name, values=certified(), now=41.0)
    releases.rollback(engine, "desk", binding={}, now=42.0)  # by a person
    assert (ask(engine).attempts, ask(engine).refusals) == (3, 0)


def test_the_escalation_rate_is_the_champions_and_needs_enough_requests(ledger):
    engine = ledger()
    name = releases.add_candidate(engine, task="desk", cut_at=5.0, base_model="b", now=7.5).name
    releases.promote(engine, name, values=certified(), now=8.0)
    ledger(*(exchange(n, release=name) for n in range(30)))
    assert ask(engine).escalation_rate is None
    ledger(*(msgspec.structs.replace(student_exchange(n), release=name) for n in range(30, 120)))
    found = ask(engine)
    assert (found.champion, found.champion_since, found.escalation_rate) == (name, 8.0, 0.25)
    ledger(*(exchange(n, release=name, reason="student_unavailable") for n in range(120, 160)))
    assert ask(engine).escalation_rate == 0.25  # an engine that is away says nothing about the student
    releases.void(engine, name, reason="alarm", now=9.0)
    assert ask(engine).voided and ask(engine).champion is None


def test_references_of_a_higher_rate_count_in_proportion(ledger):
    imported = [exchange(n, origin="import", rho=1.0, reference=True) for n in range(40)]
    alone = ask(ledger(*imported))
    assert (alone.references, alone.first_at, alone.live_share) == (20, None, 0.0)
    found = ask(ledger(*(exchange(n, rho=0.5) for n in range(40, 60))))
    assert (found.first_at, found.live_share) == (40.0, pytest.approx(1 / 3))
    assert found.references == 10 // 2 + 10  # imported rows 30..39, and half of twenty live ones


def test_a_few_rows_of_a_lower_rate_thin_nobody(ledger):
    ledger(*(exchange(n, rho=1.0, reference=True) for n in range(298)))
    assert ask(ledger(exchange(298, rho=0.05))).references == 150
    assert ask(ledger(exchange(299, rho=0.05))).references == 8  # two of 150 are more than a few


def test_a_release_that_was_rolled_back_after_one_was_voided_is_no_alarm(ledger):
    engine = ledger(*(exchange(n) for n in range(10)))
    for at, end in ((8.0, releases.void), (20.0, None)):
        name = releases.add_candidate(engine, task="desk", cut_at=at, base_model="b", now=at).name
        releases.promote(engine, name, values=certified(), now=at + 1)
        if end:
            end(engine, name, reason="alarm", now=at + 2)
            assert ask(engine).voided
    releases.rollback(engine, "desk", binding={}, now=30.0)
    assert ask(engine).champion is None and not ask(engine).voided


def test_the_cut_is_where_all_are_references_again_if_there_are_more_of_them(ledger):
    found = ask(ledger(*(exchange(n, rho=0.05, reference=n % 20 == 0) for n in range(200))))
    assert (found.rows, found.references) == (100, 5)
    found = ask(ledger(*(exchange(n, rho=1.0, reference=True) for n in range(200, 204))))
    assert found.rows == 102
    found = ask(ledger(*(exchange(n, rho=1.0, reference=True) for n in range(204, 220))))
    assert (found.rows, found.references) == (200, 20)


def test_what_is_forgotten_is_to_be_trained_again_until_that_was_tried_or_a_newer_one_serves(ledger):
    engine = ledger(*(exchange(n, rho=1.0, reference=True) for n in range(200)))
    made = {"task": "desk", "cut_at": 5.0, "base_model": "b"}
    one, two = (releases.add_candidate(engine, **made, now=now).name for now in (201.0, 202.0))
    releases.promote(engine, one, values=certified(), now=210.0)
    record_uses(engine, release=two, uses=[Use("id-000001", "train"), Use("id-000100", "certify")])
    releases.set_adapter(engine, two, path="/a", digest="d")
    releases.promote(engine, two, values=certified(), now=220.0)
    before = ask(engine)
    assert before.forgotten is None
    meant = Meant(exchanges=("id-000001",))
    forget(engine, find(engine, meant, due=1e9), meant=meant, now=230.0, bindings={"desk": {}})
    found = ask(engine)
    assert (found.champion, found.forgotten, found.voided) == (one, two, False)
    assert (found.references, found.rows) == (before.references, before.rows - 1)
    three = releases.add_candidate(engine, **made, now=235.0).name
    releases.promote(engine, three, values=certified(), now=240.0)
    assert ask(engine).forgotten is None


def test_a_refusal_of_the_next_one_is_an_attempt_to_train_it_again_and_a_failure_is_none(ledger):
    engine = ledger(*(exchange(n, rho=1.0, reference=True) for n in range(200)))
    name = releases.add_candidate(engine, task="desk", cut_at=5.0, base_model="b", now=201.0).name
    record_uses(engine, release=name, uses=[Use("id-000001", "train")])
    releases.set_adapter(engine, name, path="/a", digest="d")
    releases.promote(engine, name, values=certified(), now=210.0)
    meant = Meant(exchanges=("id-000001",))
    forget(engine, find(engine, meant, due=1e9), meant=meant, now=230.0)
    releases.add_candidate(engine, task="desk", cut_at=5.0, base_model="b", now=231.0)
    releases.abandon(engine, "desk", now=232.0)
    assert ask(engine).forgotten == name
    again = releases.add_candidate(engine, task="desk", cut_at=5.0, base_model="b", now=233.0).name
    releases.refuse(engine, again, refusal={"reason": "few", "n": 9, "rows_needed": 99}, report={}, now=234.0)
    assert ask(engine).forgotten is None


def test_the_load_counts_clients_and_what_their_teacher_answered(ledger):
    lost = exchange(3, status=429, route="none", teacher_reply=TeacherReply("big", None, error="CapacityExceeded"))
    elsewhere = (exchange(4, task="other"), exchange(5, origin="import"))
    engine = ledger(exchange(0), exchange(1), student_exchange(2), lost, *elsewhere)
    assert load(engine, "desk", since=0.0) == Load(requests=4, answered=2, tokens=11 + 11 + 12, first_at=0.0)
    assert load(engine, "desk", since=2.0) == Load(requests=2, answered=0, tokens=12, first_at=2.0)
    assert load(engine, "nobody", since=0.0) == Load(0, 0, 0, None)


def test_what_a_teacher_has_written_counts_among_the_rows_and_is_no_traffic(ledger):
    written = [exchange(100 + n, at=1.5, origin="synthetic", rho=None, reference=False) for n in range(7)]
    late, order = exchange(200, at=8.5, origin="synthetic"), exchange(201, at=1.5, origin="writer")
    plain, more = ask(ledger(*map(exchange, range(10)))), ask(ledger(*written, late, order))
    assert more.rows == plain.rows + 7
    assert (more.references, more.new_rows, more.first_at) == (plain.references, plain.new_rows, plain.first_at)
