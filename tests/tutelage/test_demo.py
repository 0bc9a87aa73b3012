"""The demo's plan and its verdict. That it runs is for `make demo`."""

import asyncio
import csv
from dataclasses import replace
from io import StringIO
from itertools import takewhile
from pathlib import Path

import pytest
from openai.types import CompletionUsage
from rich.console import Console

from ledger.database import connect
from ledger.ingest import ingest_once, store
from ledger.releases import add_candidate, get, promote, void
from ledger.spool import SpoolWriter
from router.settings import ConfigError, load
from tests.ledger.make import certified, exchange, student_exchange
from tutelage.demo.outcome import DemoOutcome, Drift, Phase, answered_under_void, measure, measure_drift
from tutelage.demo.plan import (
    DRIFTED_MOST,
    RELEARN_ROWS,
    TASK,
    TEACHER,
    DemoPlan,
    free_ports,
    read_messages,
    write_config,
)
from tutelage.demo.plot import draw
from tutelage.demo.traffic import Client, Sent, trickle
from tutelage.demo.view import LogView, show_verdict
from tutelage.provision import Home
from tutelage.unmatched import ALIKE, nearest_task

PLAN = DemoPlan(None, "text", "label", 3200, 300, 2, 0, Path("plot.png"))
GOOD = Phase("r", 0.0, 300, 200, 190, 40, 38, 0.01, 0.03, 0.1, 0.2)
DRIFT = Drift(160, 100, 60, 4.0, 5.0, "alarm: 15 of the last 40 references disagree")
USAGE = CompletionUsage(prompt_tokens=1_000_000, completion_tokens=0, total_tokens=1_000_000)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"student_answers": 150, "agreed": 135}, None),  # just what is claimed
        ({"student_answers": 149, "agreed": 149}, "r answered 49.7% of its phase, not 50%"),
        ({"agreed": 179}, "89.5% of r's answers equal the teacher's, not 90%"),
        ({"spent_usd": 0.03}, "cost $0.0300, no less than $0.0300 teacher-only"),
        ({"student_answers": 0, "agreed": 0}, "answered 0.0%"),
    ],
)
def test_the_demo_fails_where_it_did_not_show_what_it_claims(change, words):
    for outcome in (DemoOutcome(replace(GOOD, **change)), DemoOutcome(replace(GOOD, **change), DRIFT, GOOD)):
        found = outcome.failures(alpha=0.1)
        assert (found == []) if words is None else (words in found[0])


def test_after_the_drift_four_fifths_of_the_share_must_be_back():
    before = replace(GOOD, student_answers=300, agreed=290)
    assert DemoOutcome(before, DRIFT, replace(GOOD, student_answers=240, agreed=230)).failures(alpha=0.1) == []
    (words,) = DemoOutcome(before, DRIFT, replace(GOOD, student_answers=239, agreed=230)).failures(alpha=0.1)
    assert words == "r answered 79.7% of its phase, not 80%"


def test_the_references_interval_holds_their_share():
    low, high = GOOD.reference_interval
    assert 0.83 < low < 38 / 40 < high < 1.0


def test_a_phase_counts_every_student_answer_by_the_teachers_word(tmp_path):
    spool = SpoolWriter(tmp_path / "spool")
    spool.append(exchange(11, task=TASK))
    spool.append(student_exchange(12, task=TASK))
    spool.close()
    engine = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    ingest_once(engine, tmp_path / "spool")
    served = [
        Sent("a", 0.0, 0.5, "refund", "student"),
        Sent("b", 0.0, 0.7, "Refund ", "student"),
        Sent("c", 0.0, 0.9, "delivery", "teacher", usage=USAGE),
    ]
    truth = [Sent("a", 0.0, 0.1, "refund", usage=USAGE), Sent("b", 0.0, 0.1, "delivery", usage=USAGE)]
    champion = promoted(engine)
    found = measure(engine, champion, since=10.0, served=served, truth=truth)
    assert (found.requests, found.student_answers, found.agreed) == (3, 2, 1)
    assert found.baseline_usd == pytest.approx(3 * 2.5)
    assert found.spent_usd == pytest.approx(0.01 + 0.001)
    assert (found.release, found.in_force_at) == (champion.name, 2.0)


def test_a_drift_counts_what_clients_got_until_the_alarm(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    champion = promoted(engine)
    void(engine, champion.name, reason="alarm: 9 of 20", now=3.0)
    served = [Sent("a", 2.5, 0.5, "refund", "student"), Sent("b", 2.6, 0.5, "refund", "teacher")]
    found = measure_drift(get(engine, champion.name), served=served, truth=[Sent("a", 0.0, 0.1, "rental")])
    assert found == Drift(2, 1, 0, 2.5, 3.0, "alarm: 9 of 20")
    assert "answered 1 of 2 drifted requests, 1 of them not as the teacher would" in found.words


def test_what_is_answered_under_a_voided_certificate_fails_the_demo(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    champion = promoted(engine)
    void(engine, champion.name, reason="alarm: 9 of 20", now=10.0)
    rows = [student_exchange(number, task=TASK, release=champion.name) for number in (9, 10, 12, 13)]
    store(engine, [*rows, student_exchange(14, task=TASK, release="another")])
    found = answered_under_void(engine, get(engine, champion.name))
    assert found == 2
    (words,) = DemoOutcome(GOOD, DRIFT, GOOD, under_void=found).failures(alpha=0.1)
    assert words == "2 requests were answered under a certificate that the alarm had voided"


def promoted(engine):
    name = add_candidate(engine, task=TASK, cut_at=0.0, base_model="b", now=1.0).name
    promote(engine, name, values=certified(), now=2.0)
    return get(engine, name)


def test_the_picture_marks_releases_and_alarm(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    draw(engine, TASK, DemoOutcome(GOOD, DRIFT, replace(GOOD, in_force_at=9.0)), out=tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_configuration_it_writes_is_one_the_product_reads(tmp_path):
    write_config(tmp_path / "t.yaml", PLAN, home=Home(tmp_path, tmp_path), ports=free_ports())
    settings = load(tmp_path / "t.yaml")
    assert settings.tasks[TASK].system_prompt == PLAN.system_prompt
    teacher = settings.teachers[TEACHER]
    assert teacher.may_train and teacher.terms and teacher.confirmed_by
    assert int(3200 * (1.0 - settings.distill.window_share)) == settings.distill.min_rows == 1800
    write_config(tmp_path / "t.yaml", replace(PLAN, may_train=False), home=Home(tmp_path, tmp_path), ports=free_ports())
    assert not load(tmp_path / "t.yaml").teachers[TEACHER].may_train


def test_a_log_is_shown_by_whole_lines_and_once(tmp_path):
    console = Console(file=StringIO(), width=80)
    view = LogView(console, tmp_path / "worker.log")
    view.show()
    for piece in ("one\ntw", "o\n", ""):
        with (tmp_path / "worker.log").open("a") as file:
            file.write(piece)
        view.show()
    assert console.file.getvalue() == "  one\n  two\n"


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


OWN = replace(PLAN, data=Path("own.csv"), rows=2, serve=1)


def test_labels_of_a_file_are_not_read_and_its_repetitions_go(tmp_path):
    path = write_csv(
        tmp_path / "f.csv", [("text", "label"), ("a", "1"), ("b", "2"), ("a", "3"), (" ", "4"), ("c", "1")]
    )
    found = read_messages(path, OWN)
    assert sorted(found.first + found.served) == ["a", "b", "c"]
    assert found == read_messages(path, OWN) and not found.drifting + found.relearned + found.served_again
    with pytest.raises(ConfigError, match=r"3 different messages, but 2 \+ 2 are wanted"):
        read_messages(path, replace(OWN, serve=2))
    with pytest.raises(ConfigError, match="no column 'body'"):
        read_messages(path, replace(OWN, text="body"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_messages(tmp_path / "none.csv", OWN)


def test_what_teaches_shares_no_part_with_what_is_certified_and_served(tmp_path):
    parts = [(f"{split} {n}", "label", split) for split, rows in PLAN.corpus.items() for n in range(rows)]
    found = read_messages(write_csv(tmp_path / "f.csv", [("text", "label", "part"), *parts]), PLAN)
    assert (len(found.first), len(found.served), len(found.served_again)) == (3200, 300, 300)
    taught = {text.partition(" ")[0] for text in found.first[: PLAN.taught_rows]}
    behind = {text.partition(" ")[0] for text in found.first[PLAN.taught_rows :] + found.served}
    assert (taught, behind) == ({"train"}, {"serve"})
    assert len(found.relearned) == RELEARN_ROWS and len(found.drifting) == DRIFTED_MOST
    half = replace(PLAN, drift=False)
    assert read_messages(tmp_path / "f.csv", half).first == found.first and not half.corpus.keys() - {"train", "serve"}
    taught = {text.partition(" ")[0] for text in found.drifting + found.relearned[: PLAN.relearned_rows]}
    behind = {text.partition(" ")[0] for text in found.relearned[PLAN.relearned_rows :] + found.served_again}
    assert (taught, behind) == ({"drift-train"}, {"drift-serve"})


@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, data=Path("own.csv"))])
def test_of_what_belongs_to_no_task_one_half_is_its_prompt_edited(tmp_path, plan):
    write_config(tmp_path / "t.yaml", plan, home=Home(tmp_path, tmp_path), ports=free_ports())
    settings, known = load(tmp_path / "t.yaml"), {TASK: [plan.system_prompt]}
    another, edited = (nearest_task(text, known, settings, model=TEACHER) for text in plan.nameless_prompts)
    assert edited.task == TASK and edited.alike >= ALIKE
    assert another is None or another.alike < ALIKE
    assert plan.system_prompt not in plan.nameless_prompts


def test_the_verdict_is_told_word_by_word():
    console = Console(file=StringIO(), width=80)
    show_verdict(console, ["1 of [2] was dropped", "another"])
    show_verdict(console, [])
    assert console.file.getvalue().splitlines() == [
        "failed: 1 of [2] was dropped",
        "failed: another",
        "passed: each phase showed what it claims",
    ]


async def test_all_is_sent_in_order_until_there_is_no_more():
    client, left = Client("http://127.0.0.1:9/v1", system_prompt=""), [5]

    async def send(text):
        left[0] -= 1
        return Sent(text, 0.0, 0.0, "a")

    client.send = send
    texts = map(str, range(100))
    found = await client.send_all(takewhile(lambda _: left[0] > 0, texts), concurrency=2)
    assert [sent.text for sent in found] == ["0", "1", "2", "3", "4"]
    async with trickle(client, ["a", "b"], pause_s=0.0) as sent:
        await asyncio.sleep(0.05)
    assert [each.text for each in sent[:3]] == ["a", "b", "a"]
