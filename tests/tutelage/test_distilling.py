"""Settings turned into a run: what has to be asked anew, and what an order is meant for."""

from types import SimpleNamespace

import pytest
import yaml
from typer.testing import CliRunner

from distill.adapters import AdapterError
from router.settings import load
from tutelage.cli import app
from tutelage.distilling import gateway_client, run_config, serving_now


@pytest.fixture
def settings_of(tmp_path, monkeypatch):
    """The starter's settings with changes to the task."""
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(app, ["init", "--task", "desk", "--base-model", "org/model"])

    def change(**task):
        path = tmp_path / "tutelage.yaml"
        values = yaml.safe_load(path.read_text())
        values["tasks"]["desk"] |= task
        path.write_text(yaml.safe_dump(values))
        return load(path)

    return change


def release(bound_to, name="desk--v000001"):
    return SimpleNamespace(name=name, task="desk", report={"bound_to": bound_to})


def test_recorded_answers_stand_where_teacher_and_prompt_are_as_they_were(settings_of):
    settings = settings_of(system_prompt="Be brief.")
    binding = settings.binding("desk")
    for before in (binding, {"teacher": binding["teacher"]}, {}):
        assert run_config(settings, "desk", reuse=release(before)).anew is None
    for name in ("teacher", "prompt"):
        assert run_config(settings, "desk", reuse=release({**binding, name: "other"})).anew.system_prompt == "Be brief."


def test_the_pattern_is_the_settings(settings_of):
    settings = settings_of()
    assert run_config(settings, "desk").pattern == settings.distill.pattern
    chosen = settings.model_copy(update={"distill": settings.distill.model_copy(update={"pattern": "preference"})})
    assert run_config(chosen, "desk").pattern == "preference"


def test_references_cost_what_the_tasks_own_share_says(settings_of):
    assert run_config(settings_of(rho=0.2), "desk").rho == 0.2


def test_a_compact_prompt_is_taught_and_bound_to_and_asks_no_teacher_anew(settings_of):
    full = settings_of(system_prompt="Be brief.")
    compact = settings_of(student_prompt="compact")
    assert run_config(full, "desk").train.unsaid is None and run_config(compact, "desk").train.unsaid == "Be brief."
    assert full.binding("desk") != compact.binding("desk")
    assert run_config(compact, "desk", reuse=release(full.binding("desk"))).anew is None


def test_without_a_prompt_of_its_own_a_task_is_asked_as_it_was(settings_of):
    settings = settings_of()
    binding = settings.binding("desk")
    assert run_config(settings, "desk", reuse=release({**binding, "prompt": "other"})).anew is None
    assert run_config(settings, "desk", reuse=release({**binding, "teacher": "other"})).anew.system_prompt is None


def test_what_served_while_requests_were_recorded_decides_and_not_whose_adapter_it_is(settings_of):
    settings = settings_of(system_prompt="Be brief.")
    binding = settings.binding("desk")
    before, now = release({**binding, "prompt": "other"}), release(binding, name="desk--v000002")
    assert run_config(settings, "desk", reuse=now, served=before).anew is not None
    assert run_config(settings, "desk", reuse=before, served=now).anew is None


def test_an_order_is_meant_for_the_settings_that_were_read(settings_of):
    settings = settings_of(prefix=8, max_tokens=100)
    assert gateway_client(settings)._bindings == {"desk": settings.binding("desk")}
    assert settings.binding("desk")["evidence"] == "prefix 8" and settings.binding("desk")["max_tokens"] == "100"


@pytest.mark.parametrize("away", [set(), {"engine"}, {"base_digest"}, {"engine", "base_digest"}])
def test_of_what_serves_one_that_is_away_hides_no_change_of_the_other(settings_of, monkeypatch, away):
    def answer(name):
        if name in away:
            raise AdapterError("away")
        return "1"

    monkeypatch.setattr("distill.adapters.AdapterServer.version", lambda _: answer("engine"))
    monkeypatch.setattr("distill.serving.base_digest", lambda _: answer("base_digest"))
    assert serving_now(settings_of()).keys() == {"engine", "base_digest"} - away
