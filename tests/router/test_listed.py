"""Rows of LiteLLM's table, by hand and as it has them."""

import litellm
import pytest
from litellm.cost_calculator import cost_per_token
from litellm.types.utils import CompletionTokensDetailsWrapper, PromptTokensDetailsWrapper
from litellm.types.utils import Usage as LiteLlmUsage

from ledger.prices import Price
from ledger.records import Usage
from router.listed import price_in
from router.teacher_server import listed_price
from router.usage import read_usage

PLAIN = {"input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6}


def test_every_kind_is_read():
    row = {
        **PLAIN,
        "cache_read_input_token_cost": 1e-7,
        "cache_creation_input_token_cost": 1.25e-6,
        "cache_creation_input_token_cost_above_1hr": 2e-6,
        "input_cost_per_audio_token": 3e-5,
        "output_cost_per_audio_token": 6e-5,
        "output_cost_per_reasoning_token": 8e-6,
        "input_cost_per_token_batches": 5e-7,
        "input_cost_per_token_above_200k_tokens_priority": 9e-6,
    }
    assert price_in(row) == Price(1e-6, 4e-6, 1e-7, 1.25e-6, 3e-5, 6e-5, 8e-6)
    assert price_in(PLAIN) == Price(1e-6, 4e-6)


def test_long_prompts_are_read_and_what_they_do_not_say_is_as_before():
    row = {
        **PLAIN,
        "cache_read_input_token_cost": 1e-7,
        "input_cost_per_token_above_272k_tokens": 3e-6,
        "input_cost_per_token_above_1000_tokens": 2e-6,
        "output_cost_per_token_above_1000_tokens": 6e-6,
        "cache_read_input_token_cost_above_272k_tokens": 2e-7,
        "input_cost_per_token_above_128k_tokens": None,
    }
    longer = ((1000, Price(2e-6, 6e-6, 1e-7)), (272_000, Price(3e-6, 4e-6, 2e-7)))
    assert price_in(row) == Price(1e-6, 4e-6, 1e-7, above=longer)


def test_a_table_of_ranges_is_read():
    tiers = [
        {"range": [32_000, 128_000], "input_cost_per_token": 2e-6, "output_cost_per_token": 8e-6},
        {"range": [0, 32_000], **PLAIN, "output_cost_per_reasoning_token": 5e-6},
    ]
    found = price_in({"tiered_pricing": tiers, "input_cost_per_token": 0})
    assert found == Price(1e-6, 4e-6, reasoning_usd_per_token=5e-6, above=((32_000, Price(2e-6, 8e-6)),))


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"input_cost_per_token": 1e-6},
        {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
        {**PLAIN, "tiered_pricing": [{"range": [0, 9], **PLAIN}, {"range": [9, 99], "output_cost_per_token": 1e-6}]},
        {"mode": "search", "tiered_pricing": [{"max_results_range": [0, 25], "input_cost_per_query": 5e-3}]},
    ],
)
def test_what_is_not_known_is_no_price(row):
    assert price_in(row) is None


# What these models cost by their providers' lists, in dollars a million tokens: as LiteLLM's table has it.
@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        # Claude Sonnet 4.5: 3, 15; kept 3.75, read again 0.30
        (
            "anthropic/claude-sonnet-4-5",
            Usage(3010, 50, cached_tokens=2000, cache_write_tokens=1000),
            10 * 3e-6 + 2000 * 0.3e-6 + 1000 * 3.75e-6 + 50 * 15e-6,
        ),
        # Gemini 2.5 Pro: 1.25, 10; of more than 200,000 tokens 2.50, 15, read again 0.25
        ("gemini/gemini-2.5-pro", Usage(200_000, 100), 200_000 * 1.25e-6 + 100 * 10e-6),
        (
            "gemini/gemini-2.5-pro",
            Usage(200_001, 100, cached_tokens=150_000, reasoning_tokens=60),
            50_001 * 2.5e-6 + 150_000 * 0.25e-6 + 100 * 15e-6,
        ),
        # Gemini 2.5 Flash: 0.30, 2.50; audio heard 1.00
        ("gemini/gemini-2.5-flash", Usage(1000, 10, audio_prompt_tokens=900), 100 * 0.3e-6 + 900 * 1e-6 + 10 * 2.5e-6),
        # qwen-plus of July 2025: 0.40, 1.20, thinking 4; of more than 256,000 tokens 1.20, 3.60, 12
        ("dashscope/qwen-plus-2025-07-28", Usage(1000, 100, reasoning_tokens=90), 4e-4 + 10 * 1.2e-6 + 90 * 4e-6),
        ("dashscope/qwen-plus-2025-07-28", Usage(256_001, 100, reasoning_tokens=90), 0.3072012 + 36e-6 + 1080e-6),
    ],
)
def test_known_models_cost_what_they_cost(model, usage, usd):
    found = listed_price(model)
    assert found is not None and found.cost(usage) == pytest.approx(usd, rel=1e-9)


def counted(prompt, completion, *, read=None, said=None):
    """A usage object as LiteLLM has them."""
    details = {
        "prompt_tokens_details": PromptTokensDetailsWrapper(**read) if read else None,
        "completion_tokens_details": CompletionTokensDetailsWrapper(**said) if said else None,
    }
    total = prompt + completion
    return LiteLlmUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=total, **details)


KINDS = {
    "plain": counted(1000, 100),
    "cached": counted(50_000, 100, read={"cached_tokens": 40_000}),
    "written": counted(50_000, 100, read={"cached_tokens": 1000, "cache_creation_tokens": 40_000}),
    "thought": counted(1000, 100, said={"reasoning_tokens": 90}),
    "audio": counted(1000, 100, read={"audio_tokens": 900}, said={"audio_tokens": 50}),
    "long": counted(300_001, 100, read={"cached_tokens": 100_000}, said={"reasoning_tokens": 50}),
}
PROVIDERS = ("openai", "azure", "anthropic", "bedrock_converse", "gemini", "dashscope", "mistral", "groq", "xai")


@pytest.mark.parametrize("kind", KINDS)
def test_every_listed_model_costs_what_litellm_says_that_it_costs(kind):
    usage, differing, models = KINDS[kind], [], 0
    for model, row in litellm.model_cost.items():
        if row.get("mode") != "chat" or row.get("litellm_provider") not in PROVIDERS:
            continue
        if (price := listed_price(model)) is None:
            continue
        facts = {"custom_llm_provider": row["litellm_provider"], "usage_object": usage}
        theirs = sum(cost_per_token(model, usage.prompt_tokens, usage.completion_tokens, **facts))
        models += theirs > 0.0  # what it calls experimental it has for nothing, whatever its table says
        if theirs and price.cost(read_usage(usage.model_dump())) != pytest.approx(theirs, rel=1e-9):
            differing.append(model)
    assert models > 300 and differing == []
