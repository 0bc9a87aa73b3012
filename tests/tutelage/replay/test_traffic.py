import json

import pytest

from router.settings import ConfigError
from tutelage.logfile import LogRefused
from tutelage.replay.traffic import MONTH_S, read

DAY = 86_400.0
NOW = 100 * DAY


def line(number, *, system="Name the topic.", model="gpt-4o", answer="refund", at=None, usage=(100, 2), **fields):
    asked = [{"role": "user", "content": f"message {number}"}]
    if system is not None:
        asked.insert(0, {"role": "system", "content": system})
    body = {"choices": [{"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}], "model": model}
    if usage:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    entry = {"request": {"model": model, "messages": asked, **fields}, "response": body}
    return json.dumps(entry if at is None else {**entry, "created_at": at})


@pytest.fixture
def bring(tmp_path):
    def bring(lines, *, rows=100, skip_broken=False):
        path = tmp_path / "log.jsonl"
        path.write_text("\n".join(lines))
        return read(path, rows=rows, skip_broken=skip_broken, now=NOW, progress=lambda *_: None)

    return bring


def test_tasks_are_told_apart_by_system_message_and_by_who_answered(bring):
    lines = [line(1), line(2), line(3), line(4, system="Translate."), line(5, model="gpt-4o-mini")]
    found = bring([*lines, line(6, system=None), line(7, system="Translate.")])
    assert [(task.name, task.model, task.requests) for task in found.tasks] == [
        ("Name the topic.", "gpt-4o", 3),
        ("Translate.", "gpt-4o", 2),
        ("Name the topic.", "gpt-4o-mini", 1),
        ("(no system message)", "gpt-4o", 1),
    ]


def test_requests_a_month_are_counted_over_the_whole_logs_time(bring):
    found = bring([line(n, at=n * DAY) for n in range(1, 12)] + [line(20, system="Rare.", at=5 * DAY)])
    assert found.span_s == 10 * DAY
    assert found.tasks[0].monthly == pytest.approx(11 * MONTH_S / (10 * DAY))
    assert found.tasks[1].monthly == pytest.approx(MONTH_S / (10 * DAY))


def test_without_times_requests_a_month_are_unknown(bring):
    assert bring([line(1), line(2)]).tasks[0].monthly is None
    one_undated = bring([line(1, at=DAY), line(2, at=2 * DAY), line(3)])
    assert one_undated.tasks[0].monthly is None and one_undated.span_s == DAY
    assert bring([line(1, at=DAY), line(2, at=DAY)]).span_s is None


def test_tokens_are_the_logs_and_where_it_has_none_estimated_by_name(bring):
    task = bring([line(1, usage=(100, 4)), line(2, usage=None, answer="x" * 80)]).tasks[0]
    characters = len("Name the topic.") + len("message 2")
    assert task.estimated == 1
    assert task.prompt_tokens == (100 + characters // 4) / 2 and task.answer_tokens == (4 + 20) / 2


def test_what_a_student_may_not_be_asked_is_counted_with_its_reason(bring):
    task = bring([line(1), line(2, temperature=1), line(3, n=2), line(4, temperature=0)]).tasks[0]
    assert dict(task.beyond) == {"sampling": 1, "choices": 1} and task.eligible == 2
    assert [row.number for row in task.rows] == [1, 4]


def test_the_newest_rows_are_kept_in_the_order_of_their_times(bring):
    task = bring([line(1, at=3.0), line(2), line(3, at=1.0), line(4, at=2.0), line(5)], rows=3).tasks[0]
    assert [row.number for row in task.newest] == [3, 4, 1] and task.requests == 5
    task = bring([line(n) for n in range(1, 6)], rows=3).tasks[0]
    assert [row.number for row in task.newest] == [3, 4, 5]


def test_the_task_is_chosen_by_number_by_its_message_or_by_its_size(bring):
    sampled = [line(n, system="Write a poem.", temperature=1) for n in range(9)]
    found = bring([*sampled, line(11), line(12), line(13, system="Name the language.")])
    assert found.choose(None) == 1  # the largest of which a student could be asked anything
    assert found.choose("1") == 0 and found.choose("language") == 2
    for wanted, words in (
        ("Name", "2 tasks"),
        ("Translate", "is no task's"),
        ("4", "from 1 to 3"),
        ("0", "from 1 to 3"),
        ("", "no task's"),
    ):
        with pytest.raises(ConfigError, match=words):
            found.choose(wanted)


def test_a_part_that_is_no_text_does_not_hide_the_rest(bring):
    image = [{"type": "image_url", "image_url": {"url": "http://x"}}]
    entry = json.loads(line(1))
    entry["request"]["messages"][1]["content"] = image
    task = bring([json.dumps(entry), line(2)]).tasks[0]
    assert task.narrowness().rows == 2 and task.eligible == 1


def test_broken_lines_refuse_the_file_as_an_import_does(bring):
    with pytest.raises(LogRefused, match="line 2: no JSON"):
        bring([line(1), "{"])
    assert bring([line(1), "{"], skip_broken=True).tasks[0].requests == 1


def test_the_digest_is_the_files(bring):
    assert bring([line(1)]).digest == bring([line(1)]).digest != bring([line(2)]).digest


def test_a_long_system_message_is_named_by_its_beginning(bring):
    name = bring([line(1, system="Sort.\n" + "x" * 100)]).tasks[0].name
    assert name.startswith("Sort. xxx") and len(name) == 60
