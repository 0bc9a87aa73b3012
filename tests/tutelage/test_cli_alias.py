"""`tutelage unmatched` and `tutelage alias`: from a prompt nobody knows to one of a task's."""

import time

import pytest
from typer.testing import CliRunner

from ledger.aliases import in_force
from ledger.database import connect
from ledger.ingest import store
from router.settings import load
from tests.ledger.test_prompts import unmatched
from tests.tutelage.test_unmatched import CONFIG, DESK
from tutelage.cli import app
from tutelage.unmatched import text_id

EDITED = DESK.replace("one word", "[bold]a few[/bold] words")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tutelage.yaml"
    path.write_text(CONFIG + f"ledger: {{url: 'sqlite:///{tmp_path}/ledger.db', spool_dir: {tmp_path}/spool}}\n")
    store(engine(path), [unmatched(1, EDITED, at=time.time())])
    return path


def engine(config):
    return connect(load(config).ledger.url)


def ask(config, *words):
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, [*map(str, words), "--config", str(config)])


def kept(config):
    return [(each.kind, each.value, each.task) for each in in_force(engine(config))]


def test_what_is_unmatched_is_shown_as_it_is_with_the_id_to_take_it_by(config):
    shown = ask(config, "unmatched")
    assert shown.exit_code == 0 and "1 of 1 requests of the last 7 days (100.0%) belong to no task" in shown.stdout
    for words in (text_id(EDITED), "desk (", "{+[bold]a", "few[/bold]"):  # whole in the narrowest terminal
        assert words in shown.stdout


def test_an_alias_of_a_prompt_is_made_listed_and_removed(config):
    made = ask(config, "alias", "add", "desk", "--prompt", text_id(EDITED))
    assert made.exit_code == 0 and kept(config) == [("prompt", EDITED, "desk")]
    listed = ask(config, "alias", "list").stdout
    (alias,) = in_force(engine(config))
    assert alias.id in listed and "prompt" in listed
    assert ask(config, "alias", "remove", alias.id).exit_code == 0 and kept(config) == []


def test_a_prompt_may_come_from_a_file_and_a_name_from_the_command_line(config, tmp_path):
    (tmp_path / "prompt.txt").write_text("Name it.\n")
    assert ask(config, "alias", "add", "desk", "--prompt-file", tmp_path / "prompt.txt").exit_code == 0
    assert ask(config, "alias", "add", "till", "--model", "support v2").exit_code == 0
    assert kept(config) == [("prompt", "Name it.", "desk"), ("model", "support v2", "till")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "one of them"),
        (["--model", "a", "--prompt", "b"], "one of them"),
        (["--model", "till"], "'till' is a task's or a teacher's name already"),
        (["--model", "big"], "'big' is a task's or a teacher's name already"),
        (["--model", " a"], "printable characters"),
        (["--model", "a\nb"], "printable characters"),
        (["--model", "a" * 257], "printable characters"),
        (["--prompt", "nothing"], "`tutelage unmatched` shows their ids"),
        (["--prompt-file", "/nowhere"], "cannot be read as text"),
        (["--prompt-file", "/dev/null"], "is empty"),
    ],
)
def test_what_would_match_nothing_is_refused_and_nothing_changes(config, options, words):
    refused = ask(config, "alias", "add", "desk", *options)
    assert refused.exit_code == 2 and words in refused.stderr and kept(config) == []


def test_an_unknown_task_a_tasks_own_prompt_and_an_unknown_id_are_refused(config, tmp_path):
    (tmp_path / "own.txt").write_text(DESK)
    for words in (("add", "nobody", "--model", "a"), ("add", "till", "--prompt-file", tmp_path / "own.txt")):
        assert ask(config, "alias", *words).exit_code == 2
    assert "alias list" in ask(config, "alias", "remove", "alias-0").stderr
    assert kept(config) == []
