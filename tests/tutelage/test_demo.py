"""The demo's plan and its verdict. That it runs is for `make demo`."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from openai.types import CompletionUsage

from ledger.database import connect
from ledger.ingest import ingest_once
from ledger.releases import add_candidate, promote
from ledger.spool import SpoolWriter
from router.settings import ConfigError, load
from tests.ledger.make import exchange, student_exchange
from tutelage.demo.outcome import DemoOutcome, measure
from tutelage.demo.plan import TASK, TEACHER, DemoPlan, divide, free_ports, read_texts, write_config
from tutelage.demo.traffic import Sent
from tutelage.provision import Home

PLAN = DemoPlan(None, "text", "label", 3200, 300, 2, 0, Path("plot.png"))
GOOD = DemoOutcome("r", 0.0, 300, 200, 190, 40, 38, 0, 0.01, 0.03, 0.1, 0.2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"student_answers": 150, "agreed": 135}, None),  # just what is claimed
        ({"student_answers": 149, "agreed": 149}, "answered 49.7% of the last phase, not 50%"),
        ({"agreed": 179}, "89.5% of its answers equal the teacher's, not 90%"),
        ({"dropped": 1}, "1 requests were dropped"),
        ({"spent_usd": 0.03}, "is no less than $0.0300 teacher-only"),
        ({"student_answers": 0, "agreed": 0}, "answered 0.0%"),
    ],
)
def test_the_demo_fails_where_it_did_not_show_what_it_claims(change, words):
    found = replace(GOOD, **change).failures(alpha=0.1)
    assert (found == []) if words is None else (words in found[0])


def test_the_references_interval_holds_their_share():
    low, high = GOOD.reference_interval
    assert 0.83 < low < 38 / 40 < high < 1.0


def test_an_outcome_counts_every_student_answer_by_the_teachers_word(tmp_path):
    spool = SpoolWriter(tmp_path / "spool")
    spool.append(exchange(11, task=TASK))
    spool.append(student_exchange(12, task=TASK))
    spool.close()
    engine = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    ingest_once(engine, tmp_path / "spool")
    name = add_candidate(engine, task=TASK, cut_at=0.0, base_model="b", now=1.0).name
    values = {"fingerprint": "f", "calibrator": {"a": 1}, "certificate": {"a": 1}, "report": {}}
    promote(engine, name, values=values, now=2.0)
    usage = CompletionUsage(prompt_tokens=1_000_000, completion_tokens=0, total_tokens=1_000_000)
    served = [
        Sent("a", 0.0, 0.5, "refund", "student"),
        Sent("b", 0.0, 0.7, "Refund ", "student"),
        Sent("c", 0.0, 0.9, "delivery", "teacher", usage=usage),
    ]
    truth = [Sent("a", 0.0, 0.1, "refund", usage=usage), Sent("b", 0.0, 0.1, "delivery", usage=usage)]
    lost = Sent("d", 0.0, 0.1, None, error="APIError")
    found = measure(engine, TASK, since=10.0, before=[lost], served=served, truth=truth)
    assert (found.requests, found.student_answers, found.agreed, found.dropped) == (3, 2, 1, 1)
    assert found.baseline_usd == pytest.approx(3 * 2.5)
    assert found.spent_usd == pytest.approx(0.01 + 0.001)
    assert found.release == name


def test_the_configuration_it_writes_is_one_the_product_reads(tmp_path):
    write_config(tmp_path / "t.yaml", PLAN, home=Home(tmp_path, tmp_path), ports=free_ports())
    settings = load(tmp_path / "t.yaml")
    assert settings.tasks[TASK].system_prompt == PLAN.system_prompt
    assert settings.teachers[TEACHER].may_train and settings.teachers[TEACHER].terms
    assert settings.distill.window_share == pytest.approx(1 - 1500 / 3200)


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_labels_of_a_file_are_not_read_and_its_repetitions_go(tmp_path):
    path = write_csv(tmp_path / "f.csv", [("text", "label"), ("a", "1"), ("b", "2"), ("a", "3"), (" ", "4")])
    assert read_texts(path, "text") == ["a", "b"]
    with pytest.raises(ConfigError, match="no column 'body'"):
        read_texts(path, "body")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_texts(tmp_path / "none.csv", "text")


def test_phases_share_no_message_and_too_few_messages_are_said():
    texts = [str(n) for n in range(3500)]
    first, last = divide(list(texts), PLAN)
    assert (first, last) == (texts[:3200], texts[3200:])
    shuffled, rest = divide(list(texts), replace(PLAN, data=Path("own.csv")))
    assert shuffled != first and not set(shuffled) & set(rest)
    with pytest.raises(ConfigError, match=r"3499 different messages, but 3200 \+ 300 are wanted"):
        divide(texts[:3499], PLAN)
