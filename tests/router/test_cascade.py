"""Every way out of the cascade but one leads to the teacher."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from calibration.familiar import Familiar
from router.cascade import Verdict, decide
from router.errors import TooLong
from router.wire import parse_chat
from tests.fakes import RELEASE, TASK, UNSURE, FakeOngoing, FakeStudent, draft


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
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"n": 2}, "choices"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"a_field_from_the_future": 1}, "unsupported"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "media"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "tools"),
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
    for now in (5.0, 1.9):  # a clock that was set back makes no certificate valid again
        release = replace(RELEASE, issued_at=2.0, expires_at=5.0)
        assert weigh(student, release=release, now=now).reason == "certificate_expired"
    assert weigh(release=release, now=2.0).reason == "accepted"
    assert weigh(student, task=None).reason == "no_task"
    assert student.asked == []


JSON = {"response_format": {"type": "json_object"}}


def test_a_mode_that_the_release_was_not_certified_in_is_the_teachers():
    student = FakeStudent()
    verdict = weigh(student, **JSON)
    assert (verdict.reason, verdict.release, verdict.eligible, student.asked) == ("decoding_mode", RELEASE, True, [])
    certified = replace(RELEASE, modes=frozenset({"json_object"}))
    assert weigh(release=certified, **JSON).accepted
    assert weigh(release=certified).reason == "decoding_mode"


def test_what_is_unlike_everything_that_taught_the_student_is_the_teachers_before_it_is_asked():
    student = FakeStudent()
    strange = replace(RELEASE, familiar=Familiar.with_all_of(["xyzzy plugh"], seed=0).but(0.0, of=["xyzzy plugh"]))
    verdict = weigh(student, release=strange)
    assert (verdict.reason, verdict.release, verdict.eligible, student.asked) == ("unfamiliar", strange, True, [])
    said = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
    same = {"messages": [*said, {"role": "user", "content": [{"type": "text", "text": "Xyzzy  plugh"}]}]}
    assert weigh(release=strange, **same).accepted
    assert weigh(release=replace(strange, expires_at=0.0)).reason == "certificate_expired"


class Listening(FakeStudent):
    """Keeps what it was asked."""

    async def draft(self, request, **how):
        self.heard = request.spoken
        return await super().draft(request, **how)


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_compact_prompt_leaves_the_constant_instruction_out_and_nothing_else(role):
    compact, user = replace(TASK, unsaid="Name the topic."), {"role": "user", "content": "Name the topic."}
    for task, said, read in (
        (compact, "Name the topic.", ""),
        (compact, "Name the topic!", "Name the topic!"),
        (TASK, "Name the topic.", "Name the topic."),
    ):
        student = Listening()
        parts = [{"type": "text", "text": said}]
        for content in (said, parts):
            assert weigh(student, task=task, messages=[{"role": role, "content": content}, user]).accepted
            assert student.heard == [{"role": "system", "content": read}, user]


def test_what_the_student_does_not_read_does_not_have_to_fit():
    task = replace(TASK, max_context_tokens=64, unsaid="x" * 1000)
    messages = [{"role": "system", "content": "x" * 1000}, {"role": "user", "content": "hi"}]
    assert weigh(task=replace(task, unsaid=None), messages=messages).reason == "too_long"
    assert weigh(task=task, messages=messages).accepted


def test_what_certainly_does_not_fit_is_not_tried():
    student, task = FakeStudent(), replace(TASK, max_context_tokens=64)
    long = {"messages": [{"role": "user", "content": "a" * 8 * 50}]}
    verdict = weigh(student, task=task, **long)
    assert (verdict.reason, verdict.eligible, student.asked) == ("too_long", True, [])
    assert weigh(task=task, **long, max_tokens=4).accepted and weigh(**long).accepted


def test_what_the_engine_finds_too_long_has_that_reason():
    assert weigh(FakeStudent(None, error=TooLong("scripted"))).reason == "too_long"


def test_a_stream_with_log_probabilities_is_held_until_it_is_whole():
    student = FakeStudent(ongoing=begun())
    verdict = weigh(student, task=LONG, stream=True, logprobs=True)
    assert verdict.accepted and verdict.ongoing is None


def test_the_threshold_itself_is_accepted():
    exact = replace(RELEASE, threshold=RELEASE.calibrator.score({"x": 5.0}))
    assert weigh(release=exact).accepted


def test_the_tighter_token_limit_counts():
    student = FakeStudent()
    weigh(student, max_tokens=5)
    weigh(student, max_completion_tokens=500)
    assert student.asked == [(RELEASE.name, 5), (RELEASE.name, TASK.max_tokens)]


LONG = replace(TASK, prefix=2)


def begun(**fields: Any) -> FakeOngoing:
    return FakeOngoing(draft("two tokens", **{"finish_reason": None, **fields}), follows=(" and", " more"))


def test_a_stream_judged_by_its_prefix_goes_on_from_there():
    ongoing = begun()
    verdict = weigh(FakeStudent(ongoing=ongoing), task=LONG, stream=True)
    assert verdict.accepted and verdict.ongoing is ongoing and not ongoing.closed


@pytest.mark.parametrize(("fields", "reason"), [({"evidence": UNSURE}, "unsure"), ({"evidence": {}}, "no_evidence")])
def test_a_beginning_that_is_not_accepted_is_written_no_further(fields, reason):
    ongoing = begun(**fields)
    verdict = weigh(FakeStudent(ongoing=ongoing), task=LONG, stream=True)
    assert (verdict.reason, verdict.ongoing, ongoing.closed) == (reason, None, 1)


def test_a_beginning_that_was_cut_off_is_not_accepted():
    ongoing = begun(finish_reason="length")
    assert weigh(FakeStudent(ongoing=ongoing), task=replace(TASK, prefix=20), stream=True).reason == "truncated"


def test_what_is_not_streamed_is_judged_by_the_same_prefix():
    cut_off_later = draft("long", finish_reason="length")  # three tokens: what is judged of it is there
    assert weigh(FakeStudent(cut_off_later), task=LONG).reason == "accepted"
    assert weigh(FakeStudent(cut_off_later)).reason == "truncated"
    assert weigh(FakeStudent(ongoing=None), task=LONG, stream=True).reason == "student_unavailable"


@pytest.mark.parametrize(("since", "reason"), [(101.0, "new_alias"), (100.0, "accepted"), (99.0, "accepted")])
def test_a_prompt_that_became_the_tasks_after_the_window_began_is_the_teachers(since, reason):
    student = FakeStudent()
    verdict = weigh(student, task=replace(TASK, since=since), release=replace(RELEASE, cut_at=100.0))
    assert (verdict.reason, verdict.eligible, bool(student.asked)) == (reason, True, reason == "accepted")


def test_what_is_kept_otherwise_than_it_is_read_is_the_teachers_and_no_reference():
    private, student = replace(TASK, is_private=lambda raw: "hi" in str(raw["messages"])), FakeStudent()
    verdict = weigh(student, task=private)
    assert (verdict.reason, verdict.eligible, verdict.unasked, student.asked) == ("private", False, False, [])
    assert weigh(task=private, messages=[{"role": "user", "content": "else"}]).accepted
    assert weigh(task=private, release=None).reason == "private"
