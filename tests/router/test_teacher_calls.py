"""No field of a client means anything to LiteLLM, and none is lost."""

import pytest

from router.teacher_calls import NAMED, arguments

SETTINGS = ("api_base", "base_url", "api_key", "mock_response", "drop_params", "fallbacks", "custom_llm_provider")


@pytest.mark.parametrize("path", sorted(NAMED))
@pytest.mark.parametrize("name", [*SETTINGS, "metadata", "extra_headers", "extra_body", "timeout", "num_retries"])
def test_what_litellm_would_take_for_itself_goes_inside_the_body(path, name):
    assert arguments(path, {name: "x"})["extra_body"] == {name: "x"}


def test_openais_fields_go_by_their_names():
    body = {"messages": [], "stream": True, "tools": [], "seed": 1, "reasoning_effort": "low"}
    assert arguments("chat/completions", body) == {**body, "_skip_mcp_handler": True}
    assert arguments("embeddings", {"input": "a"}) == {"input": "a"}
