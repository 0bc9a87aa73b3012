"""`tutelage calibrate` over a file and over a task."""

import json
import random

import pytest
from typer.testing import CliRunner

from ledger.database import connect
from ledger.ingest import ingest_once
from ledger.records import Draft, TeacherReply, Usage
from ledger.releases import add_candidate, promote, set_adapter
from ledger.spool import SpoolWriter
from ledger.studies import studied_until
from router.settings import load
from tests.ledger.make import certified, student_exchange
from tutelage.calibrating import BadDrafts, Rule, of_release, read
from tutelage.cli import app


def line(rng, *, answer='{"total": 12.5}', wrong='{"total": 13}'):
    """A sure draft is right, an unsure one mostly wrong."""
    sure = rng.random() < 0.7
    logprob = -0.01 if sure else -1.0
    token = {"token": "total", "logprob": logprob, "top_logprobs": [{"logprob": logprob}, {"logprob": -1.2}]}
    said = answer if sure or rng.random() < 0.2 else wrong
    return {"student": said, "teacher": '{"total": "12.50"}', "logprobs": [token], "prompt_tokens": 30}


@pytest.fixture
def file(tmp_path):
    rng = random.Random(0)
    path = tmp_path / "drafts.jsonl"
    path.write_text("\n".join(json.dumps(line(rng)) for _ in range(900)))
    return path


def test_a_file_is_studied_under_its_measure(file):
    result = CliRunner().invoke(app, ["calibrate", str(file), "--alpha", "0.1", "--measure", "json"])
    words = " ".join(result.output.split())
    assert result.exit_code == 0 and "900 drafts, 7" in words and "600 are tested, 0 of them near-duplicates" in words
    assert "10%" in words and "chosen before" in words
    by_text = read(str(file), file, alphas=[0.1], delta=0.05, measure="exact")
    assert by_text.agreement == 0.0  # 12.5 and 12.50 are other texts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", r"drafts.jsonl:1: .*missing required field.*each line is"),
        ("nonsense", "drafts.jsonl:1: JSON is malformed"),
        (
            '{"student": "a", "teacher": "a", "logprobs": [{"token": "a", "logprob": -1}]}',
            r":1: .*field `top_logprobs`",
        ),
        ('{"student": "a", "teacher": "a", "logprobs": []}', "0 rows with usable evidence; at least 20"),
        ("", "0 rows with usable evidence"),
    ],
)
def test_a_file_of_something_else_is_refused_with_its_line(tmp_path, text, words):
    (tmp_path / "drafts.jsonl").write_text(text)
    with pytest.raises(BadDrafts, match=words):
        read(str(tmp_path / "drafts.jsonl"), tmp_path, alphas=None, delta=0.05, measure="exact")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--alpha", "1.5"], "strictly between 0 and 1"),
        (["--delta", "0"], "strictly between 0 and 1"),
        (["--measure", "vibes"], "exact, number, json"),
    ],
)
def test_what_makes_no_contract_is_refused(file, options, words):
    result = CliRunner().invoke(app, ["calibrate", str(file), *options])
    assert result.exit_code == 2 and words in " ".join(result.output.split())


def test_what_is_neither_a_task_nor_a_file_is_said_to_be_neither(tmp_path, monkeypatch):
    with pytest.raises(BadDrafts, match=r"nowhere.jsonl is neither a task nor a file: .*tutelage init"):
        read(str(tmp_path / "nowhere.jsonl"), tmp_path, alphas=None, delta=0.05, measure="exact")
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(app, ["init", "--task", "desk", "--base-model", "org/model"])
    result = CliRunner().invoke(app, ["calibrate", "desc"])
    words = "desc is neither a task nor a file: tutelage.yaml has the tasks desk"
    assert result.exit_code == 2 and words in " ".join(result.output.split())


def test_a_task_with_a_dot_in_its_name_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(app, ["init", "--task", "support.v1", "--base-model", "org/model"])
    (tmp_path / "support.v1").write_text("a file of that name is ./support.v1")
    result = CliRunner().invoke(app, ["calibrate", "support.v1"])
    assert result.exit_code == 2 and "no release of support.v1 has been certified yet" in result.output
    result = CliRunner().invoke(app, ["calibrate", "support.v1", "--measure", "json"])
    assert result.exit_code == 2 and "is a task, which is compared by its own measure" in " ".join(
        result.output.split()
    )
    result = CliRunner().invoke(app, ["calibrate", "./support.v1"])
    assert result.exit_code == 2 and "support.v1:1: JSON is malformed" in " ".join(result.output.split())


def test_a_task_is_studied_by_what_its_release_has_drafted_for_references(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(app, ["init", "--task", "desk", "--base-model", "org/model"])
    engine = connect(load(tmp_path / "tutelage.yaml").ledger.url)
    name = add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=1.0).name
    set_adapter(engine, name, path="/a", digest="abc")
    promote(engine, name, values=certified(), now=2.0)
    spool = SpoolWriter(tmp_path / "spool")
    label = TeacherReply("big", "refund", "stop", Usage(1, 1))
    draft = Draft("refund", "stop", {"x": 1.0}, Usage(1, 1))
    for number in range(6):
        fields = {"reference": number != 5, "teacher_reply": label if number else TeacherReply("big", None, error="x")}
        spool.append(student_exchange(number, draft=draft, **fields))
    cut_off = {"draft": Draft("refund", "length", {"x": 1.0}, Usage(1, 1)), "route": "teacher", "reason": "truncated"}
    spool.append(student_exchange(7, reference=True, teacher_reply=label, **cut_off))
    spool.append(student_exchange(8, reference=True, reason="certificate_expired", draft=None))
    spool.append(student_exchange(9, reference=True))
    spool.append(student_exchange(10, reference=True))
    spool.close()
    ingest_once(engine, tmp_path / "spool")
    found = [draft for draft, _ in of_release(engine, name, rule=Rule("exact"), due=9.5)]
    # A lost label disagrees, one that never came too; where it may still come the request is left out.
    assert [row.disagreement for row in found] == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    assert [bool(row.evidence) for row in found] == [True] * 5 + [False, True]  # a draft that was cut off is no draft
    with engine.connect() as connection:
        assert studied_until(connection, "abc") == 9.0  # on these its adapter will not be certified
    result = CliRunner().invoke(app, ["calibrate", "desk"])
    assert result.exit_code == 2 and "rows with usable evidence" in " ".join(result.output.split())


def test_of_a_judged_task_other_thresholds_are_not_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(app, ["init", "--task", "desk", "--base-model", "org/model"])
    config = tmp_path / "tutelage.yaml"
    config.write_text(config.read_text().replace("measure: exact ", "judge: gpt-4o-mini\n    measure: judge "))
    result = CliRunner().invoke(app, ["calibrate", "desk"])
    assert result.exit_code == 2 and "not about the drafts that were turned down" in " ".join(result.output.split())
