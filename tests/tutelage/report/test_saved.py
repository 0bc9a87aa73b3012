"""What was saved in a period: the same figures in words, in a table, as CSV and on a page."""

import csv
import io
import re
import time

import pytest
import yaml
from typer.testing import CliRunner

from ledger.database import connect
from ledger.ingest import store
from ledger.keys import Grant, create
from ledger.records import Draft, Label, TeacherReply, Usage
from ledger.totals import HOUR_S
from router.settings import ConfigError, load
from tests.ledger.make import exchange, student_exchange
from tests.tutelage.test_cli_keys import VALUES
from tutelage.cli import app
from tutelage.console import console
from tutelage.report.saved import DAY_S, as_csv, as_page, gather, seconds
from tutelage.savings_words import in_words, interval, usd

NOW = 400.5 * DAY_S


@pytest.fixture
def config(tmp_path):
    """Two days of two tasks: 20 requests to the teacher at a cent, 100 answers of the student, half labelled."""
    path = tmp_path / "tutelage.yaml"
    path.write_text(yaml.safe_dump(VALUES))
    draft = Draft("refund", "stop", {}, Usage(98, 2), 0.0001)
    teacher = [exchange(n, at=NOW - DAY_S, task="till" if n % 2 else "desk", messages=[]) for n in range(20)]
    students = [student_exchange(100 + n, at=NOW - 60.0 - n % 3 * HOUR_S, draft=draft) for n in range(100)]
    reply = TeacherReply("big", "refund", "stop", Usage(50, 1), 0.01)
    labels = [Label(exchange_id=f"id-{100 + n:06d}", at=NOW, reply=reply) for n in range(50)]
    old = exchange(900, at=NOW - 10 * DAY_S)
    store(connect(load(path).ledger.url), [*teacher, *students, *labels, old])
    return path


def saved(config, *, task=None, period="7d"):
    settings = load(config)
    return gather(settings, connect(settings.ledger.url), task=task, since=NOW - seconds(period), until=NOW)


def test_it_is_told_in_a_line(config):
    words = in_words(saved(config).total)
    assert "120 requests, 100 of them answered by students" in words
    assert "the teacher alone would have cost $1.20, everything has cost $0.7100: $0.4900 saved, 40.8%" in words


def test_of_one_task_and_of_a_day(config):
    assert saved(config, task="till").total.requests == 10
    assert saved(config, period="12h").total.requests == 100
    with pytest.raises(ConfigError):
        saved(config, task="nobody")


def test_the_csv_adds_up_to_the_total(config):
    lines = list(csv.DictReader(io.StringIO(as_csv(saved(config)))))
    assert [(line["day"], line["task"]) for line in lines] == [
        ("1971-02-04", "desk"),
        ("1971-02-04", "till"),
        ("1971-02-05", "desk"),
    ]
    assert sum(float(line["saved_usd"]) for line in lines) == pytest.approx(0.49)
    assert float(lines[2]["reference_usd"]) == pytest.approx(0.5)


def test_the_page_needs_nothing_else(config):
    page = as_page(saved(config))
    assert page.count("<svg") == 2 and not re.search(r"(src|href)=.http|<script|url\(http", page)
    assert "$0.4900 saved" in page and "till" in page


def test_an_empty_ledger_has_saved_nothing(tmp_path):
    path = tmp_path / "tutelage.yaml"
    path.write_text(yaml.safe_dump(VALUES))
    found = saved(path)
    assert in_words(found.total) == "nothing was asked"
    assert as_csv(found).count("\n") == 1 and "nothing was asked" in as_page(found)


def test_of_few_references_no_more_is_claimed_than_is_known(config):
    settings = load(config)
    engine = connect(settings.ledger.url)
    students = [student_exchange(5000 + n, task="till", at=NOW - 50.0) for n in range(10)]
    reply = TeacherReply("big", "a", "stop", Usage(50, 1), 0.01)
    store(engine, [*students, Label(exchange_id="id-005000", at=NOW, reply=reply)])
    found = gather(settings, engine, task="till", since=NOW - HOUR_S, until=NOW).total
    assert "too few references" in interval(found) and "roughly" in interval(found)


@pytest.mark.parametrize("period", ["", "7", "d", "0d", "-1d", "1.5d", "7 d", "7y", "999999d"])
def test_what_is_no_period_is_refused(period):
    with pytest.raises(ConfigError, match="period"):
        seconds(period)


def test_periods_are_hours_days_and_weeks():
    assert (seconds("24h"), seconds("7d"), seconds("2w")) == (DAY_S, 7 * DAY_S, 14 * DAY_S)


def test_sums_have_their_sign_before_the_dollar():
    amounts = (0.0, 0.01234, -0.5, 1234.567, 1.4e-6)
    assert [usd(each) for each in amounts] == ["$0.00", "$0.0123", "-$0.5000", "$1,234.57", "$0.0000014"]


def ask(config, *words):
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, ["report", *words, "--config", str(config)])


def test_the_command_writes_what_it_is_asked_for(config, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOW)
    told = ask(config, "--period", "7d", "--html", str(tmp_path / "a.html"), "--csv", str(tmp_path / "a.csv"))
    assert told.exit_code == 0 and "$0.4900 saved, 40.8%" in " ".join(told.stdout.split())
    assert (tmp_path / "a.html").read_text().startswith("<!") and (tmp_path / "a.csv").read_text().count("\n") == 4


@pytest.fixture
def wide(monkeypatch):
    """A terminal that cuts no table, whatever was printed before."""
    monkeypatch.setattr(console, "_width", 300)


@pytest.mark.usefixtures("wide")
def test_a_line_for_each_key(config, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOW)
    engine = connect(load(config).ledger.url)
    key, _ = create(engine, Grant("shop"), now=1.0)
    store(engine, [exchange(700 + n, at=NOW - 90.0, key=key.id, messages=[]) for n in range(4)])
    told = ask(config, "--period", "7d", "--by", "key", "--html", f"{tmp_path}/a.html", "--csv", f"{tmp_path}/a.csv")
    words = " ".join(told.stdout.split())
    assert told.exit_code == 0 and f"{key.id} (shop) │ 4 │ 0 (0%) │ $0.0400 │ $0.0400" in words, told.stdout
    assert "(no key, and for all) │ 120 │ 100 (83%) │ $1.20" in words and "all │ 124 │ 100 (81%) │ $1.24" in words
    page = (tmp_path / "a.html").read_text()
    assert "By key" in page and f"{key.id} (shop)" in page and "in the line of none" in page
    lines = list(csv.DictReader((tmp_path / "a.csv").open()))
    of_key = next(line for line in lines if line["key"] == f"{key.id} (shop)")
    assert (of_key["requests"], of_key["teacher_prompt_tokens"], of_key["saved_usd"]) == ("4", "40", "0.0")


@pytest.mark.usefixtures("wide")
def test_a_line_for_each_release(config, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOW)
    words = " ".join(ask(config, "desk", "--period", "7d", "--by", "release").stdout.split())
    assert "desk--v000001 │ 100 │ 100 (100%) │ $1.00 │ $0.5100 │ $0.4900 (49%) │ $0.4900 to $0.4900" in words


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "name a task"),
        (["desk", "--by", "key"], "say --period"),
        (["--period", "7d", "--by", "colour"], "colour"),
        (["desk", "--csv", "a.csv"], "say --period"),
        (["--period", "soon"], "no period"),
        (["--period", "7d", "--csv", "/proc/no/a.csv"], "/proc/no/a.csv"),
    ],
)
def test_what_makes_no_sense_is_said(config, words, why):
    told = ask(config, *words)
    assert told.exit_code == 2 and why in told.stderr
