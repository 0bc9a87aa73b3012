"""Which task a request is for, and what an alias changes."""

import math
from dataclasses import replace

import orjson
import pytest

from ledger.aliases import add, end
from ledger.database import connect
from router.errors import UnknownModel
from router.matching import Matching
from router.wire import parse_chat
from tests.fakes import TASK

TASKS = {"desk": TASK, "till": replace(TASK, name="till", system_prompt=None)}


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


@pytest.fixture
def matching():
    return Matching(TASKS, frozenset({"big", "huge"}))


def resolve(matching, model, system=None, *, header=None, role="system"):
    messages = [{"role": role, "content": system}] * (system is not None) + [{"role": "user", "content": "hi"}]
    request = parse_chat(orjson.dumps({"model": model, "messages": messages}))
    found = matching.resolve(request, task_header=header)
    return found and found.name


def test_a_task_is_named_by_model_or_header_or_known_by_teacher_and_system_message(matching):
    assert resolve(matching, "till") == "till"
    assert resolve(matching, "big", header="till") == "till"
    assert resolve(matching, "big", "Name the topic.") == resolve(matching, "big", "Name the topic.", role="developer")
    assert resolve(matching, "big", "Name the topic.") == "desk"


def test_another_teacher_or_another_prompt_is_nobodys(matching):
    assert resolve(matching, "huge", "Name the topic.") is None
    assert resolve(matching, "big", "Name the topic. ") is None
    assert resolve(matching, "big") is None


@pytest.mark.parametrize(("model", "header"), [("nobody", None), ("big", "nobody")])
def test_unknown_names_are_refused(matching, model, header):
    with pytest.raises(UnknownModel, match="nobody"):
        resolve(matching, model, header=header)


def test_of_two_tasks_with_one_prompt_the_first_is_meant():
    both = {"desk": TASK, "twin": replace(TASK, name="twin")}
    assert resolve(Matching(both, frozenset({"big"})), "big", "Name the topic.") == "desk"


def test_an_alias_holds_from_the_next_reading_until_the_one_after_its_end(matching, engine):
    name = add(engine, kind="model", value="support", task="till", now=5.0)
    text = add(engine, kind="prompt", value="Name its topic.", task="desk", now=7.0)
    assert resolve(matching, "big", "Name its topic.") is None
    matching.read(engine)
    assert resolve(matching, "support") == resolve(matching, "big", header="support") == "till"
    assert resolve(matching, "big", "Name its topic.") == "desk"
    assert resolve(matching, "huge", "Name its topic.") is None
    assert matching.names() == {"support": "till"}
    for alias in (name, text):
        end(engine, alias.id, now=8.0)
    matching.read(engine)
    assert resolve(matching, "big", "Name its topic.") is None and matching.names() == {}
    with pytest.raises(UnknownModel):
        resolve(matching, "support")


def test_requests_known_by_an_alias_of_their_prompt_say_since_when(matching, engine):
    add(engine, kind="model", value="support", task="desk", now=5.0)
    add(engine, kind="prompt", value="Name its topic.", task="desk", now=7.0)
    matching.read(engine)

    def since(model, system):
        messages = [{"role": "system", "content": system}]
        return matching.resolve(
            parse_chat(orjson.dumps({"model": model, "messages": messages})), task_header=None
        ).since

    assert since("big", "Name its topic.") == 7.0
    assert since("big", "Name the topic.") == since("desk", "Name its topic.") == since("support", "x") == -math.inf


def test_what_the_settings_say_goes_first_and_an_alias_of_a_task_that_is_gone_says_nothing(matching, engine):
    for value in ("till", "big", "old"):
        add(engine, kind="model", value=value, task="gone" if value == "old" else "desk", now=1.0)
    add(engine, kind="prompt", value="Name the topic.", task="till", now=1.0)
    matching.read(engine)
    assert resolve(matching, "till") == "till" and resolve(matching, "big") is None
    assert resolve(matching, "big", "Name the topic.") == "desk"
    assert matching.names() == {}
