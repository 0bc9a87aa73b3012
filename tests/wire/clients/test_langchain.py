"""langchain-tests' standard suite of chat models, with langchain-openai, on both routes."""

import pytest

from tests.wire.clients.environments import answered, python, run

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("model", "route"), [("desk", "student"), ("big", "teacher")])
def test_the_standard_suite_passes(rig, model, *, route):
    before = answered(rig, route)
    run(rig, python("langchain"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "langchain_suite.py", MODEL=model)
    assert answered(rig, route) > before + 5
