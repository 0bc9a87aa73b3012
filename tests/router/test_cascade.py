"""Every way out of the cascade but one leads to the teacher."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from router.cascade import Verdict, decide
from router.wire import parse_chat
from tests.fakes import RELEASE, TASK, UNSURE, FakeStudent, draft


def weigh(student: FakeStudent | None = None, *, task=TASK, release=RELEASE, now=0.0, **fields: Any) -> Verdict:
    body = {"model": "desk", "messages": [{"role": "user", "content": "hi"}], **fields}
    request = parse_chat(orjson.dumps(body))
    return asyncio.run(decide(request, task, release=release, student=student or FakeStudent(), now=now))


def test_a_sure_draft_is_accepted():
    verdict = weigh()
    assert verdict.accepted
    assert verdict.draft is not None and verdict.draft.text == "refund"
    assert verdict.score is not None and verdict.score > RELEASE.threshold


@pytest.mark.parametrize(
    ("student", "reason"),
    [
        (FakeStudent(None), "student_unavailable"),
        (FakeStudent(draft(finish_reason="length")), "truncated"),
        (FakeStudent(draft(evidence={})), "no_evidence"),
        (FakeStudent(draft(evidence=UNSURE)), "unsure"),
    ],
)
def test_a_student_that_cannot_be_trusted_is_not(student, reason):
    verdict = weigh(student)
    assert verdict.reason == reason
    assert not verdict.accepted
    assert verdict.eligible


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"temperature": 0.7}, "sampling"),
        ({"top_p": 0.5}, "sampling"),
        ({"logit_bias": {"1": 5}}, "sampling"),
        ({"n": 2}, "unsupported"),
        ({"tools": [{"type": "function"}]}, "unsupported"),
        ({"response_format": {"type": "json_object"}}, "unsupported"),
        ({"logprobs": True}, "unsupported"),
        ({"a_field_from_the_future": 1}, "unsupported"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "unsupported"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "unsupported"),
    ],
)
def test_what_the_student_cannot_do_never_reaches_it(fields, reason):
    student = FakeStudent()
    verdict = weigh(student, **fields)
    assert verdict.reason == reason
    assert not verdict.eligible
    assert student.asked == []


@pytest.mark.parametrize(
    "fields", [{"temperature": 0}, {"top_p": 1}, {"n": 1}, {"seed": 3, "user": "u"}, {"stop": ["."]}]
)
def test_greedy_requests_are_the_students(fields):
    assert weigh(**fields).accepted


def test_without_a_release_or_with_an_expired_one_the_student_is_not_asked():
    student = FakeStudent()
    assert weigh(student, release=None).reason == "no_release"
    assert weigh(student, release=replace(RELEASE, expires_at=5.0), now=5.0).reason == "certificate_expired"
    assert weigh(student, task=None).reason == "no_task"
    assert student.asked == []


def test_the_threshold_itself_is_accepted():
    exact = replace(RELEASE, threshold=RELEASE.calibrator.score({"x": 5.0}))
    assert weigh(release=exact).accepted


def test_the_tighter_token_limit_counts():
    student = FakeStudent()
    weigh(student, max_tokens=5)
    weigh(student, max_completion_tokens=500)
    assert student.asked == [(RELEASE.name, 5), (RELEASE.name, TASK.max_tokens)]
