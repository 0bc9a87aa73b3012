"""`tutelage keys`: what is printed where, and what is refused."""

import time

import pytest
import yaml
from typer.testing import CliRunner

from ledger.budgets import Budget
from ledger.database import connect
from ledger.keys import all_keys, digest
from router.settings import load
from tutelage.cli import app
from tutelage.console import console

VALUES = {
    "server": {"api_key": "boot"},
    "teachers": {"big": {"model": "openai/big"}},
    "student": {"base_model": "m", "price": {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.2}},
    "tasks": {"desk": {"teacher": "big"}, "till": {"teacher": "big"}},
}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tutelage.yaml"
    path.write_text(yaml.safe_dump(VALUES))
    return path


def ask(config, *words):
    runner = CliRunner(env={"COLUMNS": "300"})
    return runner.invoke(app, ["keys", *map(str, words), "--config", str(config)])


def stored(config):
    return all_keys(connect(load(config).ledger.url))


def test_a_key_is_printed_alone_to_be_piped_and_stored_as_a_digest(config):
    options = ["--task", "desk", "--task", "till", "--rpm", 60, "--streams", 2, "--budget-usd", 5, "--per", "day"]
    made = ask(config, "create", "shop", *options)
    (key,) = stored(config)
    assert made.exit_code == 0 and made.stdout.count("\n") == 1 and digest(made.stdout.strip()) == key.digest
    assert key.id in made.stderr and made.stdout.strip() not in made.stderr
    assert (key.grant.name, key.grant.role, key.grant.tasks) == ("shop", "client", ("desk", "till"))
    assert (key.grant.rpm, key.grant.tpm, key.grant.streams) == (60, None, 2)
    assert key.grant.budget == Budget(5.0, "day") and key.expires_at is None


def test_the_list_shows_everything_but_secrets(config):
    secret = ask(config, "create", "shop", "--task", "desk", "--tpm", 900, "--expires", "2999-01-31").stdout.strip()
    shown = ask(config, "list").stdout
    (key,) = stored(config)
    for word in (key.id, "shop", "desk"):  # whole in the narrowest terminal
        assert word in shown
    assert secret not in shown and key.digest not in shown
    assert time.gmtime(key.expires_at)[:3] == (2999, 1, 31)


def test_a_rotated_key_has_its_grace_and_a_revoked_one_none(config):
    ask(config, "create", "shop")
    (old,) = stored(config)
    rotated = ask(config, "rotate", old.id, "--grace-hours", 2)
    before, new = stored(config)
    assert digest(rotated.stdout.strip()) == new.digest and new.replaces == old.id
    assert before.expires_at == pytest.approx(time.time() + 7200, abs=60)
    revoked = ask(config, "revoke", new.id)
    assert (revoked.exit_code, revoked.stdout) == (0, "") and "is revoked" in revoked.stderr
    assert stored(config)[1].revoked_at is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "shop", "--task", "nobody"), "no task named 'nobody' under tasks (known: desk, till)"),
        (("create", "shop", "--expires", "2001-01-01"), "would have expired already"),
        (("create", "shop", "--expires", "soon"), "'soon' is no ISO 8601 time"),
        (("create", "shop", "--budget-usd", "-1"), "--budget-usd: a budget must be finite and above 0"),
        (("create", "shop", "--budget-usd", "nan"), "--budget-usd: a budget must be finite"),
        (("create", "", "--role", "worker"), "a key's name has 1 to 64 characters"),
        (("create", "a\x1b[31m"), "none of them a control character"),
        (("create", "loop", "--role", "worker", "--rpm", "5"), "limits and budgets are for keys of the role client"),
        (("revoke", "key-no"), "no key 'key-no': `tutelage keys list` shows the ids"),
        (("rotate", "key-no"), "no key 'key-no'"),
    ],
)
def test_what_cannot_be_done_is_said_beside_the_output(config, words, said):
    found = ask(config, *words)
    assert (found.exit_code, found.stdout) == (2, "")
    assert said in " ".join(found.stderr.split()) and stored(config) == []


@pytest.mark.parametrize("words", [("--rpm", "0"), ("--role", "king"), ("--per", "week"), ("--streams", "9999")])
def test_values_outside_their_range_are_refused(config, words):
    found = ask(config, "create", "shop", *words)
    assert found.exit_code == 2 and words[0] in found.stderr and stored(config) == []


def test_the_first_key_of_an_open_gateway_comes_with_a_warning(config):
    config.write_text(yaml.safe_dump({**VALUES, "server": {}}))
    made = ask(config, "create", "shop")
    assert made.exit_code == 0 and "TUTELAGE_SERVER__API_KEY for the worker" in made.stderr


def test_processes_that_count_by_themselves_limit_no_key(config):
    config.write_text(yaml.safe_dump({**VALUES, "server": {"workers": 3}}))
    found = ask(config, "create", "shop", "--rpm", 5)
    assert found.exit_code == 2 and "server.limits_url" in found.stderr and stored(config) == []
    assert ask(config, "create", "shop", "--budget-usd", 5).exit_code == 0  # the ledger counts for all


def test_a_key_that_teaches_nothing_says_so_in_the_list(config, monkeypatch):
    ask(config, "create", "shop", "--no-train")
    monkeypatch.setattr(console, "width", 300)
    assert not stored(config)[0].grant.teaches and "teaches nothing" in ask(config, "list").stdout
