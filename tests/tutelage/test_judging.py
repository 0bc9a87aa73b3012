"""`tutelage judge sample` and `check`; the gateway is scripted."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distill import judge as asking
from distill.gateway import GatewayAway
from ledger import releases, verdicts
from ledger.database import connect
from ledger.ingest import store
from ledger.records import Draft, TeacherReply, Usage
from router.settings import load
from tests.ledger.make import certified, student_exchange
from tutelage import judging
from tutelage.cli import app


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A judged task; files are named from its folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tutelage.yaml"
    ask("init", "--base-model", "org/model", "--task", "desk", "--config", path)
    path.write_text(path.read_text().replace("measure: exact ", "judge: gpt-4o-mini\n    measure: judge "))
    return path


@pytest.fixture(autouse=True)
def gateway(monkeypatch):
    """It calls everything with "alike" in the request the same, says nothing to "hm", and may be away."""

    class Client:
        asked, away = 0, False

        def answers(self, task, requests, *, origin, teacher):
            if Client.away:
                raise GatewayAway("the gateway cannot be reached")
            assert (task, origin, teacher) == ("desk", "judge", "gpt-4o-mini")
            Client.asked += len(requests)
            words = [json.loads(each["messages"][1]["content"])["request"] for each in requests]
            return [None if "hm" in word else "SAME" if "alike" in word else "DIFFERENT" for word in words]

    monkeypatch.setattr(asking, "RETRY_PAUSES_S", (0.0,))
    monkeypatch.setattr(judging, "gateway_client", lambda settings: Client())
    return Client


def ask(*words):
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, [str(word) for word in words])


def words(result):
    return " ".join(result.output.split())


def served(config, texts):
    """A release whose student has answered references with `texts`, each beside the teacher's "invoice"."""
    engine = connect(load(config).ledger.url)
    name = releases.add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=1.0).name
    releases.promote(engine, name, values=certified(), now=2.0)
    reply = TeacherReply("gpt-4o-mini", "invoice", "stop", Usage(1, 1))
    fields = {"reference": True, "release": name, "teacher_reply": reply}
    drafts = [Draft(text, "stop", {"x": 1.0}, Usage(1, 1)) for text in texts]
    store(engine, [student_exchange(number, draft=draft, **fields) for number, draft in enumerate(drafts)])


def test_accepted_drafts_that_differ_are_written_to_be_labelled(config):
    served(config, ["Invoice.", "a bill", "refund", "a bill"])
    out = Path("pairs.jsonl")
    said = ask("judge", "sample", "desk", "--out", out, "--config", config)
    assert said.exit_code == 0 and f"wrote 3 pairs to {out}" in words(said)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted(line["student"] for line in lines) == ["a bill", "a bill", "refund"]
    assert all(line["teacher"] == "invoice" and line["same"] is None and "message" in line["prompt"] for line in lines)
    again = ask("judge", "sample", "desk", "--out", out, "--config", config)
    assert again.exit_code == 2 and "exists; it is not overwritten" in words(again)
    fewer = ask("judge", "sample", "desk", "--most", 2, "--out", "few.jsonl", "--config", config)
    assert "wrote 2 pairs" in words(fewer)


@pytest.mark.parametrize(
    ("texts", "why"),
    [(None, "no release of desk has answered a reference yet"), (["invoice"], "all 1 references that desk--v000001")],
)
def test_without_drafts_to_label_pairs_of_ones_own_are_asked_for(config, texts, why):
    if texts:
        served(config, texts)
    said = ask("judge", "sample", "desk", "--out", Path("pairs.jsonl"), "--config", config)
    assert said.exit_code == 2 and why in words(said) and "Write pairs of your own" in words(said)
    assert not Path("pairs.jsonl").exists()


def pair(prompt, *, same, student="a bill", teacher="invoice"):
    return {"prompt": prompt, "student": student, "teacher": teacher, "same": same}


def write(path, lines):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


GOOD = [pair(f"{n}", same=False) for n in range(60)] + [pair(f"alike {n}", same=True) for n in range(100)]


def test_labelled_pairs_are_put_to_the_judge_and_what_follows_is_told(config, gateway):
    equal, unread = pair("e", same=True, student="Invoice"), pair("hm", same=True)
    said = ask("judge", "check", "desk", write(Path("p.jsonl"), [*GOOD, "", equal, unread]), "--config", config)
    assert said.exit_code == 0, said.output
    assert "asked about 161 pairs, 1 of them without a readable verdict" in words(said)
    assert "1 more are equal" in words(said)
    assert "q1: of 60 pairs that people call different it calls 60 different, 100.0%, and at least 93.0%" in words(said)
    assert "q0: of 100 pairs that people call the same it calls 100 the same, 100.0%, and at most 100.0%" in words(said)
    assert "alpha 5% is tested at a share of 4.6" in words(said)
    settings = load(config)
    known = verdicts.labelled(connect(settings.ledger.url), "desk", judge=settings.compares_by("desk").fingerprint)
    assert (known.different, known.same) == (60, 100) and gateway.asked == 2 * 161


def test_a_judge_that_cannot_be_used_is_told_with_its_reason(config):
    lenient = [pair(f"alike {n}", same=n % 2 == 0) for n in range(80)]
    said = ask("judge", "check", "desk", write(Path("p.jsonl"), lenient), "--config", config)
    assert said.exit_code == 3 and "this judge cannot be used: the judge catches 0 of 40" in words(said)
    same_only = [pair(f"alike {n}", same=True) for n in range(5)]
    said = ask("judge", "check", "desk", write(Path("q.jsonl"), same_only), "--config", config)
    assert said.exit_code == 3


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nonsense", "p.jsonl:2: JSON is malformed"),
        ({"prompt": "q", "student": "a", "teacher": "b"}, "p.jsonl:2: Object missing required field `same`"),
        (pair("q", same=None), "p.jsonl:2: not labelled yet"),
        (pair("q", same="yes"), "p.jsonl:2: Expected `bool | null`"),
        (pair("q", same=True, student=None), "p.jsonl:2: Expected `str`"),
        (pair("q", same=False, student="Invoice."), "p.jsonl:2: labelled as different, and but for case"),
        (pair("0", same=True), "p.jsonl:2: the same pair is labelled otherwise further up"),
    ],
)
def test_a_wrong_line_is_named_and_nobody_is_asked(config, line, why):
    said = ask("judge", "check", "desk", write(Path("p.jsonl"), [GOOD[0], line, GOOD[1]]), "--config", config)
    assert said.exit_code == 2 and why in words(said)
    assert verdict_count(config) == 0


@pytest.mark.parametrize(("text", "why"), [("", "no pairs; each line is"), (None, "No such file")])
def test_a_file_without_pairs_is_named(config, text, why):
    if text is not None:
        Path("p.jsonl").write_text(text)
    said = ask("judge", "check", "desk", Path("p.jsonl"), "--config", config)
    assert said.exit_code == 2 and "p.jsonl: " in words(said) and why in words(said)


def verdict_count(config):
    settings = load(config)
    judge = settings.compares_by("desk").fingerprint
    return verdicts.labelled(connect(settings.ledger.url), "desk", judge=judge).pairs


def test_without_a_gateway_nothing_is_kept(config, gateway):
    gateway.away = True
    said = ask("judge", "check", "desk", write(Path("p.jsonl"), GOOD), "--config", config)
    assert said.exit_code == 2 and "the gateway cannot be reached" in words(said) and verdict_count(config) == 0


@pytest.mark.parametrize("command", [["sample", "desk", "--out", "x"], ["check", "desk", "x"]])
def test_a_task_that_is_compared_by_a_rule_has_no_judge(config, command):
    config.write_text(config.read_text().replace("judge: gpt-4o-mini\n    measure: judge ", "measure: exact "))
    said = ask("judge", *command, "--config", config)
    assert said.exit_code == 2 and "desk is compared by exact, not by a judge: set tasks.desk.measure" in words(said)
