import json
import random
from dataclasses import replace

import pytest

from calibration.certify import ScoredRow
from calibration.evidence import SHORT
from calibration.question import Judge
from distill import judge as asking
from distill.evaluate import DraftsMissing, StudentMute, acceptable, agreement, calibrate, compare, judge, lost, scored
from distill.rows import TrainingRow
from tests.fakes import draft


def evidence(sure):
    return dict.fromkeys(SHORT, 1.0 if sure else 0.0)


def rows(count, *, mute=0):
    """Rows on which the student agrees where it is sure; the last `mute` have no draft."""
    rng = random.Random(0)
    sure = [rng.random() < 0.5 for _ in range(count)]
    drafts = [draft(text="yes", evidence=evidence(s)) for s in sure]
    drafts[count - mute :] = [None] * mute
    return judge([str(n) for n in range(count)], drafts, ["yes" if s else "no" for s in sure], measure="exact")


def test_a_draft_that_is_missing_or_unanswered_disagrees():
    judged = judge(
        ["a", "b", "c", "d"],
        [draft(text="Yes"), None, draft(text="yes"), draft(text="no")],
        ["yes", "yes", None, "yes"],
        measure="exact",
    )
    assert [row.disagreement for row in judged] == [0.0, 1.0, 1.0, 1.0]
    assert agreement(judged) == 0.25 and agreement([]) == 0.0


def test_a_task_compares_by_its_own_measure():
    drafts = [draft(text='{"total": 12.50}')]
    (by_fields,) = judge(["a"], drafts, ['{"total": "12.5"}'], measure="json")
    (by_text,) = judge(["a"], drafts, ['{"total": "12.5"}'], measure="exact")
    assert (by_fields.disagreement, by_text.disagreement) == (0.0, 1.0)


@pytest.mark.parametrize("unusable", [draft(finish_reason="length"), draft(evidence={}), None])
def test_what_the_gateway_would_not_accept_has_a_score_below_every_threshold(unusable):
    calibrator = calibrate(rows(80))
    drafts = acceptable([unusable], prefix=None)
    (row,) = scored(judge(["a"], drafts, ["refund"], measure="exact"), calibrator)
    assert row.score == -1.0


def test_judged_by_a_prefix_a_draft_that_was_cut_off_behind_it_counts():
    cut_off = draft(finish_reason="length", evidence=evidence(True))  # three tokens
    for prefix, usable in ((None, False), (3, True), (4, False)):
        (row,) = judge(["a"], acceptable([cut_off], prefix=prefix), ["refund"], measure="exact")
        assert row.usable == usable


def test_the_score_ranks_agreement():
    judged = rows(80)
    found = scored(judged, calibrate(judged))
    assert min(row.score for row in found if not row.disagreement) > max(row.score for row in found if row.disagreement)


def of(judged, given):
    """The first of these rows with such drafts."""
    drafts = acceptable(given, prefix=None)
    return [*(replace(row, draft=each) for row, each in zip(judged, drafts, strict=False)), *judged[len(given) :]]


CUT, BARE = draft(finish_reason="length", evidence=evidence(True)), draft(evidence={})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([BARE] * 50, "only 30 of 80 drafts could be accepted: most others carry no evidence"),
        ([CUT] * 50, "only 30 of 80 .* 50 did not end within the task's max_tokens; raise it"),
        ([*[CUT] * 5, *[BARE] * 45], "most others carry no evidence"),
        ([*[None] * 5, *[CUT] * 45], "45 did not end"),
    ],
)
def test_a_student_whose_drafts_are_of_no_use_is_not_judged(given, words):
    with pytest.raises(StudentMute, match=words):
        calibrate(of(rows(80), given))


@pytest.mark.parametrize("given", [[None] * 50, [*[None] * 45, *[CUT] * 5]])
def test_drafts_that_did_not_come_say_nothing_of_the_student(given):
    with pytest.raises(DraftsMissing, match=rf"only 30 of 80 .*: {given.count(None)} did not come"):
        calibrate(of(rows(80), given))


def test_few_rows_are_told_by_what_is_wrong_with_them():
    with pytest.raises(StudentMute, match="only 19 of 22"):
        calibrate(of(rows(22), [BARE] * 3))
    with pytest.raises(DraftsMissing, match="only 19 of 22"):
        calibrate(of(rows(22), [None] * 3))


def test_a_judge_decides_about_what_differs_and_a_draft_without_a_verdict_disagrees(monkeypatch):
    monkeypatch.setattr(asking, "RETRY_PAUSES_S", (0.0,))
    words = {"a": ["SAME", "SAME"], "b": ["DIFFERENT", "SAME"], "c": [None, None]}
    prompts = ["a", "b", "c", "d", "e"]
    asked_of = [TrainingRow(p, ({"role": "user", "content": p},), "it is so", "stop") for p in prompts]
    sure = evidence(True)
    drafts = [draft(text="so it is", evidence=sure)] * 3 + [draft(text="It is so.", evidence=sure), None]

    def ask(judge, requests):
        asked = [json.loads(request["messages"][1]["content"])["request"] for request in requests]
        return [word for prompt in asked[::2] for word in words[prompt]]

    answers, judge = [row.completion for row in asked_of], Judge("referee", "m", "")
    found = compare(asked_of, drafts, answers, by=judge, ask_judge=ask, progress=lambda *_: None)
    assert [row.disagreement for row in found] == [0.0, 1.0, 1.0, 0.0, 1.0]
    assert [row.asked for row in found] == [True, True, True, False, False]
    assert [row.asked for row in scored(found, calibrate(rows(80)))] == [True, True, True, False, False]
    by_rule = compare(asked_of, drafts, answers, by="exact", ask_judge=ask, progress=lambda *_: None)
    assert [row.disagreement for row in by_rule] == [1.0, 1.0, 1.0, 0.0, 1.0]


def test_what_left_the_window_is_accepted_at_every_threshold_and_wrong():
    rows = [*lost(3), ScoredRow(0.2, 0.0)]
    assert [row.score >= 1.0 for row in rows] == [True, True, True, False]
    assert sum(row.disagreement for row in rows) == 3
