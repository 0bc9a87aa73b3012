"""What upstreams say that they have counted."""

import pytest

from ledger.prices import Price
from ledger.records import Usage
from router.usage import read_usage


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 2}, Usage(9, 2)),
        ({"input_tokens": 9, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 4}}, Usage(9, 2, 4)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(9, 2, 4)),
        ({"prompt_tokens": 9, "prompt_tokens_details": None}, Usage(9, 0)),
        ({"prompt_tokens": 9, "prompt_tokens_details": "many"}, Usage(9, 0)),
        ({"prompt_tokens": "9", "completion_tokens": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_it_is_read_wherever_it_stands(told, usage):
    assert read_usage(told) == usage


def kinds(prompt=(), answer=(), **counts):
    """What OpenAI and LiteLLM send."""
    sums = {"prompt_tokens": 100, "completion_tokens": 40, **counts}
    return {**sums, "prompt_tokens_details": dict(prompt), "completion_tokens_details": dict(answer)}


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (kinds({"cached_tokens": 60, "audio_tokens": 0}), Usage(100, 40, 60)),
        # LiteLLM of Anthropic: written under both names
        (
            kinds({"cached_tokens": 20, "cache_creation_tokens": 70, "cache_write_tokens": 70, "text_tokens": 10}),
            Usage(100, 40, 20, cache_write_tokens=70),
        ),
        (kinds({"audio_tokens": 80}), Usage(100, 40, audio_prompt_tokens=80)),
        (
            kinds({"cached_tokens": 60, "audio_tokens": 50, "cached_tokens_details": {"audio_tokens": 30}}),
            Usage(100, 40, 60, audio_prompt_tokens=20),
        ),
        (
            kinds(answer={"audio_tokens": 10, "reasoning_tokens": 25, "accepted_prediction_tokens": 3}),
            Usage(100, 40, audio_completion_tokens=10, reasoning_tokens=25),
        ),
        # counted in the completion, and beside it
        (kinds(answer={"reasoning_tokens": 25}, total_tokens=140), Usage(100, 40, reasoning_tokens=25)),
        (kinds(answer={"reasoning_tokens": 25}, total_tokens=165), Usage(100, 65, reasoning_tokens=25)),
        (
            {"input_tokens": 9, "output_tokens": 8, "output_tokens_details": {"reasoning_tokens": 6}},
            Usage(9, 8, reasoning_tokens=6),
        ),
    ],
)
def test_kinds_of_tokens_are_told_apart(told, usage):
    assert read_usage(told) == usage


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (kinds({"cached_tokens": 500}), Usage(100, 40, 100)),
        (kinds({"cached_tokens": 5}, prompt_tokens=-10), Usage(0, 40, 0)),
        (kinds({"cached_tokens": -1}, completion_tokens=-2), Usage(100, 0, 0)),
        (kinds({"cached_tokens": 90, "cache_write_tokens": 90, "audio_tokens": 90}), Usage(100, 40, 90, 10)),
        (kinds(answer={"audio_tokens": 30, "reasoning_tokens": 30}), Usage(100, 40, 0, 0, 0, 30, 10)),
        (kinds({"cached_tokens": "60"}, {"reasoning_tokens": None}), Usage(100, 40)),
    ],
)
def test_what_a_provider_gets_wrong_makes_no_cost_negative(told, usage):
    assert read_usage(told) == usage
    dear = Price(1.0, 2.0, 0.0, 3.0, 4.0, 5.0, 0.0)
    assert dear.cost(usage) >= 0.0
