"""Parts for a run: only where nobody serves under the configuration."""

import io
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from router.settings import load
from tutelage import beside
from tutelage.cli import app


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(app, ["init", "--task", "desk", "--base-model", "org/model"])
    return load(tmp_path / "tutelage.yaml")


@pytest.fixture
def started(monkeypatch):
    """The names of what is started and ended."""
    seen = []

    @contextmanager
    def running(folder, programs, *, console):
        seen.append((folder.name, [program.name for program in programs]))
        yield
        seen.append("ended")

    monkeypatch.setattr(beside, "running", running)
    monkeypatch.setattr(beside, "ensure_vllm", lambda home, *, say: None)
    return seen


@pytest.mark.parametrize("serves", [True, False])
def test_what_serves_already_is_used_and_what_does_not_is_started_for_the_run(settings, started, serves):
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beside, "answers", lambda url: serves)
        with beside.parts(settings, Path("tutelage.yaml"), console=Console(file=said)):
            assert started == ([] if serves else [("run-8080", ["student", "teacher", "gateway"])])
    assert ("nobody serves on port 8080" in said.getvalue()) == (not serves)
    assert serves or started[-1] == "ended"


def test_nothing_is_started_where_the_gateway_is_on_another_machine(settings, started):
    distill = settings.distill.model_copy(update={"gateway_url": "http://gateway-admin:9090"})
    elsewhere = settings.model_copy(update={"distill": distill})
    with beside.parts(elsewhere, Path("tutelage.yaml"), console=Console(file=io.StringIO())):
        assert started == []


def test_an_engine_elsewhere_is_not_started_for_the_run(settings, started, monkeypatch):
    monkeypatch.setattr(beside, "answers", lambda url: False)
    student = settings.student.model_copy(update={"base_url": "http://student:8000"})
    elsewhere = settings.model_copy(update={"student": student})
    with beside.parts(elsewhere, Path("tutelage.yaml"), console=Console(file=io.StringIO())):
        assert started == [("run-8080", ["teacher", "gateway"])]
