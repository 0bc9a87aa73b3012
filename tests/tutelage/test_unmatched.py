"""Requests without a task: what each kind is nearest to, in words."""

import pytest

from ledger import aliases
from ledger.database import connect
from ledger.ingest import store
from router.settings import ConfigError, load
from tests.ledger.make import exchange
from tests.ledger.test_prompts import unmatched
from tutelage.unmatched import chosen, difference, find, in_a_line, text_id

DESK = (
    "You work at the help desk of a shop. Name the topic of the customer's message in one word. Answer with the word."
)
CONFIG = f"""
teachers: {{big: {{model: openai/big}}, huge: {{model: openai/huge}}}}
student: {{base_model: m, price: {{input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.2}}}}
tasks:
  desk: {{teacher: big, system_prompt: "{DESK}"}}
  till: {{teacher: big}}
"""


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "tutelage.yaml").write_text(CONFIG)
    return load(tmp_path / "tutelage.yaml")


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def test_an_edited_prompt_is_nearest_to_its_task_and_says_what_was_edited(settings, engine):
    store(engine, [unmatched(1, DESK.replace("one word", "a few words")), exchange(2)])
    found = find(settings, engine, since=0.0)
    assert found.words(days=7) == "1 of 2 requests of the last 7 days (50.0%) belong to no task"
    (group,) = found.groups
    assert group.nearest.task == "desk" and 0.8 < group.nearest.alike < 1.0
    assert (
        group.nearest.difference == "... the customer's message in [-one word.-] {+a few words.+} Answer with the word."
    )
    assert in_a_line(settings, engine, now=1.0).endswith("like desk's: `tutelage unmatched` shows by what they differ")


def test_a_prompt_with_a_date_in_it_is_one_group(settings, engine):
    dated = [unmatched(day, f"Today is 2026-11-{day}. {DESK}") for day in range(10, 20)]
    store(engine, [*dated, unmatched(30, "Translate it."), unmatched(31, "Translate it.")])
    first, second = find(settings, engine, since=0.0).groups
    assert (first.requests, len(first.texts), first.nearest.task) == (10, 10, "desk")
    assert (second.requests, second.texts, second.nearest) == (2, ("Translate it.",), None)


def test_the_right_words_to_another_teacher_are_told_as_that(settings, engine):
    store(engine, [unmatched(1, DESK, model="huge")])
    (group,) = find(settings, engine, since=0.0).groups
    assert group.nearest.alike == 1.0
    assert group.nearest.difference == "model 'huge' is not its teacher 'big'"
    with pytest.raises(ConfigError, match=r"ask for 'huge', and the teacher of desk is 'big'.*x-tutelage-task"):
        chosen(settings, find(settings, engine, since=0.0), task="desk", text_named=group.id)


def test_a_task_without_a_prompt_is_known_by_what_it_gets_and_by_its_aliases(settings, engine):
    usual = [{"role": "system", "content": "Say what was bought, and for how much."}]
    store(engine, [exchange(1, task="till", messages=usual), unmatched(2, "Say what was bought.")])
    assert find(settings, engine, since=0.0).groups[0].nearest.task == "till"
    aliases.add(engine, kind="prompt", value="Say what was bought.", task="desk", now=3.0)
    nearest = find(settings, engine, since=0.0).groups[0].nearest
    assert (nearest.task, nearest.alike, nearest.difference[:12]) == ("desk", 1.0, "none by now:")


def test_a_prompt_is_chosen_by_its_id_whichever_of_its_group_it_is(settings, engine):
    texts = [f"Today is day {day}. {DESK}" for day in "123"]
    bare = unmatched(9, "none", messages=[{"role": "user", "content": "hi"}])
    store(engine, [*(unmatched(n, text) for n, text in enumerate(texts)), bare])
    found = find(settings, engine, since=0.0)
    for text in texts:
        assert chosen(settings, found, task="desk", text_named=text_id(text)) == text
    with pytest.raises(ConfigError, match="tutelage unmatched"):
        chosen(settings, found, task="desk", text_named="nothing")
    with pytest.raises(ConfigError, match="no system message"):
        chosen(settings, found, task="desk", text_named=text_id(None))


def test_where_nothing_is_unmatched_there_is_nothing_to_say(settings, engine):
    assert find(settings, engine, since=0.0).words(days=7) == "no client has asked anything"
    store(engine, [exchange(1)])
    assert find(settings, engine, since=0.0).groups == () and in_a_line(settings, engine, now=1.0) is None


def test_rare_prompts_are_counted_and_not_read(settings, engine, monkeypatch):
    monkeypatch.setattr("tutelage.unmatched.MOST_PROMPTS", 1)
    store(engine, [unmatched(1, "A"), unmatched(2, "A"), unmatched(3, "B")])
    found = find(settings, engine, since=0.0)
    assert (found.unmatched, found.left_out, [group.requests for group in found.groups]) == (3, 1, [2])


@pytest.mark.parametrize(
    ("own", "text", "expected"),
    [
        ("a b c", "a b c", ""),
        ("a b c", "a  b c", "only white space differs, or what is behind the first words"),
        ("a b c", "x a b c", "{+x+} a b c"),
        ("a b c", "a b c y", "a b c {+y+}"),
        ("a b c", "a c", "a [-b-] c"),
        ("1 2 3 4 5 6 7", "1 2 3 4 5 6 8", "... 3 4 5 6 [-7-] {+8+}"),
        ("0 1 2 3 4 5 6 7 8 9 0", "x 1 2 3 4 5 6 7 8 9 y", "[-0-] {+x+} 1 2 3 4 ... 6 7 8 9 [-0-] {+y+}"),
    ],
)
def test_a_difference_has_a_few_words_around_it(own, text, expected):
    assert difference(own, text) == expected


def test_a_long_difference_is_cut():
    shown = difference("a", " ".join(map(str, range(300))))
    assert shown.endswith(" ...") and len(shown.split()) < 100
