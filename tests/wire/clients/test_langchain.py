"""langchain-tests' standard suite of chat models, with langchain-openai, on both routes."""

import shutil
import sys

import pytest

from tests.wire.clients.environments import HERE, answered, python, run

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("model", "route"), [("desk", "student"), ("big", "teacher")])
def test_the_standard_suite_passes(rig, tmp_path, *, model, route):
    shutil.copy(HERE / "langchain_suite.py", tmp_path)  # away from our own conftest
    before = answered(rig, route)
    pytest_there = [python("langchain"), "-m", "pytest", "-q", "-rsxX", "langchain_suite.py"]
    sys.stdout.write(run(rig, *pytest_there, cwd=tmp_path, MODEL=model))  # what was skipped and why: `pytest -s`
    assert answered(rig, route) > before + 5
