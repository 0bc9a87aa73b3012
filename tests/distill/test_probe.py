import math

import pytest

from distill import probe as probing
from distill.adapters import AdapterError
from distill.probe import Probe, probe
from distill.render import render_prompt
from distill.student import collate, completion_logprobs, load_base
from tests.distill import tiny


class Engine:
    """Answers every prompt with one text, and the log-probabilities some model gives to it."""

    def __init__(self, model, *, extra=0):
        self.model, self.extra = model, extra

    def greedy(self, name, messages, *, max_tokens):
        rendered = probing.render_pair(tiny.chat(), messages, "yes")
        return "yes", [*completion_logprobs(self.model, collate([rendered])).tolist(), *[-1.0] * self.extra]


PROMPTS = [row.messages for row in tiny.rows(8)]


def run(base, adapter, engine):
    return probe(engine, "toy--v000001", PROMPTS, base_model=base, adapter=adapter, max_tokens=8)


def served(base, adapter):
    return probing.PeftModel.from_pretrained(load_base(base), adapter).eval()


def test_an_engine_that_applies_the_adapter_passes(base, trained):
    found = run(base, trained[0], Engine(served(base, trained[0])))
    assert found.to_adapter < 1e-4 < found.to_base and found.compared == found.prompts == 8


def test_an_engine_that_serves_the_base_model_is_found_out(base, trained):
    with pytest.raises(AdapterError, match="nats from the adapter's"):
        run(base, trained[0], Engine(load_base(base).eval()))


def test_answers_that_are_tokenised_otherwise_are_not_compared(base, trained):
    with pytest.raises(AdapterError, match="of 0 answers to 8 prompts"):
        run(base, trained[0], Engine(served(base, trained[0]), extra=1))


def test_answers_that_are_cut_off_are_compared_as_far_as_they_go(base, trained):
    class Rambling:
        def __init__(self, model):
            self.model = model

        def greedy(self, name, messages, *, max_tokens):
            rendered = probing.render_pair(tiny.chat(), messages, "yes" * 3)
            return "yesyesye", completion_logprobs(self.model, collate([rendered])).tolist()[:max_tokens]

    found = run(base, trained[0], Rambling(served(base, trained[0])))
    assert found.to_adapter < 1e-4 < found.to_base and (found.compared, found.tokens) == (8, 64)
    with pytest.raises(AdapterError, match=r"and 0\.00 from the base model's: is the adapter applied"):
        run(base, trained[0], Rambling(load_base(base).eval()))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Probe(0.01, 1.5, tokens=40, compared=8, prompts=8), None),
        (Probe(0.1, 0.15, tokens=40, compared=8, prompts=8), "cannot be told"),  # an adapter that hardly does a thing
        (Probe(0.0, 0.0, tokens=40, compared=8, prompts=8), "cannot be told"),
        (Probe(0.3, 9.0, tokens=40, compared=8, prompts=8), "nats from the adapter's"),
        (Probe(math.nan, 9.0, tokens=40, compared=8, prompts=8), "nats from the adapter's"),
        (Probe(0.01, math.nan, tokens=40, compared=8, prompts=8), "cannot be told"),
        (Probe(0.01, 1.5, tokens=7, compared=8, prompts=8), "only 7 tokens"),
        (Probe(0.01, 1.5, tokens=40, compared=3, prompts=8), "of 3 answers"),
    ],
)
def test_verdicts(found, words):
    assert (found.verdict() is None) if words is None else (words in found.verdict())


def test_a_prompt_ends_where_the_assistant_begins():
    ids = render_prompt(tiny.chat(), PROMPTS[0])
    assert tiny.tokenizer().decode(ids).endswith("<|im_start|>assistant\n")
