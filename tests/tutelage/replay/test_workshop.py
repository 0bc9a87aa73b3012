import os

import pytest
from rich.console import Console

from ledger.prices import Price
from tutelage.provision import Home
from tutelage.replay.workshop import CONTEXT_TOKENS, TASK, TEACHER, Workshop, apart


@pytest.fixture
def shop(tmp_path):
    prices = {"teacher_price": Price(2.5e-6, 1e-5), "student_price": Price(2e-8, 5e-8)}
    return Workshop(tmp_path / "w", "openai/gpt-4o", "section 3", base_model="base", measure="json", **prices)


def test_the_configuration_is_the_work_folders_own(shop):
    settings = shop.configure(max_tokens=20)
    assert settings.ledger.url == f"sqlite:///{shop.folder}/ledger.db"
    assert settings.student.adapters_dir == shop.folder / "adapters"
    teacher, task = settings.teachers[TEACHER], settings.tasks[TASK]
    assert (teacher.model, teacher.terms, teacher.may_train, teacher.direct) == (
        "openai/gpt-4o",
        "section 3",
        True,
        True,
    )
    assert "--terms" in teacher.confirmed_by
    assert teacher.price.input_usd_per_mtok == pytest.approx(2.5)
    assert (task.measure, task.max_tokens) == ("json", 20)
    assert settings.student.max_context_tokens == CONTEXT_TOKENS
    assert len({settings.server.port, settings.student.port, 8080}) == 3


def test_settings_of_the_users_own_product_in_the_environment_are_not_read_and_stay(shop, monkeypatch):
    monkeypatch.setenv("TUTELAGE_LEDGER__URL", "sqlite:////home/user/ledger.db")
    monkeypatch.setenv("TUTELAGE_SERVER__PORT", "9000")
    monkeypatch.setenv("TUTELAGE_HOME", "/home/user/tutelage")
    settings = shop.configure(max_tokens=20)
    assert "/home/user" not in settings.ledger.url and settings.server.port != 9000
    with apart():
        assert "TUTELAGE_LEDGER__URL" not in os.environ and os.environ["TUTELAGE_HOME"] == "/home/user/tutelage"
    assert os.environ["TUTELAGE_SERVER__PORT"] == "9000"


def test_the_stack_is_vllm_and_the_gateway_alone(shop, monkeypatch):
    started = {}

    class Stack:
        def __init__(self, folder, programs):
            started.update(folder=folder, names=[program.name for program in programs])

        def __enter__(self):
            return self

        def __exit__(self, *_):
            started["ended"] = True

        def wait_ready(self, *, tick):
            tick("student", 1.0)

    monkeypatch.setattr("tutelage.beside.Stack", Stack)
    settings = shop.configure(max_tokens=20)
    with (
        pytest.raises(KeyboardInterrupt),
        shop.running(settings, Home(shop.folder, shop.folder), console=Console(quiet=True)),
    ):
        raise KeyboardInterrupt
    assert started == {"folder": shop.folder / "logs", "names": ["student", "gateway"], "ended": True}
