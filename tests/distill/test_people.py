"""A teacher's errors as people have found them, counted by hand."""

import pytest

from distill.evaluate import judge
from distill.people import Errors, Verdict, agreement_as_corrected, errors, verdicts
from tests.distill.seen import window

A, B, C = "refund", "delivery", "voucher"
GOOD, LABEL = {"good": True}, {"good": False, "correction": A}
ROWS = (
    (A, B, LABEL),  # fixed
    (B, B, LABEL),  # copied
    (C, B, LABEL),  # wrong, and otherwise than the teacher
    (B, A, LABEL),  # an error more: what people say is what the teacher has said
    (B, A, GOOD),  # another
    (A, A, GOOD),
    (A, A, {}),  # nobody has said anything
    (B, A, {"good": False}),  # wrong, and nobody has said what is right
    (None, B, LABEL),  # no draft
    (A, None, LABEL),  # the teacher's answer is lost
)


class Asked:
    """Compares word for word, and keeps what it was asked about."""

    def __init__(self):
        self.pairs = []

    def __call__(self, rows, drafts, answers):
        self.pairs += [(draft and draft.text, answer) for draft, answer in zip(drafts, answers, strict=True)]
        return judge([row.exchange_id for row in rows], drafts, answers, measure="exact")


def test_the_teachers_errors_are_fixed_copied_or_wrong_otherwise_and_the_students_own_are_added():
    seen = window(*ROWS)
    assert errors(verdicts(seen, compare=Asked()), seen) == Errors(rows=6, teacher_wrong=3, fixed=1, copied=1, added=2)


def test_at_a_threshold_those_are_counted_that_the_student_would_answer():
    seen = window(*ROWS, scores=(0.9, 0.4, 0.9, 0.9, 0.4, 0.5, 0.9, 0.9, -1.0, 0.9))
    found = errors(verdicts(seen, compare=Asked()), seen, threshold=0.5)
    assert found == Errors(rows=4, teacher_wrong=2, fixed=1, copied=0, added=1)


def test_of_a_draft_that_is_missing_and_an_answer_that_is_lost_it_is_known_and_not_counted():
    seen = window(*ROWS[-2:])
    found = verdicts(seen, compare=Asked())
    assert found == [
        Verdict(0, draft_wrong=True, teacher_wrong=True, agree=False),
        Verdict(1, draft_wrong=False, teacher_wrong=None, agree=False),
    ]
    assert errors(found, seen) == Errors(0, 0, 0, 0, 0)


def test_a_judge_is_asked_about_nothing_that_was_compared_before():
    asked = Asked()
    verdicts(window((B, A, GOOD), (B, A, LABEL), (A, A, {})), compare=asked)
    assert asked.pairs == []
    verdicts(window((A, B, LABEL)), compare=asked)
    assert asked.pairs == [(A, A), (B, A)]  # the draft, then the teacher's answer


def test_where_nobody_has_said_what_is_right_nothing_is_known():
    seen = window((A, A, {}), (B, A, {"good": False}))
    found = verdicts(seen, compare=Asked())
    assert errors(found, seen).rows == 0 and agreement_as_corrected(found, seen) is None


def test_agreement_with_the_words_of_people_where_they_have_corrected_and_with_the_teachers_elsewhere():
    seen = window(*ROWS)
    corrected, share = agreement_as_corrected(verdicts(seen, compare=Asked()), seen)
    # Right are the first, the last, and two of four that nobody has corrected.
    assert corrected == 6 and share == pytest.approx(4 / 10)
