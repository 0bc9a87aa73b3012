"""A release's life: every step is allowed once, and there is one champion."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from calibration.code import CODE, SAME
from ledger import lineage, releases
from ledger.database import connect, writing
from ledger.queries import Use, record_uses
from ledger.releases import Overtaken, ReleaseError
from tests.ledger.make import certified

VALUES = certified()


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def candidate(engine) -> str:
    return releases.add_candidate(engine, task="desk", cut_at=1.0, base_model="base", now=2.0).name


def late_candidate(engine) -> str:
    return releases.add_candidate(engine, task="desk", cut_at=6.0, base_model="base", now=6.0).name


def promoted(engine, name: str, *, now: float) -> str:
    releases.promote(engine, name, values=VALUES, now=now)
    return name


def statuses(engine) -> list[str]:
    return [release.status for release in releases.history(engine, "desk")]


def test_promotion_retires_the_old_champion(engine):
    first, second = candidate(engine), candidate(engine)
    assert (first, second) == ("desk--v000001", "desk--v000002")
    releases.promote(engine, first, values=VALUES, now=3.0)
    releases.promote(engine, second, values=VALUES, now=4.0)
    assert statuses(engine) == ["retired", "champion"]
    assert releases.champions(engine)["desk"].certificate == VALUES["certificate"]


def test_rollback_brings_the_one_before_back_and_then_none(engine):
    for _ in range(2):
        releases.promote(engine, candidate(engine), values=VALUES, now=3.0)
    back = releases.rollback(engine, "desk", binding={}, now=5.0)
    assert back is not None and back.name == "desk--v000001"
    assert statuses(engine) == ["champion", "rolled_back"]
    assert releases.rollback(engine, "desk", binding={}, now=6.0) is None
    assert statuses(engine) == ["rolled_back", "rolled_back"]
    assert releases.champions(engine) == {}


def test_a_release_is_put_back_in_force_by_its_name(engine):
    first, second = promoted(engine, candidate(engine), now=3.0), promoted(engine, candidate(engine), now=4.0)
    assert releases.reinstate(engine, first, binding={}, now=5.0).status == "champion"
    assert statuses(engine) == ["champion", "retired"]
    releases.rollback(engine, "desk", binding={}, now=6.0)
    assert statuses(engine) == ["rolled_back", "champion"]
    releases.reinstate(engine, first, binding={}, now=7.0)
    assert (statuses(engine), releases.champions(engine)["desk"].name) == (["champion", "retired"], first)
    waiting = candidate(engine)
    releases.hold(engine, waiting, values=VALUES, now=8.0)
    assert releases.reinstate(engine, waiting, binding={}, now=9.0).name == waiting
    assert statuses(engine) == ["retired", "retired", "champion"] and second


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda engine, name: releases.reinstate(engine, name, binding={}, now=5.0), "is champion: what was in force"),
        (
            lambda engine, name: releases.void(engine, releases.champions(engine)["desk"].name, reason="x", now=5.0),
            "voided",
        ),
        (lambda engine, name: None, "bound to|certified"),
    ],
)
def test_what_does_not_hold_is_not_put_back_in_force(engine, prepare, words):
    name = promoted(engine, candidate(engine), now=3.0)
    promoted(engine, candidate(engine), now=4.0)
    prepare(engine, name)
    before = statuses(engine)
    with pytest.raises(ReleaseError, match=words):
        releases.reinstate(engine, name, binding={"teacher": "another"}, now=6.0)
    assert statuses(engine) == before


def test_what_has_expired_or_was_refused_is_not_put_in_force(engine):
    first = promoted(engine, candidate(engine), now=3.0)
    promoted(engine, candidate(engine), now=4.0)
    with pytest.raises(ReleaseError, match="its certificate has expired"):
        releases.reinstate(engine, first, binding={}, now=3e9)
    refused = candidate(engine)
    releases.refuse(engine, refused, refusal={"reason": "poor"}, report={}, now=5.0)
    with pytest.raises(ReleaseError, match="is refused"):
        releases.reinstate(engine, refused, binding={}, now=6.0)


def test_only_a_certified_candidate_is_promoted(engine):
    name = candidate(engine)
    with pytest.raises(ReleaseError, match="no certificate"):
        releases.promote(engine, name, values={**VALUES, "certificate": None}, now=3.0)
    releases.refuse(engine, name, refusal={"reason": "weak"}, report={}, now=3.0)
    with pytest.raises(ReleaseError, match="refused"):
        releases.promote(engine, name, values=VALUES, now=4.0)
    assert statuses(engine) == ["refused"]
    with pytest.raises(ReleaseError, match="no release named"):
        releases.get(engine, "nobody")


def test_two_promoters_at_once_leave_one_champion(engine):
    names = [candidate(engine) for _ in range(8)]

    def promote(name: str) -> None:
        try:
            releases.promote(engine, name, values=VALUES, now=3.0)
        except ReleaseError:
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(promote, names))
    assert statuses(engine).count("champion") == 1


def test_names_are_never_given_twice(engine):
    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(lambda _: candidate(engine), range(8)))
    assert len(set(names)) == 8


def test_rollback_goes_to_the_release_last_in_force_not_to_the_newest(engine):
    first, second, third = (candidate(engine) for _ in range(3))
    for at, name in enumerate([second, first, third]):
        promoted(engine, name, now=float(at))
    back = releases.rollback(engine, "desk", binding={}, now=9.0)
    assert back is not None
    assert (back.name, back.status, back.changed_at) == (first, "champion", 9.0)
    assert statuses(engine) == ["champion", "retired", "rolled_back"]


def test_rollback_without_a_champion_is_refused_and_brings_nothing_back(engine):
    first = promoted(engine, candidate(engine), now=3.0)
    assert releases.rollback(engine, "desk", binding={}, now=4.0) is None
    for task in ("desk", "nobody"):
        with pytest.raises(ReleaseError, match=f"no release of {task} is in force"):
            releases.rollback(engine, task, binding={}, now=5.0)
    assert releases.get(engine, first).changed_at == 4.0


def test_rollback_does_not_go_behind_an_alarm(engine):
    for at in (3.0, 4.0):
        voided = promoted(engine, candidate(engine), now=at)
    releases.void(engine, voided, reason="alarm", now=5.0)
    promoted(engine, late_candidate(engine), now=7.0)
    assert releases.rollback(engine, "desk", binding={}, now=8.0) is None
    assert statuses(engine) == ["retired", "voided", "rolled_back"]


def test_rollback_brings_nothing_back_that_was_certified_with_another_teacher(engine):
    for at in (3.0, 4.0):
        promoted(engine, candidate(engine), now=at)
    assert releases.rollback(engine, "desk", binding={"teacher": "bigger"}, now=5.0) is None
    assert statuses(engine) == ["retired", "rolled_back"]


def test_a_candidate_that_the_alarm_has_overtaken_is_not_promoted(engine):
    champion, overtaken = candidate(engine), candidate(engine)
    promoted(engine, champion, now=3.0)
    releases.void(engine, champion, reason="alarm", now=5.0)
    with pytest.raises(Overtaken, match="before the last was voided"):
        promoted(engine, overtaken, now=6.0)
    assert statuses(engine) == ["voided", "candidate"]


NEXT = certified(bound_to={"engine": "2"})


def test_a_cut_over_puts_in_force_what_is_ready_for_the_new_settings(engine):
    first, second, third = promoted(engine, candidate(engine), now=3.0), candidate(engine), candidate(engine)
    releases.hold(engine, second, values=NEXT, now=4.0)
    releases.hold(engine, third, values=certified(bound_to={"engine": "3"}), now=4.0)
    assert releases.champions(engine)["desk"].name == first
    assert releases.take_up(engine, "desk", binding={"engine": "4"}, now=5.0) is None
    taken = releases.take_up(engine, "desk", binding={"engine": "2"}, now=5.0)
    assert taken is not None and (taken.name, taken.changed_at) == (second, 5.0)
    assert taken.valid({"engine": "2"}).alpha == 0.1
    assert statuses(engine) == ["voided", "champion", "ready"]
    assert "its settings are gone" in releases.get(engine, first).refusal["reason"]


def test_of_several_that_are_ready_the_newest_is_taken_up_and_the_others_retire(engine):
    for _ in range(2):
        releases.hold(engine, candidate(engine), values=NEXT, now=3.0)
    assert releases.take_up(engine, "desk", binding={"engine": "2"}, now=4.0).number == 2
    assert statuses(engine) == ["retired", "champion"]
    assert releases.take_up(engine, "desk", binding={"engine": "2"}, now=5.0) is None


def test_rolled_back_to_the_teacher_nothing_ready_for_the_same_settings_takes_over(engine):
    promoted(engine, candidate(engine), now=3.0)
    mine, other = candidate(engine), candidate(engine)
    releases.hold(engine, mine, values=NEXT, now=3.5)
    releases.hold(engine, other, values=certified(bound_to={"engine": "3"}), now=3.5)
    assert releases.rollback(engine, "desk", binding={"engine": "2"}, now=4.0) is None
    assert statuses(engine) == ["rolled_back", "rolled_back", "ready"]


def test_what_was_last_in_force_is_told(engine):
    assert releases.last_in_force(engine, "desk") is None
    first, second = promoted(engine, candidate(engine), now=3.0), candidate(engine)
    releases.hold(engine, second, values=NEXT, now=4.0)
    assert releases.newest_certified(engine, "desk").name == first
    releases.void(engine, first, reason="alarm", now=5.0)
    assert releases.last_in_force(engine, "desk").name == first


def test_what_has_expired_or_was_altered_or_overtaken_is_not_taken_up(engine):
    binding = {"engine": "2"}
    expired, altered, overtaken = (candidate(engine) for _ in range(3))
    releases.hold(engine, expired, values=certified(bound_to=binding, expires_at=4.0), now=3.0)
    assert releases.take_up(engine, "desk", binding=binding, now=4.0) is None
    releases.hold(engine, altered, values=NEXT, now=3.0)
    with writing(engine) as connection:
        changed = releases.releases.update().where(releases.releases.c.name == altered)
        connection.execute(changed.values(adapter_digest="another"))
    assert releases.take_up(engine, "desk", binding=binding, now=4.0) is None
    releases.hold(engine, overtaken, values=NEXT, now=3.0)
    releases.void(engine, promoted(engine, candidate(engine), now=4.0), reason="alarm", now=5.0)
    assert releases.take_up(engine, "desk", binding=binding, now=6.0) is None
    assert statuses(engine) == ["ready", "ready", "ready", "voided"]


def test_only_a_certified_candidate_is_held(engine):
    name = promoted(engine, candidate(engine), now=3.0)
    with pytest.raises(ReleaseError, match="is champion, not candidate"):
        releases.hold(engine, name, values=NEXT, now=4.0)
    with pytest.raises(ReleaseError, match="no certificate"):
        releases.hold(engine, candidate(engine), values={**NEXT, "certificate": None}, now=4.0)


def test_looks_at_labels_are_counted_by_adapter_and_question(engine):
    question = {"asked": {"engine": "2"}, "alpha": 0.1}
    ends = [
        (True, question),
        (False, question),  # refused before the labels were seen
        (True, {"asked": {"engine": "1"}, "alpha": 0.1}),
        (True, {}),  # killed when they had been seen
    ]
    for number, (seen, report) in enumerate(ends):
        name = candidate(engine)
        releases.set_adapter(engine, name, path="/a", digest="abc")
        if seen:
            record_uses(engine, release=name, uses=[Use(f"row {number}", "certify")])
        releases.refuse(engine, name, refusal={"reason": "weak"}, report=report, now=3.0)
    assert lineage.looks(engine, "desk", adapter_digest="abc", question=question) == 2
    assert lineage.looks(engine, "desk", adapter_digest="def", question=question) == 0


def test_what_was_certified_before_prompts_could_be_compact_holds_for_whole_ones(engine):
    name = candidate(engine)
    releases.promote(engine, name, values=certified(bound_to={"prompt": "p"}), now=1.0)
    held = releases.get(engine, name)
    assert held.mismatch({"prompt": "p", "student_prompt": "full"}) is None
    assert "student_prompt 'full', and now it is 'compact'" in str(held.mismatch({"student_prompt": "compact"}))


def test_what_was_certified_by_code_that_scores_alike_holds_and_code_of_before_does_not_serve_the_new(engine):
    old, new = (candidate(engine) for _ in range(2))
    releases.promote(engine, old, values=certified(bound_to={"code": SAME[0]}), now=1.0)
    assert releases.get(engine, old).mismatch({"code": CODE}) is None
    releases.promote(engine, new, values=certified(bound_to={"code": CODE}), now=2.0)
    assert releases.get(engine, new).mismatch({"code": CODE}) is None
    assert "certified with code" in releases.get(engine, new).mismatch({"code": SAME[0]})


def test_a_refused_promotion_leaves_the_champion_in_force(engine):
    first = promoted(engine, candidate(engine), now=3.0)
    second = candidate(engine)
    releases.refuse(engine, second, refusal={"reason": "weak"}, report={}, now=4.0)
    with pytest.raises(ReleaseError):
        promoted(engine, second, now=5.0)
    assert releases.champions(engine)["desk"].name == first


def test_an_adapter_is_bound_while_the_release_is_a_candidate(engine):
    name = candidate(engine)
    releases.set_adapter(engine, name, path="/adapters/1", digest="abc", report={"permission": {"terms": "§ 3"}})
    found = releases.get(engine, name)
    assert (found.adapter_path, found.adapter_digest, found.calibrator) == ("/adapters/1", "abc", None)
    assert found.report == {"permission": {"terms": "§ 3"}}
    promoted(engine, name, now=3.0)
    with pytest.raises(ReleaseError, match="is champion, not candidate"):
        releases.set_adapter(engine, name, path="/adapters/2", digest="def")


def test_a_promotion_sets_what_a_certificate_is_about_and_nothing_else(engine):
    name = candidate(engine)
    with pytest.raises(AssertionError, match="a promotion sets"):
        releases.promote(engine, name, values={**VALUES, "task": "other"}, now=3.0)


def test_tasks_have_numbers_and_champions_of_their_own(engine):
    other = releases.add_candidate(engine, task="mail", cut_at=1.0, base_model="base", now=2.0).name
    assert other == "mail--v000001"
    promoted(engine, other, now=3.0)
    promoted(engine, candidate(engine), now=3.0)
    assert {task: row.name for task, row in releases.champions(engine).items()} == {
        "desk": "desk--v000001",
        "mail": "mail--v000001",
    }


def test_a_voided_champion_leaves_its_task_to_the_teacher_for_good(engine):
    first, second = candidate(engine), candidate(engine)
    promoted(engine, first, now=3.0)
    promoted(engine, second, now=4.0)
    releases.void(engine, second, reason="alarm after 120 references", now=5.0)
    assert releases.champions(engine) == {} and statuses(engine) == ["retired", "voided"]
    assert releases.get(engine, second).refusal == {"reason": "alarm after 120 references"}
    with pytest.raises(ReleaseError, match="no release of desk is in force"):  # nor does the one before come back
        releases.rollback(engine, "desk", binding={}, now=6.0)
    with pytest.raises(ReleaseError, match="voided, not champion"):
        releases.void(engine, second, reason="again", now=7.0)


def test_what_was_left_half_done_is_refused_and_can_no_longer_be_promoted(engine):
    left, other = candidate(engine), promoted(engine, candidate(engine), now=3.0)
    releases.set_adapter(engine, left, path="/adapters/1", digest="abc", report={"permission": {"terms": "§ 3"}})
    assert releases.abandon(engine, "desk", now=4.0) == [left]
    assert "abandoned" in releases.get(engine, left).refusal["reason"]
    assert releases.get(engine, left).report == {"permission": {"terms": "§ 3"}}  # it was trained all the same
    with pytest.raises(ReleaseError, match="refused, not candidate"):
        releases.promote(engine, left, values=VALUES, now=5.0)
    assert releases.champions(engine)["desk"].name == other


def tried(engine, name: str, *, now: float) -> str:
    releases.try_out(engine, name, values=VALUES, now=now)
    return name


def test_a_canary_stands_beside_the_champion_and_takes_its_place(engine):
    first, second = promoted(engine, candidate(engine), now=3.0), tried(engine, candidate(engine), now=4.0)
    assert statuses(engine) == ["champion", "canary"]
    assert (releases.champions(engine)["desk"].name, releases.canaries(engine)["desk"].name) == (first, second)
    assert releases.canaries(engine)["desk"].valid({}).alpha == 0.1
    releases.crown(engine, second, now=5.0)
    assert statuses(engine) == ["retired", "champion"]
    with pytest.raises(ReleaseError, match="is champion, not canary"):
        releases.crown(engine, second, now=6.0)
    assert statuses(engine) == ["retired", "champion"]


def test_the_next_canary_ends_the_trial_of_the_one_before(engine):
    tried(engine, candidate(engine), now=3.0)
    second = tried(engine, candidate(engine), now=4.0)
    assert statuses(engine) == ["rolled_back", "canary"]
    assert releases.history(engine, "desk")[0].refusal == {"reason": f"{second} is tried in its place"}


def test_a_rollback_ends_a_trial_first_and_then_the_champion(engine):
    first, second = promoted(engine, candidate(engine), now=3.0), promoted(engine, candidate(engine), now=4.0)
    on_trial = tried(engine, candidate(engine), now=5.0)
    back = releases.rollback(engine, "desk", binding={}, now=6.0, of=on_trial, reason="slow")
    assert back is not None and back.name == second
    assert releases.get(engine, on_trial).refusal == {"reason": "slow"}
    with pytest.raises(ReleaseError, match="or another"):  # a worker that has judged it twice
        releases.rollback(engine, "desk", binding={}, now=7.0, of=on_trial)
    assert statuses(engine) == ["retired", "champion", "rolled_back"]
    back = releases.rollback(engine, "desk", binding={}, now=8.0, of=second, reason="slow")
    assert back is not None and back.name == first
    again = releases.reinstate(engine, on_trial, binding={}, now=9.0)  # a person knows better
    assert (again.status, again.refusal) == ("champion", None)


def test_a_trial_without_a_champion_ends_with_the_teacher(engine):
    tried(engine, candidate(engine), now=3.0)
    assert releases.rollback(engine, "desk", binding={}, now=4.0) is None
    assert statuses(engine) == ["rolled_back"] and releases.served(engine) == []


def test_a_person_may_promote_a_canary_before_it_is_judged(engine):
    promoted(engine, candidate(engine), now=3.0)
    assert releases.reinstate(engine, tried(engine, candidate(engine), now=4.0), binding={}, now=5.0).number == 2
    assert statuses(engine) == ["retired", "champion"]


@pytest.mark.parametrize(("which", "left"), [(0, ["voided", "voided"]), (1, ["champion", "voided"])])
def test_an_alarm_of_the_champion_voids_the_canary_too_and_not_the_other_way_round(engine, which, left):
    names = promoted(engine, candidate(engine), now=3.0), tried(engine, candidate(engine), now=4.0)
    releases.void(engine, names[which], reason="alarm", now=5.0)
    assert statuses(engine) == left
    with pytest.raises(ReleaseError, match="is voided"):
        releases.reinstate(engine, names[1], binding={}, now=6.0)


def test_a_cut_over_ends_a_trial_and_an_overtaken_candidate_gets_none(engine):
    tried(engine, candidate(engine), now=3.0)
    releases.hold(engine, candidate(engine), values=NEXT, now=3.0)
    overtaken = candidate(engine)
    assert releases.take_up(engine, "desk", binding={"engine": "2"}, now=4.0) is not None
    assert statuses(engine) == ["voided", "champion", "candidate"]
    with pytest.raises(Overtaken):
        tried(engine, overtaken, now=5.0)


def test_nothing_goes_back_to_a_release_whose_certificate_has_expired(engine):
    releases.promote(engine, candidate(engine), values=certified(expires_at=5.0), now=3.0)
    promoted(engine, candidate(engine), now=4.0)
    assert releases.rollback(engine, "desk", binding={}, now=6.0) is None
    assert statuses(engine) == ["retired", "rolled_back"]


def test_whoever_promotes_tries_or_rolls_back_at_once_leaves_one_of_each(engine):
    names = [candidate(engine) for _ in range(4)]
    known = [tried(engine, candidate(engine), now=2.5), *names]

    def act(step) -> None:
        try:
            step()
        except ReleaseError:
            return

    steps = [partial(releases.try_out, engine, name, values=VALUES, now=3.0) for name in names[:2]]
    steps += [partial(releases.promote, engine, name, values=VALUES, now=3.0) for name in names[2:]]
    steps += [partial(releases.crown, engine, name, now=4.0) for name in known]
    steps += [partial(releases.rollback, engine, "desk", binding={}, now=4.0) for _ in range(3)]
    steps += [partial(releases.reinstate, engine, name, binding={}, now=4.0) for name in known]
    most = 0
    with ThreadPoolExecutor(8) as pool:
        under_way = [pool.submit(act, step) for step in steps * 3]
        while not all(each.done() for each in under_way):
            found = [release.status for release in releases.served(engine)]
            most = max(most, len(found))
            assert len(found) == len(set(found))
        for each in under_way:
            each.result()
    assert most >= 1 and {"candidate"}.isdisjoint(statuses(engine))


KILLED = """
import os, signal, sys
from ledger import releases
from ledger.database import connect
from tests.ledger.make import certified
url, step, moment = sys.argv[1:]
engine = connect(url)
execute, count = releases.sa.Connection.execute, 0
def until(connection, statement, *args, **named):
    global count
    done = execute(connection, statement, *args, **named)
    count += isinstance(statement, releases.sa.Update)
    if count == int(moment):
        os.kill(os.getpid(), signal.SIGKILL)
    return done
releases.sa.Connection.execute = until
steps = {
    "try_out": lambda: releases.try_out(engine, "desk--v000004", values=certified(), now=9.0),
    "crown": lambda: releases.crown(engine, "desk--v000003", now=9.0),
    "rollback": lambda: releases.rollback(engine, "desk", binding={}, now=9.0),
    "void": lambda: releases.void(engine, "desk--v000002", reason="alarm", now=9.0),
}
steps[step]()
"""


@pytest.mark.parametrize("moment", [1, 2])
@pytest.mark.parametrize("step", ["try_out", "crown", "rollback", "void"])
def test_a_kill_between_two_writes_of_a_step_leaves_all_as_it_was(engine, step, moment):
    for at in (3.0, 4.0):
        promoted(engine, candidate(engine), now=at)
    if step == "rollback":  # of the champion, with one before it
        candidate(engine)
    else:
        tried(engine, candidate(engine), now=5.0)
    candidate(engine)
    before = releases.history(engine, "desk")
    command = [sys.executable, "-c", KILLED, engine.url.render_as_string(), step, str(moment)]
    assert subprocess.run(command, timeout=60).returncode == -signal.SIGKILL
    assert releases.history(engine, "desk") == before
