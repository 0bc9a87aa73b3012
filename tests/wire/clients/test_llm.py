"""The `llm` command line: a model of ours in its list of OpenAI-compatible ones."""

import pytest
import yaml

from tests.wire.answers import TEXT
from tests.wire.clients.environments import answered, python, run
from tests.wire.rig import KEY, ROUTES

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("model", "route"), ROUTES)
def test_it_prints_the_answer_streamed_and_not(rig, tmp_path, *, model, route):
    entry = {"model_id": model, "model_name": model, "api_base": f"{rig.url}/v1", "api_key_name": "tutelage"}
    (tmp_path / "extra-openai-models.yaml").write_text(yaml.safe_dump([entry]))
    before = answered(rig, route)
    for options in ([], ["--no-stream"]):
        command = [python("llm").parent / "llm", "-m", model, "--key", KEY, *options, "Where is my parcel?"]
        assert run(rig, *command, LLM_USER_PATH=str(tmp_path)).strip() == TEXT
    assert answered(rig, route) == before + 2
