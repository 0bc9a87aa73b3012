"""An invoice beside the ledger: equal to the cent, and what differs is named."""

from datetime import date

import pytest
import yaml
from typer.testing import CliRunner

from ledger.database import connect
from ledger.ingest import store
from ledger.records import Label, TeacherReply, Usage
from router.settings import ConfigError, load
from tests.ledger.make import exchange, student_exchange
from tests.tutelage.test_cli_keys import VALUES
from tutelage.cli import app
from tutelage.reconciling import plain, read, reconcile

DAY_S = 86400.0
FIRST = date(2026, 3, 1)
AT = 1772323200.0  # its midnight in UTC
SMALL = {"small": {"model": "anthropic/claude-small-20260101"}}


@pytest.fixture
def config(tmp_path):
    """Three dollars of big on the first day, a label of one after midnight, and something imported."""
    path = tmp_path / "tutelage.yaml"
    path.write_text(yaml.safe_dump({**VALUES, "teachers": {**VALUES["teachers"], **SMALL}}))
    big = [exchange(n, at=AT + n, teacher_reply=TeacherReply("big", "a", "stop", Usage(9, 1), 1.0)) for n in range(3)]
    late = student_exchange(10, at=AT + DAY_S - 1)
    label = Label(exchange_id=late.id, at=AT + DAY_S + 1, reply=TeacherReply("big", "a", "stop", Usage(9, 1), 1.0))
    store(connect(load(path).ledger.url), [*big, late, label, exchange(20, at=AT, origin="import")])
    return path


def write(tmp_path, *lines):
    path = tmp_path / "invoice.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def compare(config, invoice):
    settings = load(config)
    return reconcile(settings, connect(settings.ledger.url), invoice)


def test_what_agrees_differs_nowhere(config, tmp_path):
    invoice = write(
        tmp_path, "date,model,usd", "2026-03-01,big,2.00", "2026-03-01,big-2026-01-01,1", "2026-03-02,big,1.0"
    )
    found = compare(config, invoice)
    assert [(line.day.day, line.model, line.invoice_usd, line.ledger_usd) for line in found.lines] == [
        (1, "big", 3.0, 3.0),
        (2, "big", 1.0, 1.0),
    ]
    assert not found.differing(0.0)


def test_what_differs_is_named_by_day_and_model(config, tmp_path):
    found = compare(config, write(tmp_path, "date,model,usd", "2026-03-01,big,3.10", "2026-03-02,other,5"))
    assert [(line.day.day, line.model, round(line.difference_usd, 2)) for line in found.differing(0.01)] == [
        (1, "big", 0.1),
        (2, "big", -1.0),
        (2, "other", 5.0),
    ]
    assert [line.model for line in found.differing(0.05)] == ["big", "other"]


def test_exports_of_a_provider_are_read(tmp_path):
    path = write(
        tmp_path,
        "start_time,start_time_iso,amount_value,amount_currency,line_item",
        f'{AT:.0f},2026-03-01T00:00:00+00:00,"$1,000.50",usd,"gpt-4o-mini-2024-07-18, input"',
        f'{AT:.0f},2026-03-01T02:00:00+03:00,0.5,USD,"gpt-4o-mini-2024-07-18, output"',
    )
    assert read(path) == {(FIRST, "gpt-4o-mini"): 1000.5, (date(2026, 2, 28), "gpt-4o-mini"): 0.5}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("openai/gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("anthropic/claude-small-20260101", "claude-small"),
        ("GPT-4o-mini, input", "gpt-4o-mini"),
        ("gpt-4-0613", "gpt-4"),
        ("openrouter/meta/llama-3", "llama-3"),
    ],
)
def test_models_are_compared_without_provider_and_version(model, name):
    assert plain(model) == name


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["date,model,usd,currency", "2026-03-01,big,3,EUR"], r":2: in 'EUR'"),
        (["date,model,usd", "yesterday,big,3"], r":2: 'yesterday' is no date"),
        (["date,model,usd", "2026-03-01,big,much"], r":2: 'much' is no amount"),
        (["date,model,usd", "2026-03-01,big,nan"], r":2: 'nan' is no amount"),
        (["date,model,usd", '2026-03-01,big,"3,50"'], r":2: '3,50' is no amount"),
        (["date,model,usd", "2026-03-01,big,"], r":2: '' is no amount"),
        (["date,model", "2026-03-01,big"], "none of the columns usd"),
        (["date,model,usd"], "no lines"),
        ([""], "none of the columns date"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_its_line(tmp_path, lines, why):
    with pytest.raises(ConfigError, match=why):
        read(write(tmp_path, *lines))


def test_the_command_ends_with_three_where_they_differ(config, tmp_path):
    def ask(*lines):
        invoice = write(tmp_path, "date,model,usd", *lines)
        return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["reconcile", str(invoice), "--config", str(config)])

    same = ask("2026-03-01,big,3", "2026-03-02,big,1")
    assert same.exit_code == 0 and "invoice $4.00, ledger $4.00" in same.stdout
    other = ask("2026-03-01,big,3", "2026-03-02,stranger,1")
    assert other.exit_code == 3 and "asked past the gateway" in other.stdout
