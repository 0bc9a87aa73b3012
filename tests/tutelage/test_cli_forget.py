"""`tutelage forget`: told first, done when asked to, and never half."""

import pytest
import yaml
from typer.testing import CliRunner

from distill.checkpoints import ABOUT, FOLDER
from ledger.database import connect
from ledger.ended import FORGOTTEN
from ledger.ingest import store
from ledger.leases import held, run_lease
from ledger.queries import Use, record_uses
from ledger.releases import add_candidate, get, promote, set_adapter
from ledger.schema import exchanges
from router.settings import load
from tests.ledger.make import certified, exchange
from tests.tutelage.test_cli_keys import VALUES
from tutelage.cli import app
from tutelage.standing import describe

TAUGHT = "id-000001"


@pytest.fixture
def config(tmp_path):
    """A champion that has learned from the first of two exchanges."""
    path = tmp_path / "tutelage.yaml"
    student = {**VALUES["student"], "adapters_dir": str(tmp_path / "adapters"), "port": 1}
    path.write_text(yaml.safe_dump({**VALUES, "student": student}))
    store(engine(path), [exchange(1), exchange(2)])
    made = add_candidate(engine(path), task="desk", cut_at=50.0, base_model="m", now=60.0)
    adapter = tmp_path / "adapters" / made.name
    adapter.mkdir(parents=True)
    set_adapter(engine(path), made.name, path=str(adapter), digest="d")
    record_uses(engine(path), release=made.name, uses=[Use(TAUGHT, "train")])
    promote(engine(path), made.name, values=certified(), now=70.0)
    return path


def engine(config):
    return connect(load(config).ledger.url)


def ask(config, *words):
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, ["forget", *words, "--config", str(config)])


def champion(config):
    return get(engine(config), "desk--v000001")


def left(config):
    with engine(config).connect() as connection:
        query = exchanges.select().where(exchanges.c.prompt_fingerprint != FORGOTTEN)
        return {row.id for row in connection.execute(query)}


def test_it_is_told_first_and_changes_nothing(config, tmp_path):
    told = ask(config, "--exchange", TAUGHT)
    assert told.exit_code == 0 and "1 exchanges of desk" in told.stdout and "say --yes" in told.stdout
    assert "desk--v000001 (champion) has learned from some" in told.stdout
    assert champion(config).status == "champion" and len(left(config)) == 2
    assert (tmp_path / "adapters" / "desk--v000001").is_dir()


def test_the_exchange_the_adapter_and_its_release_are_gone(config, tmp_path):
    assert ask(config, "--exchange", TAUGHT, "--yes").exit_code == 0
    assert left(config) == {"id-000002"} and champion(config).status == "forgotten"
    assert list((tmp_path / "adapters").iterdir()) == []


def test_it_tells_what_serves_then_and_that_a_student_is_trained_again(config):
    told = ask(config, "--exchange", TAUGHT)
    assert "desk: the teacher answers" in told.stdout and "desk: another student is trained" in told.stdout
    assert "retraining is due" not in told.stdout
    done = ask(config, "--exchange", TAUGHT, "--yes").stdout
    assert "it is retired, and its adapter is deleted" in done and "none is trained" in done
    values = yaml.safe_load(config.read_text())
    values["teachers"]["big"] |= {"may_train": True, "terms": "they allow it", "confirmed_by": "us"}
    config.write_text(yaml.safe_dump(values))
    settings = load(config)
    assert any("retraining is due: desk--v000001" in words for words in describe(settings, engine(config), now=200.0))


def test_the_release_before_serves_again_and_what_keeps_it_from_that_is_told(config, monkeypatch):
    record_uses(engine(config), release=second(config), uses=[Use("id-000002", "train")])
    monkeypatch.setattr("tutelage.forgetting.binding_now", lambda *_: {"engine": "1", "base_digest": "b"})
    bound = {"desk": {"engine": "1", "base_digest": "b"}}
    assert "desk: the teacher answers" in ask(config, "--exchange", "id-000002").stdout  # it was certified with others
    monkeypatch.setattr("tutelage.forgetting._bindings", lambda *_: {task: {} for task in bound})
    monkeypatch.setattr("tutelage.forgetting.load_champion", lambda *_: "no engine")
    done = ask(config, "--exchange", "id-000002", "--yes").stdout
    assert "desk: desk--v000001 serves again" in done and "until this is mended the teacher answers: no engine" in done
    assert champion(config).status == "champion"


def test_while_it_is_not_known_what_serves_the_teacher_does(config, monkeypatch):
    record_uses(engine(config), release=second(config), uses=[Use("id-000002", "train")])
    monkeypatch.setattr("tutelage.forgetting.binding_now", lambda *_: {})
    assert "desk: the teacher answers" in ask(config, "--exchange", "id-000002", "--yes").stdout
    assert champion(config).status == "retired"


def second(config):
    made = add_candidate(engine(config), task="desk", cut_at=50.0, base_model="m", now=80.0)
    set_adapter(engine(config), made.name, path="elsewhere", digest="e")
    promote(engine(config), made.name, values=certified(), now=90.0)
    return made.name


def test_an_engine_that_cannot_be_told_is_named_and_keeps_nothing_from_being_forgotten(config, tmp_path):
    done = ask(config, "--exchange", TAUGHT, "--yes")
    assert "WARNING: desk--v000001 may still be loaded" in done.stdout and "http://127.0.0.1:1" in done.stdout
    assert done.exit_code == 0 and list((tmp_path / "adapters").iterdir()) == []


def test_what_was_killed_half_way_is_finished_by_the_next_call(config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("tutelage.forgetting.forget", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        assert ask(config, "--exchange", TAUGHT, "--yes").exit_code != 0
    assert list((tmp_path / "adapters").iterdir()) == [] and champion(config).status == "champion"
    assert ask(config, "--exchange", TAUGHT, "--yes").exit_code == 0
    assert left(config) == {"id-000002"} and champion(config).status == "forgotten"


def test_what_an_interrupted_training_has_left_behind_goes_with_it(config, tmp_path):
    for task in ("desk", "other"):
        folder = tmp_path / "adapters" / FOLDER / task
        folder.mkdir(parents=True)
        (folder / ABOUT).write_text(f'{{"release": "{task}--v000002", "begins": 1}}')
    assert ask(config, "--exchange", TAUGHT, "--yes").exit_code == 0
    assert [each.name for each in (tmp_path / "adapters" / FOLDER).iterdir()] == ["other"]


def test_what_has_taught_nothing_ends_nothing(config):
    assert ask(config, "--exchange", "id-000002", "--yes").exit_code == 0
    assert left(config) == {TAUGHT} and champion(config).status == "champion"


def test_records_that_were_set_aside_are_named(config, tmp_path):
    spool = load(config).ledger.spool_dir
    spool.mkdir(parents=True, exist_ok=True)
    (spool / "1.jsonl.rejected").write_text("{}")
    assert "were not searched" in ask(config, "--exchange", TAUGHT, "--yes").stdout


@pytest.mark.parametrize("words", [(), ("--exchange", "id-9"), ("--key", "key-9"), ("--user", "nobody")])
def test_nothing_and_nobody_are_refused_in_words(config, words):
    refused = ask(config, *words, "--yes")
    assert refused.exit_code == 2 and (words[-1] if words else "--exchange ID") in refused.stderr
    assert len(left(config)) == 2


def test_while_a_release_is_made_nothing_is_forgotten(config):
    with held(engine(config), run_lease("desk"), holder="another"):
        refused = ask(config, "--exchange", TAUGHT, "--yes")
    assert refused.exit_code == 2 and "under way" in refused.stderr
    assert len(left(config)) == 2 and champion(config).status == "champion"


def test_an_adapter_that_cannot_be_deleted_stops_it(config, tmp_path, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("shutil.rmtree", refuse)
    refused = ask(config, "--exchange", TAUGHT, "--yes")
    assert refused.exit_code == 2 and "cannot be deleted" in refused.stderr
    assert len(left(config)) == 2 and champion(config).status == "champion"


def test_a_user_is_known_by_what_is_recorded_of_them(config):
    values = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**values, "ledger": {"redact": {"kinds": ["email"]}}}))
    redactor = load(config).redactor(engine(config))
    store(engine(config), [redactor.record(exchange(3, params={"user": "ann@shop.de"}))])
    store(engine(config), [exchange(4, params={"user": "ann@shop.de"})])  # from before it was redacted
    assert ask(config, "--user", "ann@shop.de", "--yes").exit_code == 0
    assert left(config) == {"id-000001", "id-000002"}
