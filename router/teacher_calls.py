"""What LiteLLM is called with for a client's body: OpenAI's fields by name, every other one inside `extra_body`.

LiteLLM takes its own settings (`api_base`, `mock_response`, `drop_params`, `fallbacks`, ...) from the same keyword
arguments, so a field that is passed on by its name could send our key to another address, or have an answer made up.
Inside `extra_body` a field reaches the provider as it is and means nothing to LiteLLM. `metadata` is among those:
LiteLLM would keep it for its own log. A named field that a provider does not have is a 400, never dropped.
"""

from collections.abc import Mapping
from typing import Any

_SAMPLED = frozenset({"stream", "stream_options", "temperature", "top_p", "n", "stop", "max_tokens", "user"}) | {
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
}
NAMED: Mapping[str, frozenset[str]] = {
    "chat/completions": _SAMPLED
    | {"messages", "functions", "function_call", "max_completion_tokens", "modalities", "prediction", "audio"}
    | {"response_format", "seed", "tools", "tool_choice", "parallel_tool_calls", "top_logprobs", "reasoning_effort"}
    | {"verbosity", "web_search_options", "service_tier", "safety_identifier", "store", "prompt_cache_key", "thinking"},
    "completions": _SAMPLED | {"prompt", "best_of", "echo", "suffix"},
    "embeddings": frozenset({"input", "dimensions", "encoding_format", "user"}),
}

# Without it LiteLLM looks for its own MCP servers in every request with tools, and fails where the package is missing.
_NO_SERVERS_OF_ITS_OWN = {"chat/completions": {"_skip_mcp_handler": True}}


def arguments(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments that stand for the body of a request to this path under /v1."""
    named = {name: value for name, value in body.items() if name in NAMED[path]}
    others = {name: value for name, value in body.items() if name not in NAMED[path]}
    return {**named, **({"extra_body": others} if others else {}), **_NO_SERVERS_OF_ITS_OWN.get(path, {})}
