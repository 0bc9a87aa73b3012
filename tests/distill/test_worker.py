"""The worker over a real ledger; runs are scripted, and time is set by hand."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec
import pytest
import sqlalchemy as sa

from calibration.certificate import Contract
from calibration.question import Judge, Pair
from distill.housekeeping import EXPIRE_EVERY_S, House
from distill.triggers import DAY_S, TriggerConfig
from distill.worker import (
    LEASE,
    PAUSE_S,
    TERM_S,
    TICK_S,
    Clocks,
    Outside,
    Watched,
    Worker,
    pause_s,
    run,
)
from distill.worth import TOO_FEW, Terms
from ledger import decisions, leases, live, progress, releases, schema, verdicts
from ledger.database import connect, writing
from ledger.forgetting import Meant, find, forget
from ledger.ingest import ingest_once
from ledger.prices import Price
from ledger.queries import Use, record_uses
from ledger.records import TeacherReply, Usage
from ledger.savings import savings
from ledger.spool import SpoolWriter
from ledger.standing import standing
from tests.ledger.make import certified, exchange, student_exchange

TRIGGERS = TriggerConfig(
    min_rows=20, min_references=10, max_references=900, new_rows=30, escalation_rate=0.5, age_s=DAY_S
)
WATCHED = Watched(
    teacher="big",
    measure="exact",
    contract=Contract(0.1, 0.05),
    binding={},
    may_train=True,
    alarm_bound=100.0,
    label_due_s=60.0,
    probe_every_s=86_400.0,
    window_share=0.5,
    triggers=TRIGGERS,
    terms=Terms(Price(1e-6, 1e-6), rho=0.05, alpha=0.1, max_rows=20_000, base_model="b"),
)


@dataclass
class ScriptedRun:
    status: int | None = None
    stopped: bool = False

    def poll(self):
        return self.status

    def stop(self):
        self.stopped = True


@dataclass
class World:
    """A ledger, a clock, and the runs that were begun."""

    engine: object
    spool_dir: object
    now: float = 1000.0
    runs: list[ScriptedRun] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)
    judged: list[tuple[str, str, int]] = field(default_factory=list)
    lenient: bool = True
    version: str | None = None
    says: Callable = lambda request: f"label {request['messages'][0]['content'].split()[1]}"
    count: int = 0

    def worker(self, holder="a", house=None, **watched):
        tasks = {"desk": Watched(**{**vars(WATCHED), **watched})}
        clocks = Clocks(wall=lambda: self.now, steady=lambda: self.now)
        outside = Outside(self.start, self.ask, self.ask_judge, self.serving)
        return Worker(self.engine, tasks, outside=outside, holder=holder, clocks=clocks, house=house)

    def ask(self, task, requests):
        self.asked.append([request["messages"][0]["content"] for request in requests])
        return [self.says(request) for request in requests]

    def serving(self):
        return {"engine": self.version} if self.version else {}

    def ask_judge(self, task, judge, requests):
        self.judged.append((task, judge.name, len(requests)))
        return ["SAME" if self.lenient else "DIFFERENT"] * len(requests)

    def start(self, task):
        self.runs.append(ScriptedRun())
        return self.runs[-1]

    def record(self, made, count, **fields):
        spool = SpoolWriter(self.spool_dir)
        for _ in range(count):
            self.count += 1
            spool.append(made(self.count, **{"at": self.now + self.count / 1000, **fields}))
        spool.close()
        ingest_once(self.engine, self.spool_dir)

    def candidate(self):
        return releases.add_candidate(self.engine, task="desk", cut_at=0.0, base_model="b", now=self.now).name

    def promote(self, **certificate):
        name = self.candidate()
        releases.promote(self.engine, name, values=certified(**certificate), now=self.now)
        return name

    def told(self):
        return [(d.action, d.trigger) for d in decisions.latest(self.engine, "desk")]


@pytest.fixture
def world(tmp_path):
    return World(connect(f"sqlite:///{tmp_path}/ledger.db"), tmp_path / "spool")


def reference(answer):
    """References that the student answered, each with the teacher's answer; None where it has not come."""

    def made(number, **fields):
        reply = TeacherReply("big", answer, "stop", Usage(5, 1), 0.01, 0.1) if answer else None
        return msgspec.structs.replace(student_exchange(number), reference=True, teacher_reply=reply, **fields)

    return made


def test_it_waits_for_rows_and_then_begins_the_first_run(world):
    worker = world.worker()
    worker.step()
    worker.step()
    assert world.told() == [("wait", "rows")] and world.runs == []
    world.record(exchange, 60)
    worker.step()
    assert world.told()[0] == ("train", "first") and len(world.runs) == 1
    assert decisions.latest(world.engine, "desk")[0].reason.endswith(f"first student; {TOO_FEW}")
    worker.step()
    assert len(world.runs) == 1  # one at a time


def test_without_permission_it_never_trains_and_says_so(world):
    world.record(exchange, 60)
    world.worker(may_train=False).step()
    assert world.told() == [("wait", "forbidden")] and world.runs == []


def test_what_would_not_pay_is_not_trained_and_it_says_what_is_spent_and_saved(world):
    world.record(exchange, 200)
    upkeep = Terms(
        Price(1e-6, 1e-6), rho=0.05, alpha=0.1, max_rows=20_000, base_model="b", upkeep_usd=1e12, within_months=3.0
    )
    world.worker(terms=upkeep).step()
    assert world.told() == [("wait", "price")] and world.runs == []
    (decision,) = decisions.latest(world.engine, "desk")
    assert "would not pay: the teacher alone costs $" in decision.reason and "never earned" in decision.reason
    assert "upkeep and machine take all" in decision.reason
    world.worker(terms=replace(upkeep, upkeep_usd=0.0)).step()
    (decision, _) = decisions.latest(world.engine, "desk")
    assert (decision.action, len(world.runs)) == ("train", 1) and "would save $" in decision.reason


def test_the_machine_is_paid_for_while_the_worker_leads(world):
    leader, other = (world.worker(holder, House(usd_per_hour=3.6)) for holder in "ab")
    world.promote()
    for _ in range(80):
        leader.step()
        other.step()
        world.now += 50.0
    assert savings(world.engine, task="desk").costs["machine"] == pytest.approx(2.6)  # 1000 s to the hour's end


def test_a_machine_that_cannot_be_counted_leaves_no_task_without_a_watch(world, caplog):
    with world.engine.begin() as connection:
        connection.execute(schema.settings.insert().values(key="machine", value="own words"))
    world.record(exchange, 3)
    world.worker(house=House(usd_per_hour=3.6)).step()
    assert "the machine's hours are not counted: JSONDecodeError at " in caplog.text
    assert "own words" not in caplog.text
    assert "desk" in progress.published(world.engine)


def test_texts_that_are_old_enough_leave_the_ledger_and_newer_ones_stay(world):
    def texts():
        with world.engine.connect() as connection:
            return sum(map(bool, connection.execute(sa.select(schema.exchanges.c.messages)).scalars()))

    world.record(exchange, 3)
    worker = world.worker(house=House(keep_s=DAY_S))
    worker.step()
    world.now += DAY_S
    world.record(exchange, 2)
    worker.step()  # within the hour
    assert texts() == 5
    world.now += EXPIRE_EVERY_S
    world.worker().step()
    assert texts() == 5
    worker.step()
    assert texts() == 2


def test_the_leader_looks_after_folders_but_those_of_a_run_that_it_has_begun(world, monkeypatch, caplog):
    looked = []

    class Recorder:
        def __init__(self, engine, clear, *, holder):
            self.holder = holder

        def look(self, *, now, steady, but):
            looked.append((self.holder, but))
            raise PermissionError("the folder of adapters cannot be read")

    monkeypatch.setattr("distill.housekeeping.Clearing", Recorder)
    leader, other = (world.worker(holder, House(clear=object())) for holder in "ab")
    leader.step()
    other.step()
    world.record(exchange, 60)
    leader.step()
    assert looked == [("a", None), ("a", "desk")] and len(world.runs) == 1
    assert "the folder of adapters cannot be read" in caplog.text


def test_of_two_workers_one_leads_and_the_other_takes_over_when_it_is_killed(world):
    world.record(exchange, 60)
    first, second = world.worker("a"), world.worker("b")
    first.step()
    second.step()
    assert len(world.runs) == 1 and leases.who(world.engine, LEASE, now=world.now) == "a"
    world.now += TERM_S  # in which "a" does not renew
    second.step()
    assert len(world.runs) == 2
    first.step()
    assert [run.stopped for run in world.runs] == [True, False]  # it was not dead after all


def test_a_shift_in_the_drafts_is_noticed_and_decides_nothing(world):
    world.promote()
    world.record(student_exchange, 300)
    worker = world.worker()
    worker.step()
    world.record(student_exchange, 200, score=0.4)
    worker.step()
    worker.step()
    assert world.told().count(("notice", "score")) >= 1
    assert world.runs == [] and releases.champions(world.engine)["desk"].status == "champion"
    assert len(decisions.notices(world.engine, "desk--v000001")) == world.told().count(("notice", "score"))


def test_after_a_verdict_it_weighs_again(world):
    world.record(exchange, 60)
    worker = world.worker()
    worker.step()
    world.runs[0].status = 3
    worker.step()
    assert len(world.runs) == 2


def test_a_run_that_fails_is_tried_again_after_pauses_that_double(world):
    world.record(exchange, 60)
    worker = world.worker()
    worker.step()
    for pause in (PAUSE_S, 2 * PAUSE_S, 4 * PAUSE_S):
        before = len(world.runs)
        world.runs[-1].status = 2
        worker.step()
        world.now += pause - 1.0
        worker.step()
        assert len(world.runs) == before
        world.now += 1.0
        worker.step()
        assert len(world.runs) == before + 1
    world.runs[-1].status = 3
    worker.step()
    world.runs[-1].status = 2
    worker.step()
    world.now += PAUSE_S  # a verdict in between: it begins with the shortest again
    worker.step()
    assert len(world.runs) == 6


def test_beside_a_run_that_a_person_has_begun_none_is_begun_or_fails(world):
    world.record(exchange, 60)
    lease, worker = leases.run_lease("desk"), world.worker()
    assert leases.take(world.engine, lease, holder="a person", now=world.now, term_s=TERM_S)
    worker.step()
    assert world.runs == [] and world.told() == []
    world.now += TERM_S  # it has ended, or was killed
    worker.step()
    assert len(world.runs) == 1 and world.told() == [("train", "first")]


def test_a_run_that_could_tell_nothing_is_told_by_the_worker(world):
    world.record(exchange, 60)
    worker = world.worker()
    worker.step()
    world.runs[-1].status = -9
    worker.step()
    told = decisions.latest(world.engine, "desk")[0]
    assert (told.action, told.trigger) == ("wait", "failed") and "status -9" in told.reason
    world.now += PAUSE_S
    worker.step()
    assert decisions.latest(world.engine, "desk")[0].action == "train"
    own = decisions.Decision(world.now, "desk", "wait", "failed", "a run has failed: DiskFull: 1 GB is free")
    decisions.record(world.engine, own)  # the run itself
    world.runs[-1].status = 2
    worker.step()
    assert decisions.latest(world.engine, "desk")[0].reason == own.reason


def test_what_takes_long_to_weigh_is_weighed_more_rarely_and_watched_as_before(world, monkeypatch):
    weighed = []

    def slowly(*_, **__):
        weighed.append(world.now)
        world.now += 2.0
        return standing(world.engine, "desk", teacher="big", window_share=0.5)

    monkeypatch.setattr("distill.worker.standing", slowly)
    name, worker = world.promote(), world.worker()
    worker.step()
    world.now += 37.0
    worker.step()
    assert len(weighed) == 1
    world.record(reference("invoice"), 40, release=name)
    worker.step()
    assert releases.get(world.engine, name).status == "voided" and len(weighed) == 1
    world.now += 1.0
    worker.step()
    assert len(weighed) == 2


@pytest.mark.parametrize("slow", [0.0, 30.0])
def test_a_task_that_is_always_due_keeps_no_other_from_its_run(world, monkeypatch, slow):
    """Not one that is weighed slowly, either."""
    started = []

    def weighed(engine, task, **how):
        world.now += slow if task == "mail" else 0.0
        return standing(engine, task, **how)

    monkeypatch.setattr("distill.worker.standing", weighed)
    outside = Outside(lambda task: started.append(task) or world.start(task), world.ask, world.ask_judge, world.serving)
    clocks = Clocks(wall=lambda: world.now, steady=lambda: world.now)
    worker = Worker(world.engine, {"desk": WATCHED, "mail": WATCHED}, outside=outside, holder="a", clocks=clocks)
    for task in ("desk", "mail"):
        world.record(exchange, 60, task=task)
    for _ in range(4):  # no release comes of these runs: both stay due
        for _ in range(3):
            worker.step()
            world.now += 10.0
        world.runs[-1].status = 3
    assert started == ["desk", "mail", "desk", "mail"]


def test_references_that_disagree_void_the_champion_and_retraining_waits_for_new_rows(world):
    name = world.promote()
    world.record(exchange, 60)
    world.record(reference("invoice"), 40, release=name)
    worker = world.worker()
    world.now += 1.0
    worker.step()
    assert releases.get(world.engine, name).status == "voided"
    assert world.told()[:2] == [("wait", "rows"), ("void", "alarm")]  # what came before the alarm certifies nothing
    assert re.search(r"(\d+) of the last \1 references disagree", releases.get(world.engine, name).refusal["reason"])
    world.record(exchange, 60)
    worker.step()
    assert world.told()[0] == ("train", "voided")


def test_what_is_forgotten_is_trained_again_once_it_can_be_and_waits_for_no_new_rows(world):
    world.record(exchange, 60)
    world.now += 1.0
    name = world.candidate()
    releases.set_adapter(world.engine, name, path="/a", digest="d")
    releases.promote(world.engine, name, values=certified(), now=world.now)
    record_uses(world.engine, release=name, uses=[Use("id-000002", "train")])
    worker = world.worker()
    worker.step()
    assert world.runs == [] and world.told() == [("wait", "rows")]
    meant = Meant(exchanges=("id-000002",))
    forget(world.engine, find(world.engine, meant, due=1e9), meant=meant, now=world.now)
    worker.step()
    assert world.told()[:2] == [("train", "forgotten"), ("forget", "hand")] and len(world.runs) == 1
    assert name in decisions.latest(world.engine, "desk")[0].reason
    world.runs[-1].status = 0
    world.now += 1.0
    world.promote()  # what the run has come to
    worker.step()
    assert world.told()[0] == ("wait", "rows")


def test_a_release_of_another_teacher_is_voided_with_what_has_changed(world):
    name = world.promote()
    world.worker(binding={"teacher": "openai/bigger"}).step()
    assert releases.get(world.engine, name).status == "voided" and ("void", "changed") in world.told()
    assert "now it is 'openai/bigger'" in releases.get(world.engine, name).refusal["reason"]


def test_what_is_ready_for_the_new_settings_takes_over_at_once(world):
    before, name = world.promote(bound_to={"engine": "2"}), world.candidate()
    bound = {"engine": "2", "teacher": "openai/new"}
    releases.hold(world.engine, name, values=certified(bound_to=bound), now=world.now)
    world.version = "2"
    world.worker().step()
    assert releases.champions(world.engine)["desk"].name == before
    world.version = None  # the engine loads its model: which one holds is not known yet
    world.worker(binding={"teacher": "openai/new"}).step()
    assert releases.champions(world.engine)["desk"].name == before
    world.version = "2"
    world.worker(binding={"teacher": "openai/new"}).step()
    assert releases.champions(world.engine)["desk"].name == name
    assert world.told()[1] == ("take up", "changed")
    releases.void(world.engine, name, reason="alarm", now=world.now)
    world.worker(binding={"teacher": "openai/new"}).step()
    assert releases.champions(world.engine) == {}


def test_a_cut_over_stops_the_run_that_learns_from_before_it(world):
    world.version = "2"
    world.record(exchange, 200)
    worker = world.worker()
    worker.step()
    (begun,) = world.runs
    releases.hold(world.engine, world.candidate(), values=certified(bound_to={"engine": "2"}), now=world.now)
    worker.step()
    assert begun.stopped and world.told()[1] == ("take up", "changed")


def test_an_alarm_stops_the_run_that_learns_from_before_it(world):
    name = world.promote()
    world.record(exchange, 100)
    world.record(student_exchange, 100, release=name, route="teacher", reason="unsure", score=0.1)
    worker = world.worker()
    worker.step()
    assert world.told()[0] == ("train", "escalations")
    world.record(reference("invoice"), 40, release=name)
    world.now += 1.0
    worker.step()
    assert world.runs[0].stopped and world.told()[:2] == [("wait", "rows"), ("void", "alarm")]


def test_a_champion_whose_certificate_cannot_be_used_is_voided_so_that_the_loop_goes_on(world):
    name = world.promote()
    with writing(world.engine) as connection:
        connection.execute(schema.releases.update().values(certificate={"threshold": 0.5}))
    world.worker().step()
    assert world.told()[:2] == [("wait", "rows"), ("void", "changed")]
    assert "its fingerprint differs" in releases.get(world.engine, name).refusal["reason"]


def test_labels_that_never_come_count_as_disagreements_once_they_are_due(world):
    name = world.promote()
    world.record(reference(None), 40, release=name)
    worker = world.worker()
    worker.step()
    assert releases.get(world.engine, name).status == "champion"
    world.now += WATCHED.label_due_s + 1.0
    worker.step()
    assert releases.get(world.engine, name).status == "champion"  # the ledger may be as old as its newest request
    world.record(exchange, 1)
    worker.step()
    assert releases.get(world.engine, name).status == "voided"


def test_references_that_agree_raise_nothing(world):
    name = world.promote()
    world.record(reference("refund"), 300, release=name)
    world.now += 100.0
    world.worker().step()
    assert releases.get(world.engine, name).status == "champion" and world.told()[0][0] == "wait"


def test_another_engine_voids_the_champion_and_one_that_is_away_does_not(world):
    name = world.promote(bound_to={"engine": "0.24.0"})
    worker = world.worker()
    for world.version in (None, "0.24.0"):
        worker.step()
        assert releases.get(world.engine, name).status == "champion"
    world.version = "0.25.0"
    worker.step()
    assert (
        "certified with engine '0.24.0', and now it is '0.25.0'" in releases.get(world.engine, name).refusal["reason"]
    )


def test_what_the_references_say_is_published(world):
    name = world.promote()
    world.record(reference("refund"), 50, release=name)
    worker = world.worker()
    worker.step()
    first = live.published(world.engine)["desk"]
    assert (first.answers, first.references, first.errors, first.since) == (50, 50, 0, world.now + 1 / 1000)
    assert first.low < first.agreement <= first.high == 1.0 and first.alarm < 1.0
    world.record(student_exchange, 50, release=name, reference=False)
    worker.step()
    assert live.published(world.engine)["desk"].answers == 100
    assert world.worker().step() is None and live.published(world.engine)["desk"].answers == 100  # the next leader's


def probe(world, worker):
    """A round, which is answered in the background."""
    rounds = len(world.asked)
    worker.step()
    wait_for(lambda: len(world.asked) > rounds)
    worker.step()


def wait_for(condition, *, seconds=5.0):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)


def test_a_teacher_that_has_silently_changed_voids_the_champion(world):
    world.record(exchange, 40)
    name = world.promote()
    worker = world.worker()
    probe(world, worker)
    assert len(world.asked[0]) == 60  # at once: how well it agrees with itself
    worker.step()
    assert len(world.asked) == 1  # and a day later again
    world.now += 86_401.0
    probe(world, worker)
    assert releases.get(world.engine, name).status == "champion"
    world.now += 86_401.0
    world.says = lambda request: "another model's words"
    probe(world, worker)
    assert world.told()[:2] == [("wait", "rows"), ("void", "teacher")]
    assert (
        "repeats 0 of 30 answers that it gave before, and repeated 30 of 30"
        in releases.get(world.engine, name).refusal["reason"]
    )


JUDGE = Judge("referee", "openai/referee", "")


def judged_until(world, worker, condition):
    until = time.monotonic() + 5.0
    while not condition() and time.monotonic() < until:
        worker.step()
        time.sleep(0.02)


def test_a_judged_champion_is_closed_at_the_level_it_was_tested_at_by_what_the_judge_says(world, caplog):
    caplog.set_level("INFO")
    name = world.promote(level=0.3)
    world.record(exchange, 60)
    world.record(reference("invoice"), 60, release=name)
    worker = world.worker(measure=JUDGE)
    judged_until(world, worker, lambda: "desk" in live.published(world.engine))
    judged_until(world, worker, lambda: live.published(world.engine)["desk"].references == 60)
    assert releases.get(world.engine, name).status == "champion" and world.judged[0][:2] == ("desk", "referee")
    assert live.published(world.engine)["desk"].errors == 0
    assert world.asked == [] and "its teacher is not asked again for changes" in caplog.text
    world.lenient = False
    world.record(reference("complaint"), 60, release=name)
    judged_until(world, worker, lambda: releases.get(world.engine, name).status == "voided")
    assert "the contract allows 30% by the judge's count" in releases.get(world.engine, name).refusal["reason"]


def test_a_judge_that_nobody_has_checked_begins_no_run_and_what_to_do_is_said(world):
    world.record(exchange, 60)
    worker = world.worker(measure=JUDGE)
    worker.step()
    assert world.told() == [("wait", "judge")] and world.runs == []
    assert "`tutelage judge check`" in decisions.latest(world.engine, "desk")[0].reason
    pairs = [Pair(str(n), "a", "b") for n in range(60)]
    labels = [verdicts.JudgedLabel(pair, same=False, flagged=True) for pair in pairs]
    verdicts.label(world.engine, "desk", judge=JUDGE.fingerprint, labels=labels, now=1.0)
    worker.step()
    assert world.told()[0] == ("train", "first")


def test_without_a_champion_no_teacher_is_asked(world):
    world.record(exchange, 40)
    world.worker(may_train=False).step()
    assert world.asked == []


def test_what_it_closes_is_free_for_another(world):
    world.record(exchange, 60)
    worker = world.worker()
    worker.step()
    worker.close()
    assert world.runs[0].stopped and leases.who(world.engine, LEASE, now=world.now) is None


def test_one_tasks_trouble_leaves_no_other_without_a_watch(world, caplog):
    def serving():
        raise ValueError("a request's own words")

    outside = Outside(world.start, world.ask, world.ask_judge, serving)
    worker = Worker(world.engine, {"desk": WATCHED, "mail": WATCHED}, outside=outside, holder="a")
    world.promote()
    worker.step()
    assert "the look at desk failed: ValueError at test_worker.py" in caplog.text
    assert "own words" not in caplog.text
    assert decisions.latest(world.engine, "mail")[0].trigger == "rows"


def test_a_ledger_that_does_not_answer_is_outlived(monkeypatch):
    monkeypatch.setattr("distill.worker.TICK_S", 0.01)
    stop, calls = threading.Event(), []

    class Failing:
        def step(self):
            calls.append("step")
            if len(calls) == 3:
                stop.set()
            raise sa.exc.OperationalError("select", {}, Exception("locked"))

        def close(self):
            calls.append("close")

    run(Failing(), stop=stop)
    assert calls == ["step", "step", "step", "close"]


def test_long_looks_are_rarer_and_the_lease_outlives_every_pause():
    assert pause_s(0.01) == TICK_S
    assert pause_s(0.4) == pytest.approx(0.4 * 19)
    assert pause_s(60.0) < TERM_S / 2


def test_what_another_model_answered_under_the_teachers_name_begins_no_run(world):
    world.record(exchange, 200)
    world.worker(binding={"teacher": "openai/big"}, may_train=False).step()
    world.now += 1.0
    worker = world.worker(binding={"teacher": "openai/bigger"})
    worker.step()
    assert world.runs == [] and world.told()[0] == ("wait", "rows")
