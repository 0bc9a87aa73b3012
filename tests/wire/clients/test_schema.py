"""Requests that schemathesis makes from OpenAI's own schema: none is a 5xx, and what is answered holds the schema."""

import json
from pathlib import Path

import pytest

from tests.wire.clients.environments import answered, python, run
from tests.wire.rig import KEY, STUDENT, TEACHER

pytestmark = [pytest.mark.e2e, pytest.mark.shared_data]
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"
EXAMPLES = 60


@pytest.fixture
def schema(shared_data: Path, tmp_path: Path) -> Path:
    """OpenAI's, with our models: with names made up every request would end in a 404."""
    found = json.loads((shared_data / "openai_openapi" / "openai-min.json").read_text())
    for name in ("CreateChatCompletionRequest", "CreateCompletionRequest"):
        _narrow(found["components"]["schemas"][name])
    path = tmp_path / "openai.json"
    path.write_text(json.dumps(found))
    return path


def _narrow(schema: dict) -> None:
    for part in (schema, *schema.get("allOf", ())):
        if "model" in part.get("properties", {}):
            part["properties"]["model"] = {"type": "string", "enum": [*STUDENT, *TEACHER]}


def test_no_5xx_and_the_schema_holds(rig, schema):
    before = {route: answered(rig, route) for route in ("student", "teacher")}
    command = [python("schemathesis").parent / "schemathesis", "run", schema, "--url", f"{rig.url}/v1"]
    options = ["--checks", CHECKS, "--max-examples", str(EXAMPLES), "--seed", "1", "--phases", "examples,fuzzing"]
    run(rig, *command, *options, "--header", f"Authorization: Bearer {KEY}", cwd=schema.parent)
    assert answered(rig, "teacher") > before["teacher"]
