"""Dollars by hand, and an interval that holds."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ledger.database import connect, writing
from ledger.ingest import store
from ledger.keys import Grant, create, rotate
from ledger.records import Draft, Label, TeacherReply, Usage
from ledger.savings import COMPONENTS, DAY_S, FEWEST, Estimate, Savings, by_day, by_part, by_task, savings, together
from ledger.totals import HOUR_S, charge
from tests.ledger.make import exchange, student_exchange


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path / 'ledger.db'}")


def answered(number, *, tokens, at=0.0, **fields):
    """An answer of the student of so many tokens."""
    draft = Draft("refund", "stop", {"x": 1.0}, Usage(tokens - 2, 2), 0.0001)
    return student_exchange(number, at=at, draft=draft, **fields)


def label(number, usd):
    return Label(exchange_id=f"id-{number:06d}", at=1.0, reply=TeacherReply("big", "a", "stop", Usage(10, 1), usd))


def test_every_cent_by_hand(engine):
    """Ten cents of teacher, streamed, left and refused among it; two hundred answers of 100 tokens, of which forty were
    labelled at a cent each: the teacher would have taken two dollars for them."""
    teacher = [
        exchange(0, stream=True),  # 1 cent, as each
        exchange(
            1, status=499, route="none", teacher_reply=TeacherReply("big", "ha", None, Usage(9, 1), 0.01, 0.1, "left")
        ),
        exchange(2, reason="unsure", draft=Draft("x", "stop", {}, Usage(98, 2), 0.002)),
        exchange(3, status=429, route="none", reason="no_release", teacher_reply=None),
        *(
            exchange(number, teacher_reply=TeacherReply("big", "a", "stop", Usage(8, 1, 6), 0.07 / 7))
            for number in range(4, 11)
        ),
    ]
    students = [answered(number, tokens=100) for number in range(100, 300)]
    labels = [label(number, 0.01) for number in range(100, 140)]
    own = [exchange(900, origin="probe", reason="own"), exchange(901, origin="judge", reason="own")]
    store(engine, [*teacher, *students, *labels, *own, exchange(902, origin="import")])
    with writing(engine) as connection:
        charge(connection, "desk", origin="training", usd=0.25, at=5.0)
    found = savings(engine, task="desk")
    assert (found.requests, found.student_answers) == (211, 200)
    assert found.measured_usd == pytest.approx(0.10)
    assert found.estimated == Estimate(pytest.approx(2.0), pytest.approx(2.0), pytest.approx(2.0))
    assert found.costs == pytest.approx(
        dict.fromkeys(COMPONENTS, 0.0)
        | {"teacher": 0.10, "draft": 0.022, "reference": 0.40, "probe": 0.01, "judge": 0.01, "training": 0.25}
    )
    assert found.baseline_usd == pytest.approx(2.10)
    assert found.saved_usd == pytest.approx(2.10 - 0.792)
    assert found.saved_share == pytest.approx((2.10 - 0.792) / 2.10)
    assert found.teacher_cached_tokens == 42


def test_longer_requests_cost_more(engine):
    """References of 100 tokens at a cent and of 300 at three: an answer of 200 is worth two."""
    store(engine, [answered(number, tokens=100 + 200 * (number % 2)) for number in range(40)])
    store(engine, [label(number, 0.01 + 0.02 * (number % 2)) for number in range(40)])
    store(engine, [answered(number, tokens=200) for number in range(100, 110)])
    found = savings(engine).estimated
    assert found.usd == pytest.approx(0.2 * 4 + 10 * 0.02) and found.high - found.low < 1e-9


def test_of_few_references_no_interval_is_told(engine):
    store(engine, [answered(number, tokens=100) for number in range(100)])
    store(engine, [label(number, 0.01) for number in range(FEWEST - 1)])
    found = savings(engine)
    assert found.estimated == Estimate(pytest.approx(1.0), 0.0, pytest.approx(1.0), told=False)
    assert found.saved_low_usd < 0 < found.saved_usd


def test_without_any_the_escalated_ones_tell_what_a_token_costs(engine):
    store(engine, [answered(number, tokens=100) for number in range(10)])
    assert savings(engine).estimated == Estimate(told=False)
    store(engine, [exchange(50, reason="unsure", draft=Draft("x", "stop", {}, Usage(48, 2), 0.0))])
    assert savings(engine).estimated == Estimate(pytest.approx(0.2), 0.0, pytest.approx(0.2), told=False)


def test_nothing_is_nothing(engine):
    assert savings(engine) == Savings() and savings(engine).saved_share == 0.0
    assert by_day(engine, since=0.0) == []


def test_days_add_up_to_the_whole(engine):
    store(engine, [answered(number, tokens=100 + number, at=DAY_S * (number % 3)) for number in range(90)])
    store(engine, [answered(500, tokens=10, at=HOUR_S, task="till")])
    store(engine, [label(number, 0.01 + number * 1e-4) for number in range(60)])
    days, whole = by_day(engine, since=0.0), savings(engine, task="desk")
    assert [(day, sorted(found)) for day, found in days] == [
        (0.0, ["desk", "till"]),
        (DAY_S, ["desk"]),
        (2 * DAY_S, ["desk"]),
    ]
    assert sum(found["desk"].estimated.usd for _, found in days) == pytest.approx(whole.estimated.usd)
    assert sum(found["desk"].spent_usd for _, found in days) == pytest.approx(whole.spent_usd)
    assert [day for day, _ in by_day(engine, since=DAY_S + 5.0, until=2.0 * DAY_S, task="desk")] == [DAY_S]


def test_a_period_is_no_better_known_than_by_its_references(engine):
    """Days that share their references are wrong together: a week's interval is a week of theirs."""
    store(engine, [answered(number, tokens=100, at=DAY_S * (number % 7)) for number in range(700)])
    store(engine, [label(number, 0.01 * (1 + number % 2)) for number in range(140)])
    whole, days = savings(engine).estimated, [found["desk"].estimated for _, found in by_day(engine, since=0.0)]
    assert whole.high - whole.low == pytest.approx(sum(day.high - day.low for day in days))


def test_tasks_are_told_apart_and_add_up(engine):
    store(engine, [exchange(0), exchange(1, task="till"), exchange(2, task=None)])
    found = by_task(engine)
    assert {name: each.spent_usd for name, each in found.items()} == {"desk": 0.01, "till": 0.01, "": 0.01}
    assert savings(engine).spent_usd == pytest.approx(0.03)
    assert by_task(engine, task="till").keys() == {"till"}


def test_what_is_not_told_of_a_task_is_not_told_of_all():
    few, told = Estimate(10.0, 0.0, 10.0, told=False), Estimate(10.0, 9.0, 11.0)
    found = together([Savings(estimated=each) for each in (few, few, told)]).estimated
    assert (found.usd, found.low, found.told) == (30.0, 9.0, False)
    assert together([Savings(), Savings(estimated=told)]).estimated == told


def test_intervals_of_tasks_add_up_as_variances_do():
    one = replace(Savings(), estimated=Estimate(10.0, 7.0, 13.0))
    half = pytest.approx(3 * math.sqrt(2))
    found = together([one, one]).estimated
    assert (found.usd, found.usd - found.low, found.high - found.usd) == (20.0, half, half)


@pytest.mark.parametrize(("rho", "noise"), [(0.05, 0.2), (0.2, 0.8)])
def test_the_interval_holds_in_nineteen_of_twenty_runs(engine, rho, noise):
    """By the very numbers that are summed: costs in proportion to tokens, with answers of very different lengths."""
    from ledger.savings import _estimate
    from ledger.totals import Sums

    rng, runs, hits = np.random.default_rng(0), 400, 0
    for _ in range(runs):
        x = rng.lognormal(4.0, 0.5, size=2000)
        y = 1e-5 * x * rng.lognormal(0.0, noise, size=2000)
        drawn = rng.random(2000) < rho
        moments = (x[drawn].sum(), y[drawn].sum(), (x**2)[drawn].sum(), (x * y)[drawn].sum(), (y**2)[drawn].sum())
        names = ("pair_x", "pair_y", "pair_xx", "pair_xy", "pair_yy")
        sums = Sums(answer_tokens=int(x.sum()), pairs=int(drawn.sum()), **dict(zip(names, moments, strict=True)))
        found = _estimate(sums, sums, of_task=sums)
        hits += found.low <= y.sum() <= found.high
    assert hits >= 0.92 * runs


def test_keys_and_releases_have_what_was_asked_and_paid_by_them(engine):
    """A key with enough references has an estimate of its own; one without takes its task's, and claims nothing."""
    store(engine, [answered(n, tokens=100, key="shop", release="desk--v1") for n in range(60)])
    store(engine, [label(n, 0.01) for n in range(40)])
    store(engine, [answered(n, tokens=200, key="blog", release="desk--v2") for n in range(100, 110)])
    store(engine, [label(n, 0.05) for n in range(100, 105)])
    store(engine, [exchange(200, key="blog"), exchange(201), exchange(202, origin="probe", reason="own", key="shop")])
    with writing(engine) as connection:
        charge(connection, "desk", origin="training", usd=0.25, at=5.0, release="desk--v2")
        charge(connection, "desk", origin="upkeep", usd=0.5, at=5.0)
    keys, releases = by_part(engine, "key"), by_part(engine, "release")
    assert keys["shop"].estimated == Estimate(*[pytest.approx(0.6)] * 3)
    a_token = (40 * 0.01 + 5 * 0.05) / (40 * 100 + 5 * 200)
    blog = keys["blog"].estimated
    assert blog == Estimate(pytest.approx(2000 * a_token), 0.0, pytest.approx(2000 * a_token), told=False)
    assert (keys["blog"].requests, keys["blog"].student_answers, keys["blog"].measured_usd) == (11, 10, 0.01)
    assert keys["blog"].spent_usd == pytest.approx(0.01 + 5 * 0.05 + 10 * 0.0001)
    assert keys[""].spent_usd == pytest.approx(0.01 + 0.01 + 0.25 + 0.5)  # asked without a key, and for all
    assert {name: found.costs["training"] for name, found in releases.items()} == {
        "": 0.0,
        "desk--v1": 0.0,
        "desk--v2": 0.25,
    }
    for parts in (keys, releases, by_part(engine, "task")):
        assert together(parts.values()).spent_usd == pytest.approx(savings(engine).spent_usd)
        assert sum(found.requests for found in parts.values()) == savings(engine).requests
    (day,) = by_day(engine, "key", since=0.0)
    assert day[1] == keys


def test_a_key_is_all_that_it_was_rotated_to(engine):
    key, _ = create(engine, Grant("shop"), now=1.0)
    newer, _ = rotate(engine, key.id, now=2.0, grace_s=10.0)
    store(engine, [exchange(1, key=key.id), exchange(2, key=newer.id)])
    assert {name: found.requests for name, found in by_part(engine, "key").items()} == {key.id: 2}
