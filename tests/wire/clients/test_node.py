"""The Vercel AI SDK and openai for Node, on both routes."""

import pytest

from tests.wire.answers import TEXT
from tests.wire.clients.environments import node, run
from tests.wire.rig import ROUTES

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("model", "route"), ROUTES)
def test_clients_for_node_see_openai(rig, model, *, route):
    folder = node()
    run(rig, "node", "check.mjs", model, route, TEXT, cwd=folder)
