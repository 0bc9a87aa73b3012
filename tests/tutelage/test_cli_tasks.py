"""`tutelage tasks`: from recorded requests without a task to one of the configuration."""

import time

import pytest
from typer.testing import CliRunner

from ledger.database import connect
from ledger.ingest import store
from ledger.standing import standing
from router.settings import load
from tests.ledger.test_prompts import unmatched
from tests.tutelage.test_unmatched import CONFIG
from tutelage.cli import app
from tutelage.unmatched import text_id

SORT = "Sort the mail."


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tutelage.yaml"
    path.write_text(
        CONFIG + f"# ours\nledger: {{url: 'sqlite:///{tmp_path}/ledger.db', spool_dir: {tmp_path}/spool}}\n"
    )
    at = time.time() - 1000
    store(connect(load(path).ledger.url), [unmatched(n, SORT, at=at + n) for n in range(120)])
    return path


def ask(config, *words):
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, [*map(str, words), "--config", str(config)])


def test_what_is_found_is_listed_with_the_command_and_in_the_status(config):
    shown = ask(config, "tasks")
    assert shown.exit_code == 0, shown.output
    assert text_id(SORT) in shown.stdout and "120" in shown.stdout  # the command is cut by a narrow terminal
    assert "students of one task without a name would save up to $" in ask(config, "status").stdout


def test_one_command_makes_it_a_task_with_its_history(config):
    made = ask(config, "tasks", "adopt", text_id(SORT), "--name", "mail", "--alpha", 0.1)
    assert made.exit_code == 0, made.output
    assert "120 recorded requests are its own" in made.stdout and "teachers.big.may_train" in made.stdout
    task = load(config).tasks["mail"]
    assert (task.teacher, task.alpha, task.measure, task.system_prompt) == ("big", 0.1, "exact", SORT)
    assert "# ours" in config.read_text()
    engine = connect(load(config).ledger.url)
    assert standing(engine, "mail", teacher="big", window_share=0.4).references == 48
    assert "every request of a client belongs to a task" in ask(config, "tasks").stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nothing", "--name", "mail"], "`tutelage tasks` shows their ids"),
        ([text_id(SORT), "--name", "desk"], "there is a task 'desk' already"),
        ([text_id(SORT), "--name", "big"], "a teacher has the same name"),
        ([text_id(SORT), "--name", "no name"], "tasks.no name"),
        ([text_id(SORT), "--name", "mail", "--agreement", "nearly"], "tasks.mail.measure"),
    ],
)
def test_what_cannot_be_a_task_is_refused_and_nothing_changes(config, words, why):
    before = config.read_text()
    refused = ask(config, "tasks", "adopt", *words)
    assert refused.exit_code == 2 and why in refused.stderr and config.read_text() == before
