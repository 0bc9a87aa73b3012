"""What upstreams say that they have counted."""

import pytest

from ledger.records import Usage
from router.usage import counted, read_usage


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


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ((10, 2, 500), Usage(10, 2, 10)),
        ((-10, 2, 5), Usage(0, 2, 0)),
        ((10, -2, -1), Usage(10, 0, 0)),
        ((None, None, None), Usage()),
    ],
)
def test_what_a_provider_gets_wrong_makes_no_cost_negative(told, usage):
    prompt, completion, cached = told
    assert counted(prompt, completion, cached=cached) == usage
