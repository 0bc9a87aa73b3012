"""What a release takes beside its teacher, computed by hand."""

import pytest

from distill.effort import Dollars, Side, effort, expected
from ledger.prices import Price
from ledger.records import Draft, Usage
from ledger.replies import Reply
from tests.distill.seen import window

NOTHING = Side(0, None, None, 0, None, None)


def draft(prompt, answer, *, took_s):
    return Draft("refund", "stop", {}, Usage(prompt, answer), 0.0, took_s)


def reply(prompt, answer, *, took_s=0.0, usd=0.0):
    return Reply(Usage(prompt, answer), usd, took_s)


def test_both_sides_are_of_the_exchanges_that_both_have_answered():
    drafts = [("a", draft(10, 1, took_s=0.1)), ("b", draft(20, 3, took_s=0.3)), ("c", draft(999, 9, took_s=9.0))]
    found = effort("window", drafts, {"a": reply(12, 2, took_s=1.0), "b": reply(24, 4, took_s=3.0)})
    assert found.of == "window"
    assert found.student == Side(2, 15.0, 2.0, 2, pytest.approx(0.2), pytest.approx(0.29))
    assert found.teacher == Side(2, 18.0, 3.0, 2, pytest.approx(2.0), pytest.approx(2.9))


def test_of_a_log_without_seconds_tokens_are_told_and_drafts_are_timed_alone():
    found = effort("window", [("a", draft(10, 1, took_s=0.1))], {"a": reply(12, 2)})
    assert found.student == Side(1, 10.0, 1.0, 1, 0.1, 0.1)
    assert found.teacher == Side(1, 12.0, 2.0, 0, None, None)


def test_where_nothing_of_the_teacher_is_known_drafts_are_told_and_of_no_draft_nothing():
    found = effort("fit rows", [("a", draft(10, 1, took_s=0.1))], {})
    assert (found.student, found.teacher) == (Side(1, 10.0, 1.0, 1, 0.1, 0.1), NOTHING)
    assert effort("fit rows", [], {}).student == NOTHING


FOUR = [("a", "a", {})] * 4
SCORES = (0.9, 0.8, 0.7, -1.0)
REPLIES = {f"id-{n}": reply(100, 10, usd=usd) for n, usd in enumerate((0.01, 0.02, 0.04, 0.05))}


def test_a_request_costs_its_draft_the_teacher_where_it_escalates_and_the_references():
    found = expected(window(*FOUR, scores=SCORES), threshold=0.8, replies=REPLIES, price=None, rho=0.1)
    assert (found.rows, found.escalation, found.rho) == (4, 0.5, 0.1)
    told = found.dollars
    assert told.teacher_alone == pytest.approx(0.12 / 4)
    assert told.drafts == pytest.approx(0.001)
    assert told.escalated == pytest.approx((0.04 + 0.05) / 4)
    assert told.references == pytest.approx(0.1 * (0.01 + 0.02) / 4)
    assert told.total == pytest.approx(0.001 + 0.0225 + 0.00075)


def test_the_price_in_force_counts_rather_than_that_of_when_it_was_recorded():
    found = expected(
        window(*FOUR, scores=SCORES), threshold=0.8, replies=REPLIES, price=Price(1e-5, 1e-4), rho=0.0
    ).dollars
    assert found == Dollars(4, pytest.approx(0.002), pytest.approx(0.001), pytest.approx(0.001), 0.0)


def test_rows_without_dollars_are_left_out_of_the_dollars_and_without_any_these_are_unknown():
    seen = window(*FOUR, scores=SCORES)
    some = expected(seen, threshold=0.8, replies={**REPLIES, "id-3": reply(0, 0)}, price=None, rho=0.1)
    assert some.escalation == 0.5 and some.dollars.rows == 3
    assert some.dollars.teacher_alone == pytest.approx(0.07 / 3)
    none = expected(seen, threshold=0.8, replies={"id-0": reply(100, 10)}, price=None, rho=0.1)
    assert (none.escalation, none.dollars) == (0.5, None)


def test_what_is_not_drafted_costs_no_draft():
    found = expected(
        window(("a", "a", {}), (None, "a", {}), scores=(0.9, -1.0)), threshold=0.5, replies=REPLIES, price=None, rho=0.0
    )
    assert found.dollars.drafts == pytest.approx(0.0005)


def test_it_escalates_what_the_certificate_does_not_accept():
    seen = window(("a", "a", {}), ("b", "a", {}), ("a", "a", {}), scores=(0.9, 0.9, 0.1))
    found = expected(seen, threshold=0.5, replies={}, price=None, rho=0.0)
    assert (found.rows, found.escalation) == (3, pytest.approx(1 / 3))
