"""A release explained, and two of them compared, by command."""

from dataclasses import replace

import orjson
import pytest
from typer.testing import CliRunner

from ledger.database import connect
from ledger.forgetting import Meant, find, forget
from ledger.ingest import store
from ledger.queries import Use, record_uses
from ledger.releases import add_candidate, get, promote, refuse, set_adapter
from router.settings import load
from tests.ledger.make import CALIBRATOR, CERTIFICATE, exchange
from tests.tutelage.test_cli_forget import config  # noqa: F401  the same champion
from tutelage.cli import app
from tutelage.explaining import Difference, differences, facts, write_rows

FIRST, SECOND = "desk--v000001", "desk--v000002"
TRAINING = {"epochs": 2, "steps": 40, "seconds": 12.3, "validation_losses": [0.5, 0.25], "rows_too_long": 1}
PREFERRED = {"pairs": 1234, "too_long": 2, "steps": 155, "seconds": 60.0, "validation_losses": [0.2], "kept": True}
DRAFTS = {"rows": 1040, "teacher_wrong": 12, "fixed": 5, "copied": 4, "added": 20}
ANSWERS = {"rows": 9, "teacher_wrong": 0, "fixed": 0, "copied": 0, "added": 1}
NONE = dict.fromkeys(DRAFTS, 0)
STUDENT = {"rows": 600, "prompt_tokens": 48.25, "answer_tokens": 2.0, "timed": 590, "p50_s": 0.1234, "p95_s": 0.5}
UNKNOWN = {"rows": 0, "prompt_tokens": None, "answer_tokens": None, "timed": 0, "p50_s": None, "p95_s": None}
DOLLARS = {"rows": 580, "teacher_alone": 0.0035, "drafts": 0.0001, "escalated": 0.0009, "references": 0.00005}
PERMISSION = {"teacher": "openai/big", "terms": "section 3 of its terms", "confirmed_by": "legal, 2026-01-15"}
REASONED = {"rationales": 4321, "tokens": 98765, "too_long": 3}


@pytest.fixture
def engine(config):  # noqa: F811
    return connect(load(config).ledger.url)


@pytest.fixture
def second(engine):
    """A later release, of other rows, with a report."""
    store(engine, [exchange(3), exchange(4), exchange(5)])
    add_candidate(engine, task="desk", cut_at=55.0, base_model="m", now=80.0)
    set_adapter(engine, SECOND, path="/adapters/2", digest="e")
    uses = [Use("id-000001", "train"), Use("id-000003", "train"), Use("id-000004", "reject", reason="truncated")]
    record_uses(engine, release=SECOND, uses=[*uses, Use("id-000005", "certify", "refund", 0.9, 0.0)])
    training = {
        **TRAINING,
        "rows_unspeakable": 7,
        "dataset_digest": "f" * 64,
        "preferred": PREFERRED,
        "reasoned": REASONED,
    }
    report = {"training": training, "fit_agreement": 0.9}
    report |= {"pattern": {"name": "preference", "because": "1,234 wrong answers are recorded"}}
    report["noise"] = {"rows": 3, "words": "the teacher errs in an estimated 33.3% of 3 labelled rows, 1 suspected"}
    report["curation"] = {"corrected": 2, "words": "2 rows teach what people have corrected"}
    report |= {"bound_to": {"teacher": "[red]big[/red]"}, "permission": PERMISSION}
    values = {"calibrator": CALIBRATOR, "certificate": {**CERTIFICATE, "alpha": 0.05}, "report": report}
    promote(engine, SECOND, values=values, now=90.0)
    return get(engine, SECOND)


def ask(config, *words):  # noqa: F811
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, ["releases", *map(str, words), "--config", str(config)])


UNLIKE = "requests that are the teacher's, being unlike its lessons"


@pytest.mark.parametrize(
    ("window", "words"),
    [(0.0625, "5.0% of fit rows, 6.2% of the window"), (None, "5.0% of fit rows")],  # None: labels unseen
)
def test_it_says_what_it_leaves_to_the_teacher_unasked(engine, second, *, window, words):
    known = {"lessons": 1600, "least": 0.2025, "fit": 0.05} | ({"window": window} if window else {})
    told = facts(engine, replace(second, report={**second.report, "familiar": known}))
    assert told[UNLIKE] == f"{words}; less than 0.203 like any of 1,600 lessons"
    assert UNLIKE not in facts(engine, second)


def test_it_says_what_it_was_made_of_and_with(engine, second):
    found = facts(engine, second)
    assert found["rows that its chat template does not take"] == "7"
    assert (found["rows that taught"], found["rows rejected: truncated"]) == ("2", "1")
    assert found["validation loss by epoch"] == "0.5000 0.2500" and found["drafts that agree, fit rows"] == "90.0%"
    assert found["labels"] == "the teacher errs in an estimated 33.3% of 3 labelled rows, 1 suspected"
    assert found["curation"] == "2 rows teach what people have corrected"
    assert (found["pattern"], found["pattern because"]) == ("preference", "1,234 wrong answers are recorded")
    assert found["pairs learned in"] == "155 steps, 60 s; kept" and found["validation loss with pairs"] == "0.2000"
    assert (found["rationales"], found["rationales too long"]) == ("4,321, 98,765 tokens", "3")
    assert found["contract"].startswith("at most 5% differ") and found["bound to teacher"] == "[red]big[/red]"


def test_it_says_under_which_terms_it_was_trained_and_on_whose_word(engine, second, config):  # noqa: F811
    found = facts(engine, second)
    assert found["learned from answers of"] == "openai/big" and found["terms that allow it"] == "section 3 of its terms"
    assert found["confirmed by"] == "legal, 2026-01-15"
    shown = ask(config, "show", SECOND).stdout
    assert "section 3 of its terms" in shown and "legal, 2026-01-15" in shown
    assert facts(engine, get(engine, FIRST))["terms that allow it"] == "not recorded when it was made"
    assert "confirmed by" in {each.name for each in differences(engine, get(engine, FIRST), second)}


def test_of_log_probabilities_it_says_how_many_rows_have_them_and_why_others_have_not(engine, second):
    told = {"rows": 1234, "missed": {"in other tokens": 5}}
    found = facts(engine, replace(second, report={**second.report, "targets": told}))
    assert found["rows with log-probabilities of their teacher"] == "1,234"
    assert found["rows learned without: in other tokens"] == "5"
    names = {each.name for each in differences(engine, second, replace(second, report={"targets": told}))}
    assert "rows learned without: in other tokens" in names


def with_report(release, **told):
    return replace(release, report={**release.report, **told})


def test_of_the_teachers_errors_it_tells_counts_of_so_many(engine, second):
    found = facts(engine, with_report(second, people={"drafts": DRAFTS, "answers": ANSWERS}))
    assert found["right as people say, drafts"] == "student 1,013, teacher 1,028, of 1,040 rows that they chose"
    assert found["errors of the teacher's, drafts"] == "5 fixed, 4 copied, 3 wrong otherwise, of 12"
    assert found["errors where the teacher is right, drafts"] == "20 added, of 1,028"
    assert found["errors of the teacher's, answers it would give"] == "unknown: no such row"
    assert found["errors where the teacher is right, answers it would give"] == "1 added, of 9"
    found = facts(engine, with_report(second, people={"drafts": DRAFTS, "answers": None}))
    assert not any("answers it would give" in name for name in found)


def test_what_nobody_has_said_anything_of_is_unknown_and_of_a_release_before_this_nothing_is_told(engine, second):
    found = facts(engine, with_report(second, people={"drafts": NONE, "answers": NONE}))
    assert found["teacher errors fixed, copied and added"].startswith("unknown: people have said of no reference")
    assert not any("people say" in name or "errors of" in name for name in found)
    assert not any("errors" in name or "seconds" in name or "dollars" in name for name in facts(engine, second))


def test_of_answers_it_tells_seconds_and_tokens_of_both(engine, second):
    told = {
        "of": "window",
        "student": STUDENT,
        "teacher": {**STUDENT, "p50_s": 0.8, "p95_s": 1.9, "prompt_tokens": 52.0},
    }
    found = facts(engine, with_report(second, effort=told))
    load = "under the load of the evaluation"
    assert found["seconds of a draft, window"] == f"p50 0.123, p95 0.5, of 590 {load}"
    assert found["seconds of the teacher's answer, window"] == "p50 0.8, p95 1.9, of 590 as recorded"
    assert found["tokens of a prompt, window"] == "student 48.2, teacher 52.0"
    found = facts(engine, with_report(second, effort={**told, "teacher": UNKNOWN}))
    assert found["seconds of the teacher's answer, window"] == "unknown: none was timed"
    assert found["tokens of an answer, window"] == "student 2.0, teacher unknown"


def test_of_a_certified_threshold_it_tells_what_is_to_be_expected_and_what_that_assumes(engine, second):
    told = {"rows": 600, "escalation": 0.253, "rho": 0.05, "dollars": DOLLARS}
    found = facts(engine, with_report(second, expected=told))
    assert found["expected to escalate"] == "25.3% of requests like the window's"
    assert (
        found["dollars per 1,000 of them"]
        == "$1.05 (drafts $0.10, escalated $0.90, references $0.050); the teacher alone $3.50"
    )
    assert found["assumed of these dollars"].startswith(
        "by 580 of 600 rows, at the prices of when it was certified, 5%"
    )
    found = facts(engine, with_report(second, expected={**told, "dollars": None}))
    assert found["dollars per 1,000 of them"].startswith("unknown") and "assumed of these dollars" not in found


def test_two_releases_are_compared_by_what_is_expected_of_them(engine, second):
    dearer = with_report(second, expected={"rows": 600, "escalation": 0.4, "rho": 0.05, "dollars": None})
    cheaper = with_report(second, expected={"rows": 600, "escalation": 0.2, "rho": 0.05, "dollars": DOLLARS})
    found = {each.name: (each.before, each.after) for each in differences(engine, dearer, cheaper)}
    assert found["expected to escalate"] == tuple(f"{n}.0% of requests like the window's" for n in (40, 20))
    assert "dollars per 1,000 of them" in found


def test_one_that_was_refused_says_why_and_one_without_a_report_what_there_is(engine):
    name = add_candidate(engine, task="desk", cut_at=55.0, base_model="m", now=80.0).name
    assert facts(engine, get(engine, name))["status"] == "candidate"
    refuse(engine, name, refusal={"reason": "too weak"}, report={}, now=81.0)
    assert facts(engine, get(engine, name))["because"] == "too weak"


def test_an_adapter_that_had_to_be_deleted_is_told(engine, second):
    meant = Meant(exchanges=("id-000003",))
    forget(engine, find(engine, meant, due=1e12), meant=meant, now=100.0)
    assert facts(engine, get(engine, SECOND))["status"] == "forgotten, its adapter deleted"
    assert facts(engine, get(engine, SECOND))["no adapter"].endswith("what it had learned from is forgotten")


def test_two_differ_by_their_facts_and_by_the_rows_that_taught_one_only(engine, second):
    found = differences(engine, get(engine, FIRST), second)
    assert Difference("rows that only it learned from", "0", "1") in found
    assert Difference("rows that taught", "1", "2") in found
    assert Difference("pattern", "", "preference") in found and Difference("pairs", "", "1,234") in found
    assert Difference("rationales", "", "4,321, 98,765 tokens") in found
    assert "base model" not in {each.name for each in found}
    assert differences(engine, second, second) == [Difference("rows that only it learned from", "0", "0")]


SETTINGS = {"rank": 16, "learning_rate": 0.001, "epochs": 2, "batch_size": 8, "seed": 0, "easy_weight": 1.0}


def test_it_says_how_it_was_trained_what_that_cost_and_why_it_was_made(engine, second):
    why = "1,200 new rows; a student would save $2 of it"
    told = with_report(second, settings=SETTINGS, training_usd=12.5, begun=why)
    found = facts(engine, told)
    assert found["setting of training: learning rate"] == "0.001" and found["setting of training: easy weight"] == "1.0"
    assert (found["training cost"], found["made because"]) == ("$12.50", why)
    before = facts(engine, second)
    assert not any(name.startswith("setting of training") for name in before)
    assert not {"training cost", "made because"} & before.keys()
    changed = with_report(told, settings={**SETTINGS, "learning_rate": 2e-4, "seed": 1})
    assert differences(engine, told, changed) == [
        Difference("setting of training: learning rate", "0.001", "0.0002"),
        Difference("setting of training: seed", "0", "1"),
        Difference("rows that only it learned from", "0", "0"),
    ]
    assert Difference("setting of training: rank", "", "16") in differences(engine, second, told)


def recertified(engine, source):
    """The adapter of another release, under a name of its own."""
    name = add_candidate(engine, task="desk", cut_at=56.0, base_model="m", now=95.0).name
    report = {"adapter_of": source.name, "settings": None, "begun": None}
    set_adapter(engine, name, path=f"/adapters/{name}", digest=source.adapter_digest, report=report)
    return get(engine, name)


def test_an_adapter_that_is_certified_anew_was_taught_by_what_taught_it_before(engine, second, tmp_path):
    path = tmp_path / "rows.jsonl"
    third = recertified(engine, recertified(engine, second))
    found = facts(engine, third)
    assert (found["rows that taught"], found["rows rejected: truncated"]) == ("2", "1")
    names = {each.name for each in differences(engine, second, third)}
    assert not {"rows that taught", "rows rejected: truncated"} & names
    assert Difference("rows that only it learned from", "0", "0") in differences(engine, second, third)
    assert write_rows(engine, third.name, path) == 3  # the window of the first is not its own
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [row["exchange_id"] for row in rows if row["use"] == "train"] == ["id-000001", "id-000003"]


def test_the_commands_show_it_as_it_is_and_write_the_rows(config, second, tmp_path):  # noqa: F811
    shown, path = ask(config, "show", SECOND, "--rows", tmp_path / "rows.jsonl"), tmp_path / "rows.jsonl"
    assert shown.exit_code == 0 and "[red]big[/red]" in shown.stdout
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [(row["exchange_id"], row["use"]) for row in rows if row["reason"]] == [("id-000004", "reject")]
    assert len(rows) == 4
    again = ask(config, "show", SECOND, "--rows", path)
    assert again.exit_code == 2 and "not overwritten" in again.stderr
    assert "truncated" in ask(config, "diff", FIRST, SECOND).stdout


@pytest.mark.parametrize("words", [("show", "desk--v9"), ("diff", FIRST, "desk--v9")])
def test_an_unknown_release_is_refused_by_name(config, words):  # noqa: F811
    refused = ask(config, *words)
    assert refused.exit_code == 2 and "desk--v9" in refused.stderr
