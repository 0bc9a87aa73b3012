"""`tutelage synthesize`: what it would cost is told first; what is written is asked as clients ask."""

import dataclasses
import json

import pytest
import yaml
from msgspec.structs import replace
from typer.testing import CliRunner

from distill.harvest import HarvestError
from ledger.database import connect
from ledger.ingest import store
from ledger.prices import Price, write_price
from ledger.records import TeacherReply
from router.settings import ConfigError, load
from tests.distill.test_synthesis import SEEDS, new
from tests.ledger.make import exchange
from tests.tutelage.test_cli_keys import VALUES
from tutelage.cli import app
from tutelage.synthesizing import carry, plan

MAY = {"teachers": {"big": {"model": "openai/big", "may_train": True, "terms": "https://terms", "confirmed_by": "us"}}}


def recorded(number, text, **fields):
    messages = [{"role": "developer", "content": "Name the topic."}, {"role": "user", "content": text}]
    return exchange(number, messages=messages, **fields)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tutelage.yaml"
    path.write_text(yaml.safe_dump({**VALUES, **MAY}))
    store(connect(load(path).ledger.url), [recorded(n, text) for n, text in enumerate(SEEDS)])
    return path


class Writer:
    """A gateway whose teacher writes what is new and answers everything."""

    why = "a budget has no room for what it may cost"

    def __init__(self, *more):
        self.asked, self.more = [], more

    def answers_patiently(self, task, requests, *, origin, progress):
        self.asked += [(origin, request) for request in requests]
        if origin == "synthetic":
            return [None, *("refund" for _ in requests[1:])]
        lists = [new(10, seed=len(self.asked) + n) for n in range(len(requests))]
        return [json.dumps([*self.more, *texts]) for texts in lists]


def planned(path, **fields):
    settings = load(path)
    return plan(settings, connect(settings.ledger.url), "desk", **{"rows": 30, "seeds_file": None, **fields})


def test_the_teacher_writes_and_answers_as_clients_ask(config):
    gateway, said = Writer(), []
    done = carry(planned(config), gateway, seed=0, step=said.append, progress=lambda done, total: None)
    assert (len(done.writing.texts), done.answered) == (30, 29)
    orders = [request for origin, request in gateway.asked if origin == "writer"]
    asked = [request for origin, request in gateway.asked if origin == "synthetic"]
    assert len(orders) == 3 and all("Name the topic." in order["messages"][0]["content"] for order in orders)
    assert [request["messages"][1]["content"] for request in asked] == done.writing.texts
    assert all(request["messages"][0] == {"role": "system", "content": "Name the topic."} for request in asked)
    assert all(request["max_tokens"] == 5 and "stream" not in request for request in asked)


def test_what_has_no_answer_is_told_with_its_reason(config):
    done = carry(planned(config), Writer(), seed=0, step=lambda words: None, progress=lambda done, total: None)
    assert "why not the others: a budget has no room for what it may cost" in list(done.words())
    assert "why not" not in " ".join(dataclasses.replace(done, answered=30).words())


def test_where_records_are_redacted_what_is_personal_is_not_asked(config):
    personal, cut = "please write to ann@shop.de about the parcel", "please write to <email:3f2a> about it"
    found = carry(planned(config), Writer(personal, cut), seed=0, step=print, progress=lambda done, total: None)
    assert personal in found.writing.texts and cut not in found.writing.texts
    values = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**values, "ledger": {**values.get("ledger", {}), "redact": {}}}))
    gateway = Writer(personal)
    found = carry(planned(config), gateway, seed=0, step=print, progress=lambda done, total: None)
    assert personal not in found.writing.texts and found.writing.passed["private"] >= 1
    assert personal not in str([request for origin, request in gateway.asked if origin == "synthetic"])


def test_it_is_told_first_and_asks_nobody(config):
    write_price(connect(load(config).ledger.url), "big", Price(1e-3, 1e-3), source="test", at=0.0)
    told = CliRunner(env={"COLUMNS": "300"}).invoke(
        app, ["synthesize", "desk", "--rows", "100", "--config", str(config)]
    )
    assert told.exit_code == 0 and "say --yes" in told.stdout
    assert "100 messages for desk" in told.stdout and f"like {len(SEEDS)} that are known" in told.stdout
    assert 1.0 < planned(config, rows=100).usd < 10.0  # 10 orders of some 350 tokens, 100 questions of some 20


def test_what_was_written_before_is_known_and_no_example(config):
    text = "completely other words about a subject of its own"
    store(connect(load(config).ledger.url), [recorded(100, text, origin="synthetic", reason="own")])
    found = planned(config)
    assert text in found.known and text not in found.seeds


def test_examples_may_come_from_a_file(config, tmp_path):
    extra = tmp_path / "seeds.txt"
    extra.write_text("one more example\n\nWhere is the parcel that I have waited for since Monday\n")
    assert len(planned(config, seeds_file=extra).seeds) == len(SEEDS) + 1
    with pytest.raises(ConfigError, match="cannot be read"):
        planned(config, seeds_file=tmp_path / "absent.txt")


def test_without_permission_nothing_is_written(config):
    config.write_text(yaml.safe_dump(VALUES))
    with pytest.raises(HarvestError, match="not allowed"):
        planned(config)


@pytest.mark.parametrize(
    "fields",
    [
        {"teaches": False},
        {"eligible": False},
        {"teacher_reply": TeacherReply("big", None, error="TeacherUnavailable")},
        {"messages": [{"role": role, "content": "hello"} for role in ("user", "assistant", "user")]},
    ],
    ids=["opted out", "not for a student", "unanswered", "conversation"],
)
def test_what_is_no_example_is_not_shown(tmp_path, fields):
    path = tmp_path / "tutelage.yaml"
    path.write_text(yaml.safe_dump({**VALUES, **MAY}))
    store(connect(load(path).ledger.url), [replace(recorded(n, text), **fields) for n, text in enumerate(SEEDS)])
    with pytest.raises(ConfigError, match="no request of desk"):
        planned(path)


def test_few_examples_are_refused(tmp_path):
    path = tmp_path / "tutelage.yaml"
    path.write_text(yaml.safe_dump({**VALUES, **MAY}))
    store(connect(load(path).ledger.url), [recorded(n, text) for n, text in enumerate(SEEDS[:5])])
    with pytest.raises(ConfigError, match=r"5 different messages .* --seeds FILE"):
        planned(path)
