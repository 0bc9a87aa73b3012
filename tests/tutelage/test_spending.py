"""What is left of budgets, in words."""

import yaml
from typer.testing import CliRunner

from ledger.budgets import Budget, of_key, of_task, reserve, settle
from ledger.database import connect, writing
from ledger.keys import Grant, create, rotate
from ledger.totals import charge
from router.settings import load
from tests.tutelage.test_cli_keys import VALUES
from tutelage.cli import app
from tutelage.spending import machine, spending

NOW = 1_800_000_000.0


def test_every_budget_has_its_line_and_one_that_is_short_a_warning(tmp_path):
    config = tmp_path / "tutelage.yaml"
    values = {**VALUES, "server": {"budget_usd": 100.0, "budget_per": "total"}}
    values["tasks"] = {"desk": {"teacher": "big", "budget_usd": 1.0, "budget_per": "day"}, "till": {"teacher": "big"}}
    config.write_text(yaml.safe_dump(values))
    settings = load(config)
    engine = connect(settings.ledger.url)
    key, _ = create(engine, Grant("shop", budget=Budget(5.0, "month")), now=NOW)
    new, _ = rotate(engine, key.id, now=NOW + 1, grace_s=60.0)
    create(engine, Grant("free"), now=NOW)
    scopes = [("total", settings.server.budget), (of_task("desk"), settings.tasks["desk"].budget)]
    scopes.append((of_key(key.account), key.grant.budget))
    reserve(engine, "a", scopes, usd=0.9, now=NOW, lease_s=60.0)
    settle(engine, "a", usd=0.9)
    reserve(engine, "b", scopes, usd=0.09, now=NOW, lease_s=60.0)
    assert list(spending(settings, engine, now=NOW + 1)) == [
        "budget of everything: $0.9000 spent and $0.0900 reserved of $100.00 in all, $99.01 left",
        "WARNING: budget of task desk: $0.9000 spent and $0.0900 reserved of $1.00 today, $0.0100 left: no references "
        "are drawn, so that the alarm hears nothing of what students answer",
        f"budget of {new.id} (shop): $0.9000 spent and $0.0900 reserved of $5.00 this month, $4.01 left",
    ]


def test_status_shows_them(tmp_path):
    config = tmp_path / "tutelage.yaml"
    config.write_text(yaml.safe_dump({**VALUES, "server": {"budget_usd": 100.0}}))
    connect(load(config).ledger.url)
    found = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["status", "--config", str(config)])
    assert "budget of everything: $0.00 spent of $100.00 this month, $100.00 left" in found.output


def test_a_machine_by_the_hour_has_its_line(tmp_path):
    config = tmp_path / "tutelage.yaml"
    student = {"base_model": "m", "usd_per_hour": 2.5}
    config.write_text(yaml.safe_dump({**VALUES, "student": student}))
    settings = load(config)
    engine = connect(settings.ledger.url)
    with writing(engine) as connection:
        for task, usd in (("desk", 10.0), ("", 5.0)):
            charge(connection, task, origin="machine", usd=usd, at=NOW - 7200.0)
    words = "the student's machine: $2.50 an hour, $15.00 in these days, $5.00 of it while no task had a student"
    assert machine(settings, engine, now=NOW) == words
    by_token = settings.model_copy(update={"student": settings.student.model_copy(update={"usd_per_hour": None})})
    assert machine(by_token, engine, now=NOW) is None
