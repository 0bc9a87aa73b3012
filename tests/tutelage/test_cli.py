import pytest
import yaml
from typer.testing import CliRunner

from distill.worth import TOO_FEW
from ledger import releases
from ledger.database import connect
from ledger.decisions import Decision, latest, record
from ledger.ended import set_deleted
from router.settings import load
from tests.ledger.make import certified
from tutelage import cli_serve, gpus
from tutelage.cli import app


@pytest.fixture
def config(tmp_path):
    """A configuration as `tutelage init` writes it."""
    path = tmp_path / "tutelage.yaml"
    assert ask("init", "--base-model", "org/model", "--task", "desk", "--config", path).exit_code == 0
    return path


def ask(*words):
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, [str(word) for word in words])


def words(result):
    return " ".join(result.output.split())


def promoted(config, *, step=releases.promote):
    settings = load(config)
    engine = connect(settings.ledger.url)
    name = releases.add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=1.0).name
    values = certified(bound_to=settings.binding("desk"), threshold=0.9, coverage=0.7)
    step(engine, name, values=values, now=2.0)
    return name


def test_a_trial_is_told_wherever_releases_are_and_a_rollback_ends_it(config):
    champion, canary = promoted(config), promoted(config, step=releases.try_out)
    trial = f"{canary} answers 10% of the conversations: 0 of 200 requests"
    for command in (["releases", "list", "desk"], ["releases", "show", canary], ["status"]):
        told = ask(*command, "--config", config).output.replace("│", " ")  # a table's cell takes several lines
        told = " ".join(told.split())
        assert trial in told and "at the latest if 10 have come, else some time after that" in told, command
    assert trial not in words(ask("releases", "show", champion, "--config", config))
    ended = ask("releases", "rollback", "desk", "--config", config)
    assert (ended.exit_code, words(ended)) == (0, f"{canary} is tried no more, {champion} goes on")
    again = promoted(config, step=releases.try_out)
    assert ask("releases", "promote", again, "--config", config).exit_code == 0
    assert releases.champions(connect(load(config).ledger.url))["desk"].name == again


def test_init_writes_a_configuration_that_loads_and_forbids_training(config):
    settings = load(config)
    assert settings.teachers["gpt-4o-mini"].model == "openai/gpt-4o-mini"
    assert settings.teachers["gpt-4o-mini"].api_key_env == "OPENAI_API_KEY"
    assert not settings.teachers["gpt-4o-mini"].may_train
    assert settings.student.base_model == "org/model"


def test_init_overwrites_nothing(config):
    before = config.read_text()
    again = ask("init", "--base-model", "other", "--config", config)
    assert (again.exit_code, config.read_text()) == (2, before)
    assert "exists; it is not overwritten" in words(again)


def test_up_with_a_teacher_that_the_configuration_does_not_name_is_told_what_to_do(config):
    said = ask("up", "--teacher", "openai/gpt-4o", "--config", config)
    assert said.exit_code == 2 and "leave --teacher out" in words(said)


def test_up_asks_for_a_missing_key_before_it_installs_anything(config, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    said = ask("up", "--teacher", "openai/gpt-4o-mini", "--config", config)  # the configuration's own teacher
    assert said.exit_code == 2 and "the environment variable OPENAI_API_KEY (api_key_env) is not set" in words(said)


def test_status_of_nothing_says_how_to_start_and_how_the_tasks_stand(config):
    said = ask("status", "--config", config)
    assert said.exit_code == 1 and "start it with `tutelage up`" in words(said)
    assert "desk: no release in force" in words(said)


def test_decisions_are_listed_with_their_reasons(config):
    record(connect(load(config).ledger.url), Decision(1.0, "desk", "wait", "rows", "3 of 1000 rows"))
    listed = words(ask("decisions", "desk", "--config", config))
    assert "wait" in listed and "3 of 1000 rows" in listed and "Thu 01 Jan 00:00 UTC" in listed


@pytest.mark.parametrize(
    "command", [["up"], ["distill", "run", "desk"], ["decisions", "desk"], ["releases", "list", "desk"]]
)
def test_an_unreadable_configuration_ends_a_command_with_its_path(command, tmp_path):
    missing = ask(*command, "--config", tmp_path / "none.yaml")
    assert missing.exit_code == 2 and "none.yaml: no such file; `tutelage init` writes one" in words(missing)
    broken = tmp_path / "broken.yaml"
    broken.write_text("tasks: [")
    assert "broken.yaml: not a readable YAML mapping" in words(ask(*command, "--config", broken))


def test_a_wrong_key_is_named_without_its_value(config):
    values = yaml.safe_load(config.read_text())
    values["tasks"]["desk"]["alhpa"] = "sk-secret"
    config.write_text(yaml.safe_dump(values))
    said = ask("releases", "list", "desk", "--config", config)
    assert said.exit_code == 2 and "tasks.desk.alhpa" in words(said) and "sk-secret" not in said.output


def test_distilling_without_permission_is_refused_with_what_to_set(config):
    refused = ask("distill", "run", "desk", "--config", config)
    assert refused.exit_code == 2 and "set teachers.gpt-4o-mini.may_train: true" in words(refused)


@pytest.mark.parametrize("decided", [True, False])
def test_a_run_that_fails_tells_the_worker_why_and_a_person_directly(config, decided):
    values = yaml.safe_load(config.read_text())
    values["teachers"]["gpt-4o-mini"] |= {"may_train": True, "terms": "https://terms", "confirmed_by": "the test"}
    config.write_text(yaml.safe_dump(values))
    said = ask("distill", "run", "desk", *(["--decided"] if decided else []), "--config", config)
    assert said.exit_code == 2 and "no eligible request is recorded" in said.stderr
    found = [(each.action, each.trigger, each.reason) for each in latest(connect(load(config).ledger.url), "desk")]
    if decided:
        ((action, trigger, reason),) = found
        assert (action, trigger) == ("wait", "failed") and "HarvestError: no eligible request is recorded" in reason
    else:
        assert found == [("train", "hand", f"a person has asked for it: {TOO_FEW}")]
        assert TOO_FEW in words(said)


def test_more_gpus_than_there_are_are_not_looked_for_in_vain(config, monkeypatch):
    monkeypatch.setattr(gpus, "gpus", lambda: 1)
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "distill": {"gpus": 4}}))
    said = ask("distill", "run", "desk", "--config", config)
    assert said.exit_code == 2 and "distill.gpus is 4, and 1 are visible here" in words(said)


@pytest.mark.parametrize("command", ["distill run", "releases list", "releases rollback", "decisions"])
def test_an_unknown_task_is_named_beside_the_known_ones(config, command):
    said = ask(*command.split(), "dsek", "--config", config)
    assert said.exit_code == 2 and "no task named 'dsek' under tasks (known: desk)" in words(said)


def test_releases_are_listed_and_rolled_back(config):
    name = promoted(config)
    listed = words(ask("releases", "list", "desk", "--config", config))
    assert name in listed and "champion" in listed and "0.7000" in listed
    rolled = ask("releases", "rollback", "desk", "--config", config)
    assert (rolled.exit_code, words(rolled)) == (0, "desk: no release is in force, the teacher answers")
    assert "rolled_back" in words(ask("releases", "list", "desk", "--config", config))
    again = ask("releases", "rollback", "desk", "--config", config)
    assert again.exit_code == 2 and "no release of desk is in force" in words(again)


def test_rolled_back_to_a_release_that_vllm_cannot_serve_the_teacher_answers_and_that_is_said(config):
    first, _ = promoted(config), promoted(config)
    rolled = ask("releases", "rollback", "desk", "--config", config)
    assert rolled.exit_code == 0 and f"{first} is the champion again, and until this is mended the" in words(rolled)


def test_what_has_lost_its_adapter_is_not_promoted_and_nothing_is_changed(config):
    first, second = promoted(config), promoted(config)
    settings = load(config)
    (settings.student.adapters_dir / second).mkdir(parents=True)
    said = ask("releases", "promote", first, "--config", config)
    assert said.exit_code == 2 and f"{first} cannot be put in force: its adapter is not in" in words(said)
    assert releases.champions(connect(settings.ledger.url))["desk"].name == second
    (settings.student.adapters_dir / first).mkdir()
    assert ask("releases", "promote", first, "--config", config).exit_code == 0


def test_a_deleted_adapter_is_shown_and_its_release_is_not_promoted(config):
    first, _ = promoted(config), promoted(config)
    engine = connect(load(config).ledger.url)
    assert set_deleted(engine, [first], before=1e9) == {first}
    shown = ask("releases", "show", first, "--config", config).output.replace("│", " ")
    assert "its adapter was deleted, since nothing needed it" in " ".join(shown.split())
    said = ask("releases", "promote", first, "--config", config)
    assert said.exit_code == 2 and "promote another release, or have the next one made" in words(said)


def test_a_release_is_put_in_force_by_its_name(config):
    first, second = promoted(config), promoted(config)
    said = ask("releases", "promote", first, "--config", config)
    assert said.exit_code == 0 and f"{first} is the champion, and until this is mended the teacher" in words(said)
    again = ask("releases", "promote", first, "--config", config)
    assert again.exit_code == 2 and f"{first} is champion" in words(again)
    unknown = ask("releases", "promote", "desk--v000009", "--config", config)
    assert unknown.exit_code == 2 and "desk--v000009" in words(unknown)
    assert second in words(ask("releases", "list", "desk", "--config", config))


def test_a_part_is_started_in_place_of_the_command(config, monkeypatch):
    started = []
    monkeypatch.setattr(cli_serve.os, "execvpe", lambda *call: started.append(call))
    ask("serve", "gateway", "--config", config)
    assert started[0][1][1:] == ["-m", "router", str(config)]
