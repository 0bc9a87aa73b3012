"""What is published: the five packages and the files they read, nothing else."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("router", "calibration", "distill", "ledger", "tutelage")


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The wheel's files, built offline from a copy: a build leaves folders behind."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("out")
    for name in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", out, source], check=True, capture_output=True)
    (wheel,) = out.glob("tutelage-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_module_is_in_it(contents):
    modules = {path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert modules <= contents


def test_the_files_that_the_code_reads_are_in_it(contents):
    locks = {f"tutelage/locks/{name}.txt" for name in ("torch", "vllm-cpu", "vllm-cuda")}
    migrations = {
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.py", "*.mako", "*.ini")
        for path in (ROOT / "ledger/migrations").rglob(pattern)
    }
    assert locks | migrations <= contents


def test_nothing_else_is_in_it(contents):
    tops = {PurePosixPath(name).parts[0] for name in contents}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
