"""langchain-tests' standard suite of chat models, with langchain-openai, on both routes."""

import shutil
import sys

import pytest

from tests.wire.clients.environments import HERE, answered, python, run

pytestmark = pytest.mark.e2e
# langchain-openai keeps one pool of connections a process, so its tests share an event loop.
ONE_LOOP = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session")


@pytest.mark.parametrize(("model", "route"), [("desk", "student"), ("big", "teacher")])
def test_the_standard_suite_passes(rig, tmp_path, *, model, route):
    shutil.copy(HERE / "langchain_suite.py", tmp_path)  # away from our own conftest
    before = answered(rig, route)
    pytest_there = [python("langchain"), "-m", "pytest", "-q", "-rs", *ONE_LOOP, "langchain_suite.py"]
    sys.stdout.write(run(rig, *pytest_there, cwd=tmp_path, MODEL=model))  # what was skipped and why: `pytest -s`
    assert answered(rig, route) > before + 5
