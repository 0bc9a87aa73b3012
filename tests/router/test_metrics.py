import os
import re
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from ledger.budgets import Balance, Budget
from ledger.live import DAY_S, Live
from ledger.progress import Progress
from ledger.records import Draft, TeacherReply, Usage
from ledger.seen import Seen
from router.metrics import Metrics
from router.metrics_state import Contracted
from tests.ledger.make import student_exchange

ON_ITS_WAY = Progress(rows=120, rows_needed=300, references=200, references_needed=200, expected_at=1e9)


def show(**seen):
    return expose(Metrics(), **seen)


def expose(metrics, releases=None, **seen):
    return metrics.exposition(releases=releases or {}, seen=Seen(**seen)).decode()


def test_what_is_in_force_is_shown_as_it_is_now():
    metrics = Metrics()
    first = expose(metrics, releases={"desk": "desk--v000001"})
    then = expose(metrics, releases={"desk": "desk--v000002"})
    assert 'tutelage_release_in_force{release="desk--v000001",stage="champion",task="desk"} 1.0' in first
    assert "desk--v000001" not in then and 'release="desk--v000002"' in then


def test_a_canary_is_shown_beside_the_champion():
    text = Metrics().exposition(releases={"desk": "v1"}, on_trial={"desk": "v2"}, seen=Seen()).decode()
    assert 'tutelage_release_in_force{release="v1",stage="champion",task="desk"} 1.0' in text
    assert 'tutelage_release_in_force{release="v2",stage="canary",task="desk"} 1.0' in text


def test_progress_has_rows_needs_and_a_date_while_there_is_one():
    text = show(progress={"desk": ON_ITS_WAY})
    assert 'tutelage_rows_gathered{kind="rows",task="desk"} 120.0' in text
    assert 'tutelage_rows_needed{kind="references",task="desk"} 200.0' in text
    assert 'tutelage_rows_expected_timestamp_seconds{task="desk"} 1e+09' in text
    assert "tutelage_rows_expected_timestamp_seconds{" not in show()


def test_shifts_of_signals_are_shown():
    text = show(noticed={"desk": {"score": 2}})
    assert 'tutelage_drift_notices{signal="score",task="desk"} 2.0' in text


def test_what_the_references_say_is_shown_of_the_release_in_force():
    live = Live(since=1.0, answers=900, references=60, errors=2, agreement=0.96, low=0.9, high=0.99, alarm=0.25)
    text = show(releases={"desk": "desk--v000001"}, live={"desk": live})
    for name, value in (
        ("agreement", 0.96),
        ("agreement_lower", 0.9),
        ("agreement_upper", 0.99),
        ("alarm_level", 0.25),
    ):
        assert f'tutelage_{name}{{release="desk--v000001",task="desk"}} {value}' in text
    assert "tutelage_agreement{" not in show(live={"desk": live})  # the gateway does not use it


def test_capacity_and_refusals_are_counted():
    metrics = Metrics()
    metrics.show_capacity("big", 60)
    metrics.count_refused("big", priority="low")
    text = expose(metrics)
    assert 'tutelage_teacher_capacity_rpm{teacher="big"} 60.0' in text
    assert 'tutelage_refused_total{priority="low",teacher="big"} 1.0' in text


def test_b_is_shown_in_days_of_each_task_and_of_all_where_the_pace_is_known():
    day = Live(
        since=time.time() - DAY_S, answers=900, references=100, errors=2, agreement=0.96, low=0.9, high=0.99, alarm=0.2
    )
    metrics = Metrics(tasks={name: Contracted("big", 0.1, 0.05, 5000.0) for name in ("desk", "mail", "chat")})
    in_force = {"desk": "desk--v000001", "mail": "mail--v000003", "chat": "chat--v000001"}
    seen = {"desk": day, "mail": replace(day, references=300), "chat": replace(day, references=3)}
    found = dict(
        re.findall(r"^tutelage_alarm_bound_days(\S*) ([\d.]+)", expose(metrics, releases=in_force, live=seen), re.M)
    )
    assert float(found['{release="desk--v000001",task="desk"}']) == pytest.approx(50.0, rel=0.01)
    assert float(found['{release="mail--v000003",task="mail"}']) == pytest.approx(5000 / 300, rel=0.01)
    assert float(found["_of_all"]) == pytest.approx(5000 / 400, rel=0.01) and len(found) == 3
    assert "\ntutelage_alarm_bound_days_of_all " not in expose(metrics, live=seen)  # nothing is in force


def test_budgets_are_shown_with_what_is_spent_promised_and_left():
    text = Metrics().exposition(releases={}, seen=Seen(), balances=[Balance("total", Budget(2.0, "month"), 0.5, 0.25)])
    for name, value in (("usd", 2.0), ("spent_usd", 0.5), ("reserved_usd", 0.25), ("left_usd", 1.25)):
        assert f'tutelage_budget_{name}{{per="month",scope="total"}} {value}' in text.decode()


def sample(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_what_the_gateway_adds_is_the_time_without_its_waits():
    metrics = Metrics()
    drafted = Draft("refund", "stop", {}, Usage(10, 2), latency_s=0.2)
    answered = TeacherReply("big", "refund", "stop", Usage(10, 1), latency_s=0.5)
    metrics.count(student_exchange(1, draft=drafted, latency_s=0.21))
    metrics.count(
        student_exchange(2, route="teacher", reason="unsure", draft=drafted, teacher_reply=answered, latency_s=0.73)
    )
    own = "tutelage_gateway_seconds_sum"
    assert sample(metrics, own, task="desk", route="student") == pytest.approx(0.01)
    assert sample(metrics, own, task="desk", route="teacher") == pytest.approx(0.03)
    metrics.count(student_exchange(3, stream=True, draft=drafted, latency_s=9.0, first_byte_s=0.3))
    metrics.count(student_exchange(4, route="teacher", reason="student_unavailable", draft=None, latency_s=9.0))
    assert sample(metrics, own, task="desk", route="student") == pytest.approx(0.01)
    assert sample(metrics, own, task="desk", route="teacher") == pytest.approx(0.03)
    assert sample(metrics, "tutelage_first_byte_seconds_sum", task="desk", route="student") == pytest.approx(0.3)


def test_drafts_are_counted_by_release_and_errors_of_a_teacher_by_their_name():
    metrics = Metrics()
    failed = TeacherReply("big", None, error="client left")
    metrics.count(student_exchange(1))
    metrics.count(student_exchange(2, route="none", reason="unsure", status=499, teacher_reply=failed))
    metrics.count(student_exchange(3, route="teacher", reason="unfamiliar", draft=None, score=None))
    metrics.count(student_exchange(4, route="teacher", reason="decoding_mode", draft=None, score=None))
    for outcome in ("accepted", "escalated", "unfamiliar"):
        labels = {"task": "desk", "release": "desk--v000001", "outcome": outcome}
        assert sample(metrics, "tutelage_drafts_total", **labels) == 1
    assert sample(metrics, "tutelage_teacher_errors_total", teacher="big", error="client_left") == 1
    assert sample(metrics, "tutelage_gateway_seconds_count", task="desk", route="none") is None


def test_a_release_that_was_always_sure_has_a_zero_to_jump_from():
    metrics = Metrics()
    metrics.count(student_exchange(1))
    labels = {"task": "desk", "release": "desk--v000001"}
    assert sample(metrics, "tutelage_drafts_total", **labels, outcome="accepted") == 1
    assert sample(metrics, "tutelage_drafts_total", **labels, outcome="escalated") == 0


def test_several_processes_count_together_and_one_that_was_killed_leaves_no_breaker_open(tmp_path):
    script = (
        "import os, sys; from router.metrics import Metrics, forget_ended_processes\n"
        "from tests.ledger.make import student_exchange\n"
        "forget_ended_processes(); metrics = Metrics(); metrics.count(student_exchange(1))\n"
        "metrics.note_breaker('student', 'student', True)\n"
        "from ledger.seen import Seen\n"
        "print(metrics.exposition(releases={}, seen=Seen()).decode())"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    pages = [
        subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(3)
    ]
    for count, text in enumerate(pages, start=1):
        accepted = 'tutelage_requests_total{reason="accepted",route="student",status="200",task="desk"}'
        assert f"{accepted} {float(count)}" in text
        assert (
            'tutelage_breaker_open{name="student",part="student"} 1.0' in text
        )  # its own; the ended ones are forgotten
