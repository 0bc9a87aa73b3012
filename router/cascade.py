"""The idea: the student answers where it can be shown to agree with its teacher; the teacher answers everywhere else.

No I/O of its own and no knowledge of HTTP: it is handed a student, and returns a verdict that carries everything
rendering, recording and counting need. Every way out but the last one leads to the teacher.
"""

from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from ledger.familiar import knows
from ledger.records import Draft
from router.abilities import BEYOND, Beyond
from router.errors import StudentUnavailable, TooLong
from router.ports import Ongoing, ServedRelease, Student, TaskPlan
from router.wire import ChatRequest

Reason = Literal[
    "accepted",  # the one reason for which the student answers
    "no_task",  # a teacher's model name without a task
    Beyond,  # what no student can do: sampling, tools, images, ...
    "private",  # what is recorded of it is not what the student would read
    "no_release",  # nothing certified yet
    "certificate_expired",
    "new_alias",  # its system message has become the task's since the release was certified
    "decoding_mode",  # JSON mode or a schema that the release was not certified in
    "unfamiliar",  # unlike everything that taught the student
    "too_long",  # prompt and answer do not fit into the student's context
    "student_unavailable",  # down, slow, adapter not loaded
    "truncated",  # what is judged of the draft did not end by itself
    "no_evidence",  # log-probabilities missing or degenerate
    "unsure",  # score below the certified threshold
    "client_left",  # before it was decided
    "own",  # no client's: the teacher is asked on our own account
    "completions",  # legacy completions, embeddings, responses with state: the teacher's provider answers
    "embeddings",
    "responses",
]
INELIGIBLE = frozenset({"no_task", *BEYOND, "private", "own", "completions", "embeddings", "responses"})
CHARACTERS_A_TOKEN = 8  # more than any prose has: by this much a prompt is certainly too long


class Verdict(msgspec.Struct, frozen=True):
    """Who answers and why, with the draft that was weighed where there was one; `ongoing`: an accepted one of which the
    rest is still being written."""

    reason: Reason
    release: ServedRelease | None = None
    draft: Draft | None = None
    score: float | None = None
    ongoing: Ongoing | None = None

    @property
    def accepted(self) -> bool:
        """True: the draft is the answer. False: ask the teacher."""
        return self.reason == "accepted"

    @property
    def eligible(self) -> bool:
        """Whether the student could have been asked: references are drawn among these, whatever their difficulty."""
        return self.reason not in INELIGIBLE

    @property
    def unasked(self) -> bool:
        """Whether the teacher answers every eligible request at the moment, because no student may be asked."""
        return self.reason in ("no_release", "certificate_expired")


async def decide(
    request: ChatRequest, task: TaskPlan | None, *, release: ServedRelease | None, student: Student, now: float
) -> Verdict:
    """Weigh one request. Never raises: whatever goes wrong with the student is a reason to ask the teacher."""
    if task is None:
        return Verdict("no_task")
    beyond = request.beyond_student()
    if beyond is not None:
        return Verdict(beyond)
    if task.is_private is not None and task.is_private(request.raw):
        return Verdict("private")
    if release is None:
        return Verdict("no_release")
    if (why := _not_certified(request, task, release, now=now)) is not None:
        return Verdict(why, release)
    return await _weigh(request, task, release=release, student=student)


def _not_certified(request: ChatRequest, task: TaskPlan, release: ServedRelease, *, now: float) -> Reason | None:
    """Why the certificate says nothing of this request; None where it does."""
    if not release.holds(now):
        return "certificate_expired"
    if task.since > release.cut_at:
        return "new_alias"
    if request.decoding_mode not in release.modes:
        return "decoding_mode"
    return None if knows(release.familiar, request.messages) else "unfamiliar"


async def _weigh(request: ChatRequest, task: TaskPlan, *, release: ServedRelease, student: Student) -> Verdict:
    """A stream whose task is judged by a prefix goes on from there; everything else is held until it is whole, a stream
    with log-probabilities too."""
    request = as_told(request, task)
    if too_long(request, task):
        return Verdict("too_long", release)
    asked: dict[str, Any] = {"model": release.name, "max_tokens": draft_budget(request, task.max_tokens)}
    try:
        if task.prefix is None or not request.stream or request.top_logprobs is not None:
            return _judge(await student.draft(request, **asked, prefix=task.prefix), task, release)
        ongoing = await student.begin(request, **asked, prefix=task.prefix)
    except TooLong:
        return Verdict("too_long", release)
    except StudentUnavailable:
        return Verdict("student_unavailable", release)
    verdict = _judge(ongoing.draft, task, release)
    if verdict.accepted:
        return replace(verdict, ongoing=ongoing)
    await ongoing.close()
    return verdict


def _judge(draft: Draft, task: TaskPlan, release: ServedRelease) -> Verdict:
    if not draft.can_be_accepted(task.prefix):
        return Verdict("truncated" if draft.evidence else "no_evidence", release, draft)
    score = release.calibrator.score(draft.evidence)
    return Verdict("accepted" if score >= release.threshold else "unsure", release, draft, score)


def as_told(request: ChatRequest, task: TaskPlan) -> ChatRequest:
    """The request as the task's student reads it."""
    return request if task.unsaid is None else request.without(task.unsaid)


def draft_budget(request: ChatRequest, task_max_tokens: int) -> int:
    """Tokens the student may write: the client's limit where it is tighter than the task's."""
    return min(request.max_tokens or task_max_tokens, task_max_tokens)


def too_long(request: ChatRequest, task: TaskPlan) -> bool:
    """Whether the student's context is certainly too short; where it is not certain, the engine says it."""
    if task.max_context_tokens is None:
        return False
    prompt = 4 * request.estimate_prompt_tokens() // CHARACTERS_A_TOKEN
    return prompt + draft_budget(request, task.max_tokens) > task.max_context_tokens
