"""What the next student is expected to take, by those before it."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.outlook import UNKNOWN, hours, outlook, training_hours

ALPHA = 0.05


def release(number, rows, *, coverage=None, digest=None, trained=True, **report):
    """One that was trained of so many rows, some of them rejected."""
    trained_of = (
        {"train": rows - 300, "validate": 50, "fit": 200} if trained else {"train": 0, "validate": 0, "fit": 90}
    )
    made = {"rows": trained_of, "rejected": {"truncated": 50}, "alpha": ALPHA} | report
    made |= {"training": {"seconds": 60.0 * number}} if trained else {"adapter_of": "desk--v000001"}
    certificate = None if coverage is None else {"coverage": coverage}
    return SimpleNamespace(
        name=f"desk--v{number:06d}", report=made, certificate=certificate, adapter_digest=digest or str(number)
    )


def ask(*history, rows=1000):
    return outlook(history, alpha=ALPHA, rows=rows)


def test_without_a_release_nothing_is_known():
    assert ask() == UNKNOWN and UNKNOWN.coverage is None


def test_one_says_what_it_took_up_to_twice_its_rows():
    one = release(1, 1000, coverage=0.6)
    assert ask(one).because == "as desk--v000001, made of 1,000 rows"
    assert [ask(one, rows=rows).coverage for rows in (500, 1000, 2000)] == pytest.approx([0.6] * 3)
    assert ask(one, rows=2001).coverage is None
    assert ask(one, rows=2001).because == "2,001 rows are more than twice the 1,000 of any before"


def test_what_is_left_falls_as_a_power_of_the_rows():
    found = ask(release(1, 1000, coverage=0.2), release(2, 2000, coverage=0.6), rows=4000)
    assert found.coverage == pytest.approx(1 - 0.8 / 4) and "2 releases of 1,000 to 2,000 rows" in found.because


def test_what_fell_with_more_rows_is_chance_and_is_expected_to_stay():
    found = ask(release(1, 1000, coverage=0.64), release(2, 2000, coverage=0.36), rows=4000)
    assert found.coverage == pytest.approx(1 - (0.36 * 0.64) ** 0.5)


@given(
    st.lists(st.tuples(st.integers(400, 20_000), st.floats(0.0, 1.0)), min_size=1, max_size=6),
    st.lists(st.integers(0, 40_000), min_size=2, max_size=2).map(sorted),
)
def test_more_rows_are_never_expected_to_take_less_and_none_takes_more_than_all(known, rows):
    history = [release(n, made_of, coverage=took) for n, (made_of, took) in enumerate(known, 1)]
    fewer, more = (ask(*history, rows=each).coverage for each in rows)
    if more is not None and fewer is not None:
        assert 0.0 <= fewer <= more + 1e-9 and more < 1.0


def test_one_that_was_refused_for_a_better_one_counts_as_it_was_certified():
    refused = release(2, 1000, expected={"escalation": 0.3}, effort={"of": "window"})
    assert ask(refused).coverage == pytest.approx(0.7)


def test_one_that_was_refused_in_the_test_took_nothing_and_alone_says_nothing_of_a_better_one():
    refused = release(1, 1000, effort={"of": "window"})
    assert ask(refused).coverage is None and ask(refused).because == "1 tested, none certified"
    both = ask(refused, release(2, 2000, coverage=0.5), rows=4000)
    assert both.coverage == pytest.approx(0.75)


def test_what_was_never_tested_or_for_another_contract_is_no_point():
    unseen = release(1, 1000, effort={"of": "fit rows"})
    other = release(2, 1000, coverage=0.9, alpha=0.1)
    untold = SimpleNamespace(name="desk--v000003", report=None, certificate=None, adapter_digest="")
    assert ask(unseen, other, untold) == UNKNOWN


def test_one_that_is_certified_anew_has_the_rows_of_its_adapter():
    first = release(1, 1000, coverage=0.9, digest="a", alpha=0.1)
    anew = release(2, 140, coverage=0.5, digest="a", trained=False)
    assert ask(first, anew).because == "as desk--v000002, made of 1,000 rows"


def test_a_training_takes_what_the_last_took():
    assert training_hours([]) is None
    assert training_hours([release(1, 1000), release(2, 1000), release(3, 400, trained=False)]) == pytest.approx(2 / 60)
    assert hours({"seconds": 1800.0, "preferred": {"seconds": 900.0}}) == pytest.approx(0.75)


@pytest.mark.parametrize("lacking", ["rows", "rejected", "training", "alpha"])
def test_a_release_whose_report_lacks_something_is_no_point(lacking):
    one = release(1, 1000, coverage=0.6)
    del one.report[lacking]
    assert ask(one) == UNKNOWN
