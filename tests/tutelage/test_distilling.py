"""Settings turned into a run: what has to be asked anew, and what an order is meant for."""

import dataclasses
import shutil
from types import SimpleNamespace

import pytest
import yaml
from typer.testing import CliRunner

from distill.adapters import AdapterError, EngineDown, digest
from distill.again import Bounds
from distill.recital import note
from distill.worth import DAY_S, TOO_FEW, appraise
from ledger.database import connect
from ledger.ingest import store
from ledger.records import TeacherReply, Usage
from ledger.standing import standing
from router.distill_settings import DistillSettings
from router.settings import load
from tests.distill.test_fleet import Fleet
from tests.ledger.make import exchange
from tutelage.cli import app
from tutelage.distilling import (
    gateway_client,
    load_champion,
    load_champions,
    run_config,
    serving_now,
    terms,
    worth_in_words,
)


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


def test_each_setting_to_try_is_the_one_that_is_set_but_for_what_it_names(settings_of):
    chosen = DistillSettings(rank=8, learning_rate=5e-4, gpus=2, also_try=({"rank": 32}, {"learning_rate": 1e-4}))
    config = run_config(settings_of().model_copy(update={"distill": chosen}), "desk")
    assert (config.train.rank, config.train.alpha, config.train.learning_rate) == (8, 16, 5e-4)
    assert config.train.devices == 2
    assert config.also_try == (
        dataclasses.replace(config.train, rank=32, alpha=64),
        dataclasses.replace(config.train, learning_rate=1e-4),
    )


def test_nobody_is_asked_again_unless_it_is_set_and_labels_are_the_tasks(settings_of):
    config = run_config(settings_of(), "desk")
    assert config.again.questions == 0 and config.labels == ()
    settings = settings_of(labels=["refund", "delivery"])
    chosen = settings.distill.model_copy(update={"ask_again": 50, "ask_again_usd": 2.5})
    config = run_config(settings.model_copy(update={"distill": chosen}), "desk")
    assert (config.again, config.labels) == (Bounds(50, 2.5), ("refund", "delivery"))


def test_references_cost_what_the_tasks_own_share_says(settings_of):
    assert run_config(settings_of(rho=0.2), "desk").rho == 0.2


def test_what_a_student_is_worth_is_told_by_the_settings_as_the_worker_tells_it(settings_of, tmp_path):
    settings = settings_of(alpha=0.1, rho=0.2)
    dear = settings.distill.model_copy(update={"training_usd": 5.0, "training_usd_per_hour": 2.0, "max_rows": 700})
    settings = settings.model_copy(update={"distill": dear})
    found, config = terms(settings, settings.tasks["desk"]), run_config(settings, "desk")
    assert (found.alpha, found.rho, found.max_rows) == (0.1, 0.2, 700)
    assert found.training_usd == config.training_usd == 5.0
    assert found.training_usd_per_hour == config.training_usd_per_hour == 2.0
    engine = connect(f"sqlite:///{tmp_path}/other.db")
    assert worth_in_words(settings, engine, "desk", now=DAY_S) == TOO_FEW
    teacher = settings.tasks["desk"].teacher
    reply = TeacherReply(teacher, "refund", "stop", Usage(10, 1), 0.01, 0.2)
    store(engine, [exchange(n, teacher_reply=reply) for n in range(200)])
    rows = standing(engine, "desk", teacher=teacher, window_share=settings.distill.window_share).rows
    worth = appraise(engine, "desk", teacher=teacher, terms=found, rows=rows, now=DAY_S)
    assert worth_in_words(settings, engine, "desk", now=DAY_S) == worth.words and "at most" in worth.words


def test_a_run_is_told_the_terms_and_who_confirms_them(settings_of):
    settings = settings_of()
    name = settings.tasks["desk"].teacher
    changes = {"may_train": True, "terms": "section 3", "confirmed_by": "legal"}
    told = settings.teachers[name].model_copy(update=changes)
    found = run_config(settings.model_copy(update={"teachers": {name: told}}), "desk")
    assert found.permission == {"teacher": told.model, "terms": "section 3", "confirmed_by": "legal"}


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


@pytest.fixture
def champion(settings_of, monkeypatch, tmp_path):
    """Settings with two engines, and a release that was noted on them and then lost by their restart."""
    settings, fleet = settings_of(), Fleet(monkeypatch, "10.0.0.1", "10.0.0.2")
    urls = {
        "base_url": "http://student:8000",
        "load_url": "http://student-engines:8000",
        "adapters_dir": tmp_path / "a",
    }
    settings = settings.model_copy(update={"student": settings.student.model_copy(update=urls)})
    monkeypatch.setattr("distill.serving.base_digest", lambda _: "weights")
    folder = tmp_path / "a" / "desk--v000001"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"r": 16}')
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    fleet.server.load(folder.name, folder)
    note(fleet.server, folder.name, folder, tokens=[1, 2, 3])
    fleet.server.unload(folder.name)
    made = release({**settings.binding("desk"), "engine": "0.32.0", "base_digest": "weights"})
    made.adapter_digest, made.mismatch = digest(folder), lambda binding: None
    return settings, fleet, made


def test_a_champion_is_loaded_where_it_is_heard_to_be_served(champion):
    settings, fleet, made = champion
    assert load_champion(settings, made) == ""
    fleet.engines["10.0.0.2"].folders.clear()
    fleet.engines["10.0.0.2"].ignores = True  # it takes the adapter, and goes on with its base model
    words = load_champion(settings, made)
    assert "1 of 2 engines failed: http://10.0.0.2:8000" in words and "is the adapter applied" in words
    assert fleet.engines["10.0.0.2"].folders == {} and made.name in fleet.engines["10.0.0.1"].folders


def test_an_engine_that_is_down_keeps_no_other_from_a_champion(champion):
    settings, fleet, made = champion
    fleet.engines["10.0.0.1"].down = True
    assert "http://10.0.0.1:8000" in load_champion(settings, made)
    assert made.name in fleet.engines["10.0.0.2"].folders


@pytest.fixture
def in_force(champion, monkeypatch):
    """The same, with a second release of the same weights, as the ledger tells them."""
    settings, fleet, made = champion
    second = shutil.copytree(settings.student.adapters_dir / made.name, settings.student.adapters_dir / "desk--v000002")
    twin = release(made.report["bound_to"], name=second.name)
    twin.adapter_digest, twin.mismatch = made.adapter_digest, made.mismatch
    for each in (made, twin):
        each.task = "desk"
    monkeypatch.setattr("tutelage.distilling.in_force", lambda engine: [made, twin])
    fleet.asked.clear()
    return settings, fleet, [made.name, twin.name]


def test_at_each_look_every_engine_is_asked_its_version_once_and_what_is_known_is_not_read_again(in_force, monkeypatch):
    settings, fleet, names = in_force
    assert load_champions(settings, None) == dict.fromkeys(names, "")
    assert fleet.asked.count(("10.0.0.1", "/version")) == fleet.asked.count(("10.0.0.2", "/version")) == 1
    with monkeypatch.context() as closed:
        closed.setattr("distill.adapters.digest", None)
        assert load_champions(settings, None) == dict.fromkeys(names, "")
    (settings.student.adapters_dir / names[1] / "adapter_model.safetensors").write_bytes(b"altered")
    found = load_champions(settings, None)
    assert found[names[0]] == "" and "was altered" in found[names[1]]


@pytest.mark.parametrize("trouble", ["down", "mute"])
def test_a_sick_engine_keeps_no_other_from_the_champions(in_force, trouble):
    settings, fleet, names = in_force
    setattr(fleet.engines["10.0.0.1"], trouble, True)
    found = load_champions(settings, None)
    assert all("1 of 2 engines failed: http://10.0.0.1:8000" in found[name] for name in names)
    assert set(names) == fleet.engines["10.0.0.2"].folders.keys() and not fleet.engines["10.0.0.1"].folders
    assert [path for host, path in fleet.asked if host == "10.0.0.1"] == ["/version"]


def test_where_no_engine_answers_that_is_told_and_not_of_each_release(in_force):
    settings, fleet, _ = in_force
    for engine in fleet.engines.values():
        engine.down = True
    with pytest.raises(EngineDown, match="2 of 2"):
        load_champions(settings, None)
