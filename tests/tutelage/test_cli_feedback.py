"""`tutelage feedback`: one word or many, all of them or none."""

import pytest
import sqlalchemy as sa
import yaml
from typer.testing import CliRunner

from ledger.database import connect
from ledger.ingest import store
from ledger.schema import feedback
from router.settings import load
from tests.ledger.make import exchange
from tests.tutelage.test_cli_keys import VALUES
from tutelage.cli import app


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tutelage.yaml"
    path.write_text(yaml.safe_dump(VALUES))
    store(connect(load(path).ledger.url), [exchange(1), exchange(2)])
    return path


def ask(config, *words):
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, ["feedback", *map(str, words), "--config", str(config)])


def kept(config):
    with connect(load(config).ledger.url).connect() as connection:
        rows = connection.execute(sa.select(feedback).order_by(feedback.c.exchange_id))
        return [(row.exchange_id, row.good, row.correction) for row in rows]


def test_one_answer_is_called_good_or_wrong_or_corrected(config):
    for words, found in (
        (["--good"], (True, None)),
        (["--wrong"], (False, None)),
        (["--correction", "refund"], (False, "refund")),
    ):
        assert ask(config, "id-000001", *words).exit_code == 0
        assert kept(config) == [("id-000001", *found)]


def test_many_come_from_a_file(config, tmp_path):
    file = tmp_path / "said.jsonl"
    file.write_text('{"exchange_id":"id-000001","good":true}\n\n{"exchange_id":"id-000002","correction":"x"}\n')
    assert "2 answers" in ask(config, "--file", file).stdout
    assert kept(config) == [("id-000001", True, None), ("id-000002", False, "x")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"exchange_id":"id-000009","good":true}', "no exchange 'id-000009'"),
        ('{"exchange_id":"id-000002"}', "line 2: say whether"),
        ('{"exchange_id":"id-000002","good":true,"correction":"x"}', "line 2: say whether"),
        ('{"exchange_id":"id-000002","correction":" "}', "line 2: say whether"),
        ('{"exchange_id":"id-000002","rating":5}', "line 2: "),
        ("nonsense", "line 2: "),
    ],
)
def test_a_file_with_one_broken_line_changes_nothing(config, tmp_path, *, line, words):
    file = tmp_path / "said.jsonl"
    file.write_text('{"exchange_id":"id-000001","good":true}\n' + line + "\n")
    refused = ask(config, "--file", file)
    assert refused.exit_code == 2 and words in refused.stderr and kept(config) == []


@pytest.mark.parametrize("words", [(), ("id-000001",), ("id-000001", "--good", "--file", "x"), ("--file", "missing")])
def test_it_has_to_be_said_what_and_of_what(config, words):
    assert ask(config, *words).exit_code == 2 and kept(config) == []
