"""Trials over a real ledger, by the worker; time is set by hand."""

import random

import pytest

from calibration.canary import Limits
from distill.canary import BLOCK, LASTING_S, LATER, SETTLED_S, Absence, Rules
from ledger import decisions, releases
from ledger.database import connect
from ledger.records import Draft, TeacherReply, Usage
from tests.distill.test_worker import World
from tests.ledger.make import certified, exchange, student_exchange

RULES = Rules(share=0.2, min_requests=40, max_s=3600.0, limits=Limits(0.02, 1.5))


@pytest.fixture
def world(tmp_path):
    world = World(connect(f"sqlite:///{tmp_path}/ledger.db"), tmp_path / "spool", version="1")
    world.chance = random.Random(1)
    return world


def promote(world):
    name = world.candidate()
    releases.promote(world.engine, name, values=certified(bound_to={"engine": "1"}), now=world.now)
    return name


def try_out(world, **certificate):
    name = world.candidate()
    values = certified(bound_to={"engine": "1"}, **certificate)
    releases.try_out(world.engine, name, values=values, now=world.now)
    world.now += 1.0
    return name


def serve(world, rounds, *, canary, beside=None, **of_canary):
    """A request of the canary's, then four of those beside it: the champion's, or the teacher's."""
    for _ in range(rounds):
        answer(world, 1, release=canary, **of_canary)
        if beside:
            answer(world, 4, release=beside)
        else:
            world.record(exchange, 4, latency_s=world.chance.uniform(1.0, 2.0))


def answer(world, count, *, release, slow=1.0, **fields):
    seconds = slow * world.chance.uniform(0.1, 0.2)
    world.record(student_exchange, count, **{"release": release, "latency_s": seconds, "reference": False, **fields})


LEFT = {"reason": "client_left", "route": "none", "status": 499, "draft": None, "score": None}
FAILS = {"reason": "student_unavailable", "route": "teacher", "draft": None, "score": None}


def go_on(world, *, release, **fields):
    """One more request like those before, when an engine that has just come would have its adapters."""
    world.now += LASTING_S + 1.0
    answer(world, 1, release=release, **fields)


def worker(world, **rules):
    return world.worker(canary=Rules(**{**vars(RULES), **rules}))


def status(world, name):
    return releases.get(world.engine, name).status


def why(world, name):
    return releases.get(world.engine, name).refusal["reason"]


@pytest.mark.parametrize("beside", [True, False])
def test_a_canary_that_is_no_worse_is_promoted_when_enough_have_asked_it(world, beside):
    champion = promote(world) if beside else None
    canary, watching = try_out(world), worker(world)
    serve(world, 39, canary=canary, beside=champion)
    watching.step()
    assert status(world, canary) == "canary"
    (told,) = [each for each in decisions.latest(world.engine, "desk") if each.action == "wait"]
    assert told.trigger == "canary" and f"{canary} answers 20% of the conversations: 39 of 40 requests" in told.reason
    serve(world, 1, canary=canary, beside=champion)
    watching.step()
    assert status(world, canary) == "champion" and (champion is None or status(world, champion) == "retired")
    assert ("promote", "canary") in world.told() and world.runs == []


@pytest.mark.parametrize("beside", [True, False])
def test_a_canary_that_fails_is_rolled_back_by_its_first_ten_requests(world, beside):
    champion = promote(world) if beside else None
    canary = try_out(world)
    serve(world, 10, canary=canary, beside=champion, **FAILS)
    go_on(world, release=canary, **FAILS)
    worker(world).step()
    assert status(world, canary) == "rolled_back"
    assert why(world, canary).startswith("10 of 10 drafts failed")
    assert champion is None or (
        status(world, champion) == "champion" and f"0 of 36 of {champion}" in why(world, canary)
    )
    assert ("roll back", "canary") in world.told()


@pytest.mark.parametrize(("beside", "slow"), [(True, 6.0), (False, 60.0)])
def test_a_slow_canary_is_rolled_back(world, beside, slow):
    champion = promote(world) if beside else None
    canary = try_out(world)
    serve(world, 20, canary=canary, beside=champion, slow=slow)
    worker(world).step()
    assert status(world, canary) == "rolled_back"
    assert f"of {champion or 'the teacher'} within" in why(world, canary) and "1.5 times" in why(world, canary)
    assert decisions.latest(world.engine, "desk", limit=3)[-1].reason.endswith(
        f": {champion} goes on" if champion else ": the teacher answers"
    )


def test_a_slow_canary_is_kept_where_latency_is_not_judged(world):
    champion, canary = promote(world), try_out(world)
    serve(world, 40, canary=canary, beside=champion, slow=6.0)
    worker(world, limits=Limits(0.02, None)).step()
    assert status(world, canary) == "champion"


def test_where_both_fail_alike_the_canary_is_not_to_blame(world):
    champion = promote(world)
    world.now += RULES.max_s
    canary = try_out(world)
    for _ in range(40):
        answer(world, 1, release=canary, **FAILS)
        answer(world, 4, release=champion, **FAILS)
    worker(world).step()
    assert status(world, canary) == "champion"


def test_clients_that_leave_count_where_those_of_a_champion_do(world):
    champion = promote(world)
    canary = try_out(world)
    serve(world, 20, canary=canary, beside=champion, **LEFT)
    go_on(world, release=canary, **LEFT)
    worker(world).step()
    assert status(world, canary) == "rolled_back"


def test_clients_that_leave_are_not_compared_with_those_of_a_teacher(world):
    canary = try_out(world)
    serve(world, 20, canary=canary, **LEFT)
    worker(world).step()
    assert status(world, canary) == "canary"


def test_the_same_is_found_by_a_worker_that_begins_anew_after_each_look(world):
    champion, canary = promote(world), try_out(world)
    for _ in range(4):
        serve(world, 9, canary=canary, beside=champion)
        answer(world, 1, release=canary, **FAILS)
        world.worker(canary=RULES, holder=f"{world.now}").step()
        world.now += 60.0  # the lease of the one before has ended
    assert status(world, canary) == "champion"  # 4 of 40 beside 0 of 144 is no proof at the level of the third look


def test_time_without_the_engine_does_not_count(world):
    canary, watching = try_out(world), worker(world)
    serve(world, 5, canary=canary)
    world.version = None
    serve(world, 20, canary=canary, **FAILS)
    world.now += 10.0
    watching.step()
    world.now += 10.0
    watching.step()
    assert status(world, canary) == "canary"
    world.version = "1"
    world.now += 10.0
    watching.step()
    assert status(world, canary) == "canary"
    serve(world, 40, canary=canary)
    watching.step()
    assert status(world, canary) == "champion"


def test_an_engine_that_misses_a_question_now_and_then_hides_no_failures(world):
    canary, watching = try_out(world), worker(world)
    serve(world, 10, canary=canary, **FAILS)
    for tick in range(9):
        world.version = None if tick % 3 == 0 else "1"
        watching.step()
        world.now += 5.0
        serve(world, 1, canary=canary, **FAILS)
    watching.step()
    assert status(world, canary) == "rolled_back"


@pytest.mark.parametrize("asked", [0, 1, 9, 13])
def test_when_the_time_is_up_what_has_come_decides(world, asked):
    champion, canary, watching = promote(world), try_out(world), worker(world)
    watching.step()
    serve(world, asked, canary=canary, beside=champion)
    world.now += RULES.max_s - 2.0
    watching.step()
    assert status(world, canary) == "canary"
    world.now += 2.0
    watching.step()
    assert status(world, canary) == "champion" and ("promote", "canary") in world.told()
    told = next(each.reason for each in decisions.latest(world.engine, "desk") if each.action == "promote")
    assert told.startswith(f"{asked} requests on trial" if asked else "its time on trial is over, and no request")


def test_a_worker_that_begins_anew_waits_for_what_it_has_not_seen(world):
    canary = try_out(world)
    worker(world).step()
    world.now += RULES.max_s
    worker(world).step()  # nobody knows whether the engine was there
    assert status(world, canary) == "canary"


def test_when_the_time_is_up_a_few_that_fail_are_enough(world):
    champion, canary = promote(world), try_out(world)
    watching = worker(world)
    watching.step()
    serve(world, 5, canary=canary, beside=champion, **FAILS)
    world.now += RULES.max_s
    watching.step()
    assert status(world, canary) == "rolled_back" and why(world, canary).startswith("5 of 5 drafts failed")


def test_a_canary_that_nobody_could_ask_is_not_promoted_for_that(world):
    canary, watching = try_out(world), worker(world)
    world.version = None
    world.now += RULES.max_s
    watching.step()
    world.version = "1"
    watching.step()
    assert status(world, canary) == "canary"


def test_without_any_request_it_is_said_what_may_be_wrong(world):
    canary = try_out(world)
    worker(world).step()
    assert "x-tutelage-conversation" in decisions.latest(world.engine, "desk")[0].reason
    assert status(world, canary) == "canary"


@pytest.mark.parametrize("beside", [True, False])
def test_an_alarm_on_its_references_voids_the_canary_and_leaves_the_champion(world, beside):
    champion = promote(world) if beside else None
    canary = try_out(world)
    wrong = {
        "reference": True,
        "draft": Draft("invoice", "stop", {"x": 1.0}, Usage(10, 2), 0.001),
        "answer": "invoice",
        "teacher_reply": TeacherReply("big", "refund", "stop", Usage(5, 1), 0.01, 0.1),
    }
    answer(world, 40, release=canary, **wrong)
    world.now += 1.0
    worker(world).step()
    assert status(world, canary) == "voided" and ("void", "alarm") in world.told()
    assert champion is None or status(world, champion) == "champion"


def test_an_alarm_of_the_champion_voids_the_canary_with_it(world):
    champion, canary = promote(world), try_out(world)
    wrong = {"reference": True, "teacher_reply": TeacherReply("big", "bill", "stop", Usage(5, 1), 0.01, 0.1)}
    answer(world, 40, release=champion, **wrong)
    world.now += 1.0
    worker(world).step()
    assert (status(world, champion), status(world, canary)) == ("voided", "voided")
    assert why(world, canary).startswith(f"with {champion}: alarm")


def test_a_canary_whose_settings_are_gone_or_whose_certificate_has_expired_ends(world):
    promote(world)
    expired = try_out(world, expires_at=world.now + 0.5)
    worker(world).step()
    assert (status(world, expired), why(world, expired)) == ("rolled_back", "its certificate has expired")
    canary = try_out(world)
    world.version = "2"
    worker(world).step()
    assert status(world, canary) == "voided"


def promoted_after(world, *, before):
    """A champion that is watched, behind another one or behind the teacher."""
    first = promote(world) if before else None
    for _ in range(60):
        answer(world, 1, release=first) if first else world.record(exchange, 1, latency_s=1.0)
    world.now += 10.0
    name = promote(world)
    world.now += 1.0
    return first, name


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("trouble", [FAILS, {"slow": 30.0}])
def test_a_champion_that_goes_wrong_after_its_promotion_gives_way_to_the_one_before(world, before, trouble):
    first, name = promoted_after(world, before=before)
    for part in ({}, trouble):
        for _ in range(BLOCK):
            answer(world, 1, release=name, **part)
    go_on(world, release=name, **trouble)
    worker(world).step()
    assert status(world, name) == "rolled_back"
    assert releases.champions(world.engine) == {} if first is None else status(world, first) == "champion"


def test_a_champion_that_goes_wrong_beside_a_canary_gives_way_and_the_trial_goes_on(world):
    first, name = promoted_after(world, before=True)
    canary = try_out(world)
    for _ in range(BLOCK):
        answer(world, 1, release=name, **FAILS)
    go_on(world, release=name, **FAILS)
    worker(world).step()
    assert [status(world, each) for each in (first, name, canary)] == ["champion", "rolled_back", "canary"]


def test_failures_that_are_over_and_what_comes_later_are_no_reason(world):
    _, name = promoted_after(world, before=True)
    for part, count in ((FAILS, BLOCK), ({}, LATER)):
        for _ in range(count):
            answer(world, 1, release=name, **part)
        world.now += LASTING_S + 1.0
    worker(world).step()
    assert status(world, name) == "champion"
    world.now += RULES.max_s
    for _ in range(BLOCK):
        answer(world, 1, release=name, **FAILS)
    worker(world).step()
    assert status(world, name) == "champion"


def test_where_nothing_is_tried_nothing_is_rolled_back_either(world):
    _, name = promoted_after(world, before=True)
    for _ in range(BLOCK):
        answer(world, 1, release=name, **FAILS)
    worker(world, share=1.0).step()
    assert status(world, name) == "champion"


ENGINE_S = 8.0  # until the loader has seen an engine that has come, and loaded its adapters


def minute(world, watching, *, release, failing_s, share=0.5):
    """One of 20 requests a second, of which every other goes to an engine that fails it for so long; when the worker
    has rolled back, in seconds, None where it has not."""
    began = world.now
    for tick in range(12):
        for number in range(100):
            at = world.now + number / 20
            fails = at - began < failing_s and world.chance.random() < share
            answer(world, 1, release=release, at=at, **(FAILS if fails else {}))
        world.now += 5.0
        watching.step()
        if status(world, release) == "rolled_back":
            return 5.0 * (tick + 1)
    return None


def test_an_engine_that_has_just_come_costs_no_new_champion_its_place(world):
    _, name = promoted_after(world, before=True)
    assert minute(world, worker(world), release=name, failing_s=ENGINE_S) is None


def test_a_new_champion_that_goes_on_to_fail_gives_way_within_a_minute(world):
    _, name = promoted_after(world, before=True)
    assert minute(world, worker(world), release=name, failing_s=60.0) <= 45.0


def outage(world, *, release, count=10):
    """Half of its requests fail for some seconds; then what failed may be over."""
    for _ in range(count):
        serve(world, 1, canary=release)
        serve(world, 1, canary=release, **FAILS)
        world.now += 0.5
    world.now += LASTING_S


def test_an_engine_that_has_just_come_costs_a_first_canary_no_trial(world):
    canary, watching = try_out(world), worker(world, min_requests=200)
    serve(world, 10, canary=canary)
    serve(world, 10, canary=canary, **FAILS)
    watching.step()
    told = decisions.latest(world.engine, "desk")[0]
    assert told.action == "wait" and told.reason.startswith("10 of 20 drafts failed; 2% are borne: if that goes on")
    world.now += LASTING_S
    serve(world, LATER - 1, canary=canary)
    watching.step()
    assert told.reason == decisions.latest(world.engine, "desk")[0].reason
    serve(world, 200, canary=canary)
    world.now += SETTLED_S + 5.0
    watching.step()
    assert status(world, canary) == "champion"


def test_a_failure_before_an_engine_came_changes_nothing(world):
    canary, watching = try_out(world), worker(world)
    serve(world, 1, canary=canary, **FAILS)
    world.now += 60.0
    outage(world, release=canary)
    watching.step()
    assert status(world, canary) == "canary"
    serve(world, LATER + 40, canary=canary)
    world.now += SETTLED_S + 5.0
    watching.step()
    assert status(world, canary) == "champion"


def test_failures_that_are_over_do_not_count_any_more(world):
    canary, watching = try_out(world), worker(world, min_requests=200)
    outage(world, release=canary)
    serve(world, LATER + 10, canary=canary)
    world.now += SETTLED_S + 5.0
    watching.step()
    serve(world, 1, canary=canary, **FAILS)
    serve(world, 60, canary=canary)
    watching.step()
    assert status(world, canary) == "canary"  # 1 of 91, where 11 of 111 were too many


@pytest.mark.parametrize("tried", [True, False])
def test_a_worker_that_begins_anew_judges_failures_that_are_over_as_the_one_before(world, tried):
    name = try_out(world) if tried else promoted_after(world, before=True)[1]
    watching = worker(world, min_requests=200)
    outage(world, release=name, count=BLOCK)
    serve(world, LATER, canary=name)
    world.now += SETTLED_S + 5.0
    serve(world, 3, canary=name, **FAILS)
    watching.step()
    found = status(world, name)
    world.now += 60.0
    world.worker(canary=RULES, holder="another").step()
    assert found == status(world, name) == ("canary" if tried else "champion")


def test_failures_that_are_recorded_late_are_waited_for(world):
    """What fails waits for a student and a teacher; what does not is recorded at once."""
    _, name = promoted_after(world, before=True)
    watching = worker(world)
    outage(world, release=name, count=BLOCK // 2)
    began = world.now
    serve(world, LATER, canary=name)
    world.now += 20.0
    watching.step()
    assert status(world, name) == "champion"
    answer(world, 5, release=name, at=began - 0.1, **FAILS)
    watching.step()
    assert status(world, name) == "rolled_back"


def test_failures_that_nobody_knows_to_be_over_end_the_watch_of_a_champion(world):
    _, name = promoted_after(world, before=True)
    watching = worker(world)
    for _ in range(BLOCK):
        answer(world, 1, release=name, **FAILS)
    watching.step()
    assert status(world, name) == "champion"
    world.now += RULES.max_s
    watching.step()
    assert status(world, name) == "rolled_back"


def test_an_engine_is_away_after_ten_seconds_in_which_it_was_asked():
    absence = Absence()
    for now in (0.0, 5.0):
        absence.missed(now)
    assert absence.until < 0.0
    absence.missed(10.0)
    assert absence.until == 10.0
    absence.answered()
    absence.missed(20.0)
    absence.missed(3600.0)  # in between nobody has asked
    assert absence.until == 10.0


def test_whether_failures_go_on_is_not_waited_for_beyond_the_time_of_a_trial(world):
    canary, watching = try_out(world), worker(world)
    serve(world, 10, canary=canary, **FAILS)
    watching.step()
    assert status(world, canary) == "canary"
    world.now += RULES.max_s
    watching.step()
    assert status(world, canary) == "rolled_back"
