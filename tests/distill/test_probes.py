import threading

import pytest

from calibration.teacher import Repeats
from distill.errors import DistillError
from distill.probes import RETRY_S, Probed, Probes
from ledger import probes
from ledger.database import connect
from ledger.ingest import ingest_once
from ledger.records import TeacherReply, Usage
from ledger.spool import SpoolWriter
from tests.ledger.make import exchange

DAY_S = 86_400.0
PROBED = Probed("desk", "big", "openai/big", "exact", DAY_S)


class Teacher:
    """Answers every message with its own number, but for those that are scripted."""

    def __init__(self):
        self.scripted, self.asked, self.answered = {}, [], threading.Event()

    def ask(self, task, requests):
        self.asked.append(requests)
        try:
            return [self._one(request["messages"][0]["content"].split()[1]) for request in requests]
        finally:
            self.answered.set()

    def _one(self, number):
        answer = self.scripted.get(number, self.scripted.get("all", f"label {number}"))
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    def __init__(self, engine):
        self.engine, self.teacher, self.now = engine, Teacher(), 1000.0
        self.probes = Probes(engine, self.teacher.ask, clock=lambda: self.now)

    def round(self, probed=PROBED):
        """Begin a round, wait for it, and take it in."""
        self.teacher.answered.clear()
        self.probes.look(probed)
        if not self.teacher.answered.wait(0.5):
            return None
        while "desk" in self.probes._under_way and not self.probes._under_way["desk"][1].done():
            pass
        return self.probes.look(probed)

    @property
    def history(self):
        return [each.repeats for each in probes.history(self.engine, "desk", teacher="openai/big")]


@pytest.fixture
def world(tmp_path):
    engine, spool = connect(f"sqlite:///{tmp_path}/ledger.db"), SpoolWriter(tmp_path / "spool")
    for number in range(40):
        spool.append(exchange(number))
    reply = TeacherReply("former", "label 50", "stop", Usage(1, 1))
    spool.append(exchange(50, teacher_reply=reply))
    spool.append(exchange(51, messages=[{"role": "user", "content": "message 39 \u2713"}]))  # said before
    spool.close()
    ingest_once(engine, tmp_path / "spool")
    return World(engine)


def test_the_newest_distinct_requests_are_asked_at_temperature_0_and_compared_with_what_clients_were_told(world):
    world.teacher.scripted["38"] = "another"
    assert world.round() is None
    (requests,) = world.teacher.asked
    assert [request["temperature"] for request in requests] == [0] * 30
    contents = [request["messages"][0]["content"] for request in requests]
    assert len(set(contents)) == 30 and "message 50 \u2713" not in contents
    assert world.history[0].asked == 30 and world.history[0].agreed in (28, 29)


def test_later_rounds_ask_the_same_and_compare_with_the_first_answers(world):
    world.teacher.scripted["38"] = "another"
    world.round()
    world.now += DAY_S
    assert world.round() is None
    first, second = (sorted(map(str, requests)) for requests in world.teacher.asked)
    assert first == second
    assert world.history[1] == Repeats(30, 30)  # it says the other thing again


def test_a_round_a_day_and_a_clock_that_is_set_back_delays_none(world):
    world.round()
    world.now += DAY_S - 1
    assert world.round() is None and len(world.teacher.asked) == 1
    world.now -= 10 * DAY_S
    Probes(world.engine, world.teacher.ask, clock=lambda: world.now).look(PROBED)
    assert world.teacher.answered.wait(2.0) and len(world.teacher.asked) == 2


@pytest.mark.parametrize("failure", [DistillError("the gateway is away"), None])
def test_a_round_that_is_not_answered_is_no_change_and_is_tried_again(world, failure):
    world.round()
    world.now += DAY_S
    world.teacher.scripted["all"] = failure
    assert world.round() is None and len(world.history) == 1
    world.now += RETRY_S / 2
    assert world.round() is None and len(world.teacher.asked) == 2
    world.now += RETRY_S
    del world.teacher.scripted["all"]
    world.round()
    assert world.history[1] == Repeats(30, 30)


def test_a_change_is_told_until_it_is_forgotten_and_then_the_questions_begin_anew(world):
    world.round()
    world.now += DAY_S
    world.teacher.scripted["all"] = "something else"
    words = world.round()
    assert words.startswith("the teacher openai/big has changed: it repeats 0 of 30 answers")
    assert len(world.history) == 1  # whoever is killed before the champion is voided finds it again
    world.probes.forget("desk")
    world.round()
    assert world.history[0].asked == 30


def test_another_model_has_questions_of_its_own(world):
    world.round()
    world.probes.forget("desk")  # as for every champion that is voided, because the settings name another model too
    world.round(Probed("desk", "big", "openai/bigger", "exact", DAY_S))
    assert len(probes.history(world.engine, "desk", teacher="openai/bigger")) == 1
    assert world.history == []
