"""What is shown of the ledger: decisions, runs, certificates, and the spool."""

import re
import time

import pytest

from ledger import decisions, leases, live, releases
from ledger.backlog import Backlog, backlog
from ledger.database import connect
from ledger.decisions import Decision
from ledger.live import Live
from ledger.seen import Seen, read
from ledger.spool import SpoolWriter, segments
from router.metrics import Metrics
from router.metrics_state import Contracted
from tests.ledger.make import certified, student_exchange

DESK = {"desk": Contracted("big", 0.1, 0.05, 5000.0)}


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def page(seen: Seen, *, backlog=None, releases=None) -> dict[str, float]:
    """Sample -> value."""
    text = Metrics(tasks=DESK).exposition(releases=releases or {}, seen=seen, backlog=backlog).decode()
    return {name: float(value) for name, value in re.findall(r"^(tutelage_\S+) (\S+)$", text, re.M)}


def test_counts_begin_with_zero_before_anything_has_happened(engine):
    found = page(read(engine, now=1.0))
    assert found['tutelage_decisions_total{action="void",task="desk",trigger="alarm"}'] == 0
    assert found['tutelage_runs_total{outcome="failed",task="desk"}'] == 0
    assert found['tutelage_requests_total{reason="accepted",route="student",status="200",task="desk"}'] == 0
    assert found['tutelage_breaker_open{name="big",part="teacher"}'] == 0
    assert found["tutelage_worker_up"] == 0 and found["tutelage_ledger_up"] == 1


def test_what_the_worker_decides_is_counted_and_a_wait_that_goes_on_once(engine):
    for at, action, trigger in ((1.0, "wait", "rows"), (2.0, "wait", "rows"), (3.0, "train", "first")):
        decisions.record(engine, Decision(at, "desk", action, trigger, f"at {at}"))
    decisions.record(engine, Decision(4.0, "desk", "notice", "score", "a shift", "desk--v000001"))
    found = page(read(engine, now=5.0))
    assert found['tutelage_decisions_total{action="wait",task="desk",trigger="rows"}'] == 1
    assert found['tutelage_decisions_total{action="train",task="desk",trigger="first"}'] == 1
    assert found['tutelage_decision_stands{action="train",task="desk",trigger="first"}'] == 1
    assert sum("tutelage_decision_stands" in name for name in found) == 1


def test_runs_are_told_by_what_became_of_their_releases(engine):
    names = [releases.add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=1.0).name for _ in range(4)]
    releases.promote(engine, names[0], values=certified(), now=2.0)
    refusal = {"reason": "too few", "n": 1, "rows_needed": None, "labels_seen": True}
    releases.refuse(engine, names[1], refusal=refusal, report={}, now=3.0)
    releases.refuse(engine, names[2], refusal={**refusal, "verdict": False}, report={}, now=3.0)
    found = page(read(engine, now=5.0))
    runs = {
        outcome: found[f'tutelage_runs_total{{outcome="{outcome}",task="desk"}}']
        for outcome in ("certified", "refused", "failed")
    }
    assert runs == {"certified": 1, "refused": 1, "failed": 1}  # the fourth is under way
    assert found['tutelage_releases{status="candidate",task="desk"}'] == 1


def test_a_certificate_is_shown_whether_or_not_it_is_in_force(engine):
    name = releases.add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=1.0).name
    values = certified(expires_at=7.0)
    values["report"]["training"] = {"rows": 321}
    releases.promote(engine, name, values=values, now=2.0)
    found, labels = page(read(engine, now=9.0)), f'{{release="{name}",task="desk"}}'
    assert found[f"tutelage_certificate_expires_timestamp_seconds{labels}"] == 7.0
    assert found[f"tutelage_certificate_upper_bound{labels}"] == 0.07
    assert found[f"tutelage_release_taught_rows{labels}"] == 321
    assert not any(name.startswith("tutelage_release_in_force") for name in found)


def test_exposure_is_shown_where_it_was_counted(engine):
    name = releases.add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=1.0).name
    releases.promote(engine, name, values=certified(), now=2.0)
    shown = Live(1.0, 900, 60, 2, agreement=0.96, low=0.9, high=0.99, alarm=0.25)
    sample = f'tutelage_alarm_exposure_answers{{release="{name}",task="desk"}}'
    for exposure, there in ((None, False), (355.0, True)):
        live.publish(engine, name, Live(**{**vars(shown), "exposure": exposure}))
        found = page(read(engine, now=3.0), releases={"desk": name})
        assert (sample in found) is there
        assert found[f'tutelage_live_errors{{release="{name}",task="desk"}}'] == 2


def test_a_worker_and_a_run_are_seen_by_their_leases(engine):
    for name in (leases.WORKER, leases.run_lease("desk")):
        leases.take(engine, name, holder="h", now=100.0, term_s=30.0)
    seen = page(read(engine, now=110.0))
    assert seen["tutelage_worker_up"] == 1 and seen['tutelage_run_active{task="desk"}'] == 1
    later = page(read(engine, now=140.0))
    assert later["tutelage_worker_up"] == 0 and later['tutelage_run_active{task="desk"}'] == 0


def test_the_backlog_is_what_the_ledger_does_not_have(tmp_path):
    writer = SpoolWriter(tmp_path)
    writer.append(student_exchange(1, at=50.0, latency_s=2.0))
    (path,), first = segments(tmp_path), segments(tmp_path)[0].stat().st_size
    writer.append(student_exchange(2, at=60.0, latency_s=2.0))
    (tmp_path / "0.jsonl.rejected").write_bytes(b"x\n")
    nothing_known, one_known = backlog(tmp_path, {}), backlog(tmp_path, {path.name: first})
    whole = path.stat().st_size
    assert (nothing_known.bytes, nothing_known.waiting, nothing_known.oldest_at) == (whole, whole, 52.0)
    assert (one_known.waiting, one_known.oldest_at, one_known.rejected) == (whole - first, 62.0, 1)
    all_known = backlog(tmp_path, {path.name: whole})
    assert (all_known.waiting, all_known.oldest_at) == (0, None) and all_known.free > 0
    writer.close()


def test_of_several_processes_the_oldest_record_counts(tmp_path):
    first, second = SpoolWriter(tmp_path), SpoolWriter(tmp_path)
    first.append(student_exchange(1, at=90.0))
    second.append(student_exchange(2, at=40.0))
    assert backlog(tmp_path, {}).oldest_at == 40.0
    first.close()
    second.close()


def test_a_spool_that_waits_has_an_age_and_one_that_cannot_be_read_has_no_samples():
    found = page(Seen(), backlog=Backlog(bytes=10, waiting=4, oldest_at=time.time() - 30.0, free=99))
    assert found["tutelage_ingester_lag_seconds"] == pytest.approx(30.0, abs=1.0)
    assert found["tutelage_spool_waiting_bytes"] == 4 and found["tutelage_spool_free_bytes"] == 99
    assert not any("spool_bytes" in name for name in page(Seen()))


def test_a_ledger_that_is_away_says_so():
    assert page(Seen(fresh=False))["tutelage_ledger_up"] == 0
