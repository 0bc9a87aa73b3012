import json
import threading
import time

import pytest

from calibration.question import Judge
from distill.gateway import GatewayAway
from distill.verdicts import GIVEN_UP_S, RETRY_S, Verdicts, heard
from ledger import verdicts
from ledger.database import connect
from ledger.ingest import store
from ledger.queries import answers_since
from ledger.records import TeacherReply, Usage
from tests.ledger.make import student_exchange

JUDGE = Judge("referee", "openai/referee", "")


class World:
    """A champion's answers, a judge that is scripted by what was asked, and a clock."""

    def __init__(self, engine):
        self.engine, self.now, self.calls, self.words = engine, 0.0, [], {}
        self.failure, self.gate = None, threading.Event()
        self.gate.set()
        self.verdicts = Verdicts(engine, self.ask, clock=lambda: self.now)

    def ask(self, task, judge, requests):
        assert self.gate.wait(5.0)
        self.calls.append((task, judge.name, len(requests)))
        if self.failure:
            raise self.failure
        return [self.words.get(json.loads(r["messages"][1]["content"])["request"], "SAME") for r in requests]

    def record(self, numbers, *, teacher="invoice", **fields):
        reply = TeacherReply("big", teacher, "stop", Usage(1, 1)) if teacher else None
        store(self.engine, [student_exchange(n, teacher_reply=reply, **{"reference": True, **fields}) for n in numbers])

    def answers(self):
        return answers_since(self.engine, "desk--v000001", due=1e9)

    def look(self):
        self.verdicts.look("desk", JUDGE, self.answers(), now=self.now)

    def round(self):
        """Begin a batch and take it in."""
        self.look()
        until = time.monotonic() + 5.0
        while (batch := self.verdicts._under_way.get("desk")) and not batch.said.done() and time.monotonic() < until:
            time.sleep(0.005)
        self.look()

    def heard(self, by=JUDGE):
        return [d for _, d in heard(self.engine, self.answers(), by=by)]


@pytest.fixture
def world(tmp_path):
    return World(connect(f"sqlite:///{tmp_path}/ledger.db"))


def test_by_a_rule_nothing_is_waited_for(world):
    world.record([1])
    world.record([2], teacher="refund")
    world.record([3], reference=False)
    assert world.heard("exact") == [1.0, 0.0, None]


def test_answers_end_at_the_first_reference_whose_verdict_is_still_to_come(world):
    world.record([1], teacher="refund")  # equal: no judge
    world.record([2], teacher=None)  # lost: it disagrees
    world.record([3], reference=False)
    world.record([4, 5])
    assert world.heard() == [0.0, 1.0, None]
    verdicts.add(world.engine, JUDGE.fingerprint, {"id-000005": True}, now=1.0)
    assert world.heard() == [0.0, 1.0, None]
    verdicts.add(world.engine, JUDGE.fingerprint, {"id-000004": False}, now=1.0)
    assert world.heard() == [0.0, 1.0, None, 0.0, 1.0]


def test_references_are_judged_in_the_background_and_each_once(world):
    world.record([1], teacher="refund")
    world.record([2, 3])
    world.words["message 3 \u2713"] = "DIFFERENT"
    world.gate.clear()
    world.look()
    world.look()
    assert world.heard() == [0.0]  # nobody has waited
    world.gate.set()
    world.round()
    assert world.heard() == [0.0, 0.0, 1.0] and world.calls == [("desk", "referee", 4)]
    world.round()
    assert len(world.calls) == 1


def test_what_it_cannot_read_is_asked_again_later_and_counts_as_a_disagreement_after_an_hour(world, caplog):
    world.record([1, 2])
    world.words["message 1 \u2713"] = "It depends."
    world.round()
    assert world.heard() == [] and len(world.calls) == 1
    world.now += RETRY_S
    world.round()
    assert world.heard() == [] and world.calls[1] == ("desk", "referee", 2)  # the other one has its verdict
    world.now += GIVEN_UP_S
    world.round()
    assert world.heard() == [1.0, 0.0]
    assert "1 references of desk got no verdict in an hour" in caplog.text and "depends" not in caplog.text


def test_a_verdict_that_comes_after_all_is_the_one_that_counts(world):
    world.record([1])
    world.words["message 1 \u2713"] = ""
    world.round()
    world.now += GIVEN_UP_S - 1.0
    del world.words["message 1 \u2713"]
    world.round()
    assert world.heard() == [0.0]


def test_a_gateway_that_is_away_asks_nobody_and_no_hour_passes(world):
    world.record([1])
    world.failure = GatewayAway("nobody there")
    for _ in range(3):
        world.round()
        world.now += GIVEN_UP_S
    assert world.heard() == []
    world.failure = None
    world.round()
    assert world.heard() == [0.0]


def test_what_fails_unforeseen_is_raised_and_not_asked_again_at_once(world):
    world.record([1])
    world.failure = ValueError("a defect")
    with pytest.raises(ValueError, match="a defect"):
        world.round()
    world.round()
    assert len(world.calls) == 1
    world.now += RETRY_S
    world.failure = None
    world.round()
    assert world.heard() == [0.0]


def test_a_champion_that_is_replaced_meanwhile_keeps_its_verdicts(world):
    world.record([1])
    world.look()
    world.record([2], release="desk--v000002")
    until = time.monotonic() + 5.0
    while not world.calls and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(0.05)
    world.verdicts.look("desk", JUDGE, [], now=1.0)
    assert verdicts.known(world.engine, JUDGE.fingerprint, ["id-000001"]) == {"id-000001": False}
