"""Tasks found among requests without one: what they come to, and how they are made tasks."""

import pytest

from distill.worth import DAY_S
from ledger.database import connect
from ledger.ingest import store
from ledger.records import TeacherReply, Usage
from router.settings import ConfigError, load
from tests.ledger.make import exchange
from tests.ledger.test_prompts import unmatched
from tests.tutelage.test_unmatched import CONFIG, DESK
from tutelage.found import chosen, found, in_a_line

SORT, TOPICS = "Sort the mail.", ("refund", "invoice", "delivery")
NOW = 100 * DAY_S


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "tutelage.yaml").write_text(CONFIG)
    return load(tmp_path / "tutelage.yaml")


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


REPLY = TeacherReply("big", "refund", "stop", Usage(100, 2), 0.01)


def asked(number, prompt=SORT, *, answer=None, usd=0.01, **fields):
    """One of a stream that began fifteen days ago."""
    text = TOPICS[number % 3] if answer is None else answer
    reply = TeacherReply("big", text, "stop", Usage(100, 2), usd)
    return unmatched(number, prompt, at=NOW - 15 * DAY_S + number, **{"teacher_reply": reply, **fields})


def test_a_task_is_found_with_its_volume_its_price_and_what_a_student_would_save_at_most(engine, settings):
    store(
        engine, [*(asked(n) for n in range(200)), *(asked(n, "Else.", usd=0.5) for n in range(300, 310)), exchange(999)]
    )
    few, task = sorted(found(engine, settings, now=NOW), key=lambda each: each.requests)
    assert (task.teacher, task.system_prompt, task.requests, task.eligible) == ("big", SORT, 200, 1.0)
    assert (task.narrowness.verdict, task.narrowness.distinct) == ("narrow", 3)
    assert (task.measure, task.max_tokens) == ("exact", 64)
    assert task.worth.monthly == pytest.approx(400) and task.worth.spent_usd == pytest.approx(4.0)
    # A draft of every request, and the teacher for one in twenty.
    draft = 400 * (100 * 0.1 + 2 * 0.2) / 1e6
    assert task.saving_usd == pytest.approx(4.0 * 0.95 - draft)
    assert task.command == f"tutelage tasks adopt {task.id} --name NAME"
    assert few.worth is None and few.saving_usd == 0.0  # too few to tell
    assert in_a_line([task, few]) == (
        "students of one task without a name would save up to $3.80 a month: `tutelage tasks` shows them"
    )


def test_a_student_of_it_would_take_its_share_of_a_machine(engine, settings):
    """As many tokens as the task that has one: half of it."""
    known = [exchange(n, at=NOW - 15 * DAY_S, teacher_reply=REPLY) for n in range(500, 700)]
    store(engine, [*(asked(n) for n in range(200)), *known])
    taught = settings.teachers["big"].model_copy(update={"may_train": True})
    student = settings.student.model_copy(update={"price": None, "usd_per_hour": 0.002})
    settings = settings.model_copy(update={"student": student, "teachers": {"big": taught}})
    (task,) = found(engine, settings, now=NOW)
    assert task.worth.machine_usd == pytest.approx(0.72)
    assert task.saving_usd == pytest.approx(4.0 * 0.95 - 0.72)


def test_what_a_student_cannot_be_asked_saves_nothing(engine, settings):
    store(engine, [asked(n, params={"temperature": 1.0} if n % 2 else {}) for n in range(200)])
    (task,) = found(engine, settings, now=NOW)
    assert task.eligible == 0.5
    assert task.saving_usd == pytest.approx(4.0 * 0.5 * 0.95, rel=0.01)


def test_one_system_message_with_and_without_a_response_format_is_one_task(engine, settings):
    store(engine, [asked(n, prompt_fingerprint=f"f{n % 2}") for n in range(10)])
    (task,) = found(engine, settings, now=NOW)
    assert task.requests == 10


def test_requests_of_other_reasons_models_and_times_and_those_without_an_answer_are_none(engine, settings):
    lost = TeacherReply("big", None, error="UpstreamFailed")
    others = ({"reason": "embeddings"}, {"model": "gone"}, {"origin": "probe"}, {"teacher_reply": lost, "status": 502})
    store(engine, [*(asked(n, **fields) for n, fields in enumerate(others)), unmatched(9, SORT, at=1.0)])
    assert found(engine, settings, now=NOW) == [] and in_a_line([]) is None


@pytest.mark.parametrize(
    ("answers", "measure"),
    [
        (['{"a": 1}', '{"a": 2}'], "json"),
        (["12", " 3.5 %"], "number"),
        (["12", "twelve"], "exact"),
        (["1", "[1]"], "exact"),
    ],
)
def test_a_measure_is_proposed_by_what_answers_look_like(engine, settings, *, answers, measure):
    store(engine, [asked(n, answer=answers[n % len(answers)]) for n in range(10)])
    assert found(engine, settings, now=NOW)[0].measure == measure


def test_answers_have_room(engine, settings):
    replies = [TeacherReply("big", "long", "stop", Usage(100, tokens)) for tokens in (90, 150, 200)]
    store(engine, [asked(n, teacher_reply=replies[n % 3]) for n in range(9)])
    assert found(engine, settings, now=NOW)[0].max_tokens == 256


def test_an_edited_prompt_is_its_tasks_alias_and_one_without_a_system_message_needs_a_name(engine, settings):
    bare = [{"role": "user", "content": "hi"}]
    store(engine, [asked(1, DESK.replace("one word", "a few words")), asked(2, "none", messages=bare)])
    edited, unnamed = sorted(found(engine, settings, now=NOW), key=lambda task: task.system_prompt is None)
    assert edited.command == f"tutelage alias add desk --prompt {edited.id}"
    assert "x-tutelage-task" in unnamed.command
    with pytest.raises(ConfigError, match="no system message"):
        chosen([unnamed], unnamed.id)


def test_another_teachers_task_with_the_same_words_is_a_task_of_its_own(engine, settings):
    store(engine, [asked(1, DESK, model="huge")])
    (task,) = found(engine, settings, now=NOW)
    assert task.command == f"tutelage tasks adopt {task.id} --name NAME"


def test_one_that_is_recorded_with_placeholders_could_not_be_known_by_them(engine, settings):
    store(engine, [asked(1, "Answer as <email:3f2a>.")])
    (task,) = found(engine, settings, now=NOW)
    with pytest.raises(ConfigError, match=r"ledger\.redact"):
        chosen([task], task.id)


def test_what_came_before_it_was_a_tasks_is_none_to_be_adopted(engine, settings):
    store(engine, [asked(n, DESK) for n in range(10)])
    assert found(engine, settings, now=NOW) == []


def test_one_is_chosen_by_its_id_and_its_teacher_where_two_are_asked(engine, settings):
    store(engine, [asked(1), asked(2, model="huge")])
    both = found(engine, settings, now=NOW)
    assert {task.teacher for task in both} == {"big", "huge"}
    with pytest.raises(ConfigError, match="add --teacher"):
        chosen(both, both[0].id)
    assert chosen(both, both[0].id, teacher="huge").teacher == "huge"
    with pytest.raises(ConfigError, match="no task 'other'"):
        chosen(both, "other")
