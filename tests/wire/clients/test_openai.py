"""The official client, 2.x beside the gateway's own code and 3.x in an environment of its own, on both routes."""

import subprocess
import sys

import pytest

from tests.wire.answers import TEXT
from tests.wire.clients.environments import python, run
from tests.wire.rig import ROUTES

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session", params=["2.", "3."])
def interpreter(request) -> str:
    found = sys.executable if request.param == "2." else str(python("openai3"))
    version = subprocess.check_output([found, "-c", "import openai; print(openai.__version__)"], text=True)
    assert version.startswith(request.param)
    return found


@pytest.mark.parametrize(("model", "route"), [*ROUTES, ("lite", "teacher")])
def test_the_official_client_sees_openai(rig, interpreter, *, model, route):
    run(rig, interpreter, "openai_check.py", model, route, TEXT)
    rig.recover("big", "lite")
