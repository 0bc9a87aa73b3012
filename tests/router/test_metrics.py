import re
import time
from dataclasses import replace

import pytest

from ledger.budgets import Balance, Budget
from ledger.live import DAY_S, Live
from ledger.progress import Progress
from ledger.seen import Seen
from router.metrics import Metrics

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
    metrics = Metrics(alarm_bounds={"desk": 5000.0, "mail": 5000.0, "chat": 5000.0})
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
