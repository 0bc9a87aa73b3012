"""`tutelage replay` from the command line to the page; the making of a student is scripted."""

import random
import re

import pytest
from typer.testing import CliRunner

from calibration.evidence import SHORT
from ledger.records import Usage
from tests.tutelage.replay.lines import entry
from tutelage.cli import app
from tutelage.console import console
from tutelage.replay import run as pipeline
from tutelage.replay import student
from tutelage.replay.trial import DraftedRow, Trial

pytestmark = pytest.mark.usefixtures("table")


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setattr(console, "width", 400)  # rows of tables stay whole


def ask(*words):
    return CliRunner().invoke(app, ["replay", *map(str, words)])


def words(result):
    return " ".join(result.output.split())


def drafted(rows, *, wrong, evidence=True):
    """A draft that is unsure is wrong, and so many are."""
    rng = random.Random(0)
    found = []
    for number in range(rows):
        d = float(rng.random() < wrong)
        facts = dict.fromkeys(SHORT, 1.0 - d + 0.1 * rng.random()) if evidence else None
        found.append(DraftedRow(facts, d, number, Usage(400, 5)))
    return found


@pytest.fixture
def making(monkeypatch):
    """What making a student comes to: a trial, or an error."""
    asked = []
    outcome = {"trial": Trial(430, {}, 3000.0, 600.0, 0, drafted(600, wrong=0.1))}

    def make(log, task, workshop, *, home, progress):
        asked.append((task, workshop))
        if isinstance(outcome["trial"], BaseException):
            raise outcome["trial"]
        return outcome["trial"]

    monkeypatch.setattr(student, "make", make)
    monkeypatch.setattr(pipeline, "ensure_vllm", lambda home, *, say: None)
    monkeypatch.setattr(pipeline, "ensure_demo_model", lambda home, *, say: "demo")
    outcome["asked"] = asked
    return outcome


def test_without_terms_nothing_is_trained_and_the_question_is_what_share_would_pay(log, making):
    path = log(120)
    result = ask(path, "--cheaper", "mini")
    said = words(result)
    assert result.exit_code == 0 and making["asked"] == []
    assert 'say with --terms "where they allow it" that they do' in said
    assert "a student pays that takes more than" in said and "Against mini for everything" in said
    assert "would be paid back after 204 requests, if half of what can be drafted were accepted" in said
    page = path.with_name("log.jsonl.replay") / "replay.html"
    assert f"wrote {page}" in said and "Nothing was trained" in page.read_text()


def test_the_table_tells_what_a_task_costs_and_how_narrow_it_looks(log):
    said = words(ask(log(101, more=[entry(5, system="Write a poem.")])))
    # Ten a day over ten days, 400 tokens asked and 5 answered, $2.50 and $10 a million.
    assert re.search(r"1 │ Name the topic\. │ gpt-4o │ 101 │ 307 │ 400 \+ 5 │ \$0\.32 │", said)
    assert "│ 1 │ narrow │ 2 of 101 │ 100% │ 0% │ 6 │" in said
    assert "Looked at: task 1" in said and "too few" in said


def test_without_times_months_are_unknown(log):
    path = log(60)
    path.write_text(path.read_text().replace("created_at", "when"))
    said = words(ask(path))
    assert "requests a month, and all that follows from them, are unknown" in said and "│ unknown │" in said


def test_a_certified_student_is_priced_at_every_alpha_and_paid_back(log, making):
    path = log(120)
    result = ask(path, "--terms", "section 3", "--alpha", "0.1", "--alpha", "0.01", "--cheaper", "mini")
    said = words(result)
    assert result.exit_code == 0
    ((_, workshop),) = making["asked"]
    assert (workshop.terms, workshop.base_model, workshop.measure) == ("section 3", "demo", "exact")
    assert re.search(r"(89|9[01])\.\d% of all its drafts agree with the log's answers", said)
    student_row = re.search(
        r"student at 10% │ (\d+\.\d)% │ \$(\d+) │ \$[\d.]+ │ (\d+)% │ after ([\d,]+) requests", said
    )
    share, usd, saved, payback = student_row.groups()
    assert 80 < float(share) < 95 and int(saved) > 70
    teacher = 1050  # dollars a million
    expected = 400 * 0.02 + 5 * 0.05 + teacher * (1 - float(share) / 100 * 0.95)
    assert int(usd) == pytest.approx(expected, abs=1)
    assert int(payback.replace(",", "")) == pytest.approx(0.10 / ((teacher - expected) / 1e6), rel=0.01)
    assert "│ 1% │ none │" in said  # and why
    assert "its agreement is not known" in said and "half price, answers within a day" in said
    for limit in ("whoever had chosen that alpha", "not tomorrow's traffic", "right or wrong"):
        assert limit in said
    page = (path.with_name("log.jsonl.replay") / "replay.html").read_text()
    assert page.count("<svg") == 3 and "student at 10%" in page
    assert re.findall(r"(?:src|href)=\"(?!#)[^\"]*\"|url\((?!#)[^)]*\)|<script", page) == []


def test_a_student_that_no_contract_certifies_ends_with_3_and_its_report(log, making):
    making["trial"] = Trial(430, {}, 3000.0, 600.0, 0, drafted(300, wrong=0.6))
    path = log(120)
    result = ask(path, "--terms", "section 3", "--alpha", "0.05")
    assert result.exit_code == 3 and "│ 5% │ none │" in words(result)
    assert "a student pays that takes more than" in words(result)
    assert (path.with_name("log.jsonl.replay") / "replay.html").read_text().count("<svg") == 3


def test_a_student_that_cannot_be_judged_ends_with_3_and_the_reason(log, making):
    making["trial"] = Trial(430, {}, 3000.0, 600.0, 0, drafted(300, wrong=0.1, evidence=False))
    result = ask(log(120), "--terms", "section 3")
    assert result.exit_code == 3 and "The student cannot be judged: 0 rows with usable evidence" in words(result)


def test_a_log_that_no_student_can_be_made_of_is_reported_with_the_reason(log, making):
    making["trial"] = student.NoStudent("120 rows")
    result = ask(log(120), "--terms", "section 3")
    assert result.exit_code == 0 and "No student was made: 120 rows." in words(result)


def test_stopped_it_says_how_to_go_on_and_the_first_page_is_there(log, making):
    making["trial"] = KeyboardInterrupt()
    path = log(120)
    result = ask(path, "--terms", "section 3")
    assert result.exit_code == 130 and "the same command goes on" in words(result)
    page = (path.with_name("log.jsonl.replay") / "replay.html").read_text()
    assert "The student was not finished" in page and "Nothing was trained" not in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--task", "9"], "--task '9' is no task's: give a number from 1 to 1"),
        (["--cheaper", "nobody"], "--cheaper nobody: LiteLLM knows no price"),
        (["--teacher-usd-per-mtok", "2"], "--teacher-usd-per-mtok is IN,OUT"),
        (["--student-usd-per-mtok", "x,y"], "--student-usd-per-mtok is IN,OUT"),
        (["--teacher-usd-per-mtok", "0,0"], "leaves nothing to save"),
        (["--alpha", "1.5"], "--alpha: alpha and delta lie strictly between 0 and 1"),
        (["--measure", "vibes"], "--measure is one of exact, number, json"),
        (["--machine-usd-per-hour", "inf"], "--machine-usd-per-hour is a sum of money"),
        (["--rows", "10"], "greater than or equal to 200"),
    ],
)
def test_bad_options_end_with_2_and_write_nothing(log, options, said):
    path = log(60)
    result = ask(path, *options)
    assert result.exit_code == 2 and said in words(result)
    assert not path.with_name("log.jsonl.replay").exists()


def test_an_unknown_teachers_price_is_asked_for_and_taken(log):
    path = log(60)
    path.write_text(path.read_text().replace("gpt-4o", "own-model"))
    refused = ask(path)
    assert refused.exit_code == 2
    assert "LiteLLM knows no price for 'own-model': give --teacher-usd-per-mtok IN,OUT" in words(refused)
    assert "own-model │ 60 │" in words(ask(path, "--teacher-usd-per-mtok", "2.5,10"))


def test_another_tasks_unknown_price_is_told_as_unknown(log):
    other = entry(7, system="Another.")
    other["response"]["model"] = "own-model"
    assert re.search(r"Another\. │ own-model │ 1 │ [\d,]+ │ 400 \+ 5 │ unknown", words(ask(log(60, more=[other]))))


def test_a_broken_log_is_refused_with_its_lines(log):
    path = log(60)
    path.write_text(path.read_text() + "\n{")
    refused = ask(path)
    assert refused.exit_code == 2 and "line 61: no JSON" in words(refused)
    assert not path.with_name("log.jsonl.replay").exists()
    assert ask(path, "--skip-broken").exit_code == 0
    assert ask(path.with_name("none.jsonl")).exit_code == 2


def test_what_comes_from_the_log_is_neither_markup_nor_html(log):
    sly = [entry(number, system="[red]x[/red]<script>alert(1)</script>") for number in range(70)]
    path = log(60, more=sly)
    result = ask(path, "--out", path.with_name("page"))
    assert "[red]x[/red]" in words(result)
    page = (path.with_name("page") / "replay.html").read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page
