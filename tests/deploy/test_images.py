"""The images: hadolint finds nothing, everything that is copied is there, and the gateway's has nothing that trains."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.locks import BUILDING, READING, ROOT, TRAINING, closure, pins, project

DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted(DEPLOY.glob("*.Dockerfile"))
WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import {modules}
"""
VERSION = re.compile(r"v?\d+\.\d+[\w.-]*")


def test_there_are_two():
    assert [path.stem for path in DOCKERFILES] == ["gateway", "worker"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_hadolint_finds_nothing(path):
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, path], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_what_is_copied_is_there_and_reaches_the_build(path):
    copied = [source for line in _instructions(path, "COPY") if "--from=" not in line for source in line.split()[:-1]]
    assert copied
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in copied:
        assert (ROOT / source).exists(), source
        assert {source, source.partition("/")[0], f"deploy/*{Path(source).suffix}"} & kept, f"{source} is ignored"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_bases_are_pinned_and_nobody_is_root(path):
    for base in _instructions(path, "FROM"):
        name, _, tag = base.split()[0].partition(":")
        assert VERSION.match(tag), f"{name} has no version"
    assert _instructions(path, "USER") == ["10001:10001"]


@pytest.mark.parametrize("name", ["gateway", "worker"])
def test_a_lock_is_complete_and_no_more_and_of_what_is_tested(name):
    """Change pyproject.toml and requirements.lock first; the failure says what to add or to take out here."""
    roots = project("postgres")
    if name == "gateway":
        roots = [one for one in roots if one.name.lower() not in TRAINING]
    locked, tested = pins(DEPLOY / f"{name}.lock"), pins(ROOT / "requirements.lock")
    assert set(locked) == {one for one in closure(roots) if one in tested} | BUILDING
    assert locked == {one: tested[one] for one in locked}


def test_the_gateways_image_has_nothing_that_trains():
    assert TRAINING & set(pins(DEPLOY / "worker.lock")) == TRAINING
    assert TRAINING & set(pins(DEPLOY / "gateway.lock")) == set()


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (
            "router.__main__, router.teacher_server, ledger.ingest, tutelage.cli, tutelage.loading, distill.serving",
            TRAINING | READING,
        ),
        ("tutelage.web.app, distill.fleet, distill.serving", TRAINING),
    ],
    ids=["serving", "console"],
)
def test_the_parts_of_the_gateways_image_start_without_what_trains(modules, absent):
    """Every module that its processes begin with, where nothing that trains can be imported; those that serve clients
    begin without what the console reads with, too."""
    names = {"scikit-learn": "sklearn"}
    script = WITHOUT.format(blocked={names.get(one, one) for one in absent}, modules=modules)
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, timeout=60)


def _instructions(path: Path, name: str) -> list[str]:
    lines = path.read_text().replace("\\\n", " ").splitlines()
    return [line.removeprefix(name).strip() for line in lines if line.startswith(f"{name} ")]
