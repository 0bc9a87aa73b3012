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
        self.scripted, self.asked, self.answered, self.warm = {}, [], threading.Event(), None

    def ask(self, task, requests):
        self.asked.append(requests)
        try:
            return [self._answer(request) for request in requests]
        finally:
            self.answered.set()

    def _answer(self, request):
        if self.warm and request.get("temperature") is None:
            return self.warm
        return self._one(request["messages"][0]["content"].split()[1])

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


def test_the_newest_distinct_requests_are_asked_as_by_clients_and_at_temperature_0(world):
    world.teacher.scripted["38"] = "another"
    assert world.round() is None
    (requests,) = world.teacher.asked
    assert [request.get("temperature") for request in requests] == [None] * 30 + [0] * 30
    contents = [request["messages"][0]["content"] for request in requests]
    assert contents[:30] == contents[30:]
    assert len(set(contents)) == 30 and "message 50 \u2713" not in contents
    assert world.history[0].asked == 30 and world.history[0].agreed in (28, 29)


def test_how_well_a_teacher_repeats_itself_is_told_from_what_clients_get(world):
    world.teacher.warm = "as it comes"  # it is another one every time, and the same at temperature 0
    world.round()
    assert world.history == [Repeats(30, 0)]
    for _ in range(3):
        world.now += DAY_S
        assert world.round() is None
    assert world.history == [Repeats(30, 0), *[Repeats(30, 30)] * 3]
    world.teacher.scripted["all"] = "something else"
    world.now += DAY_S
    assert "and repeated 90 of 90 until now" in world.round()


def test_later_rounds_ask_the_same_and_compare_with_the_first_answers(world):
    world.teacher.scripted["38"] = "another"
    world.round()
    world.now += DAY_S
    assert world.round() is None
    first, second = world.teacher.asked
    assert sorted(map(str, first[30:])) == sorted(map(str, second))
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
