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

    url = "http://10.0.0.1:8000"

    def __init__(self, model, *, extra=0):
        self.model, self.extra = model, extra

    def engines(self):
        return [self]

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


def test_every_engine_is_probed_and_the_one_that_serves_the_base_model_is_named(base, trained):
    class Fleet:
        def engines(self):
            right, wrong = Engine(served(base, trained[0])), Engine(load_base(base).eval())
            wrong.url = "http://10.0.0.2:8000"
            return [right, wrong]

    with pytest.raises(AdapterError, match=r"is not .*: at http://10\.0\.0\.2:8000 its log-probabilities"):
        run(base, trained[0], Fleet())


def test_of_several_engines_the_farthest_is_told(base, trained):
    class Off(Engine):
        def greedy(self, name, messages, *, max_tokens):
            text, values = super().greedy(name, messages, max_tokens=max_tokens)
            return text, [value - 0.1 for value in values]

    class Fleet:
        def engines(self):
            model = served(base, trained[0])
            return [Engine(model), Off(model), Engine(model)]

    assert run(base, trained[0], Fleet()).to_adapter == pytest.approx(0.1, abs=1e-3)


class _Elsewhere(Exception):
    """Where something was computed."""


def test_it_is_computed_where_the_student_was_trained(base, trained, monkeypatch):
    """On a GPU the base model is loaded in bfloat16, which a CPU emulates, and in other numbers."""

    def scored(model, batch):
        raise _Elsewhere({tensor.device.type for tensor in (*model.parameters(), *batch.values())})

    engine = Engine(served(base, trained[0]))
    told = {tuple(map(str, messages)): engine.greedy("", messages, max_tokens=8) for messages in PROMPTS}
    engine.greedy = lambda name, messages, *, max_tokens: told[tuple(map(str, messages))]
    monkeypatch.setattr(probing, "home", lambda: probing.torch.device("meta"))
    monkeypatch.setattr(probing, "completion_logprobs", scored)
    with pytest.raises(_Elsewhere, match="meta") as found:
        run(base, trained[0], engine)
    assert found.value.args == ({"meta"},)


def test_answers_that_are_tokenised_otherwise_are_not_compared(base, trained):
    with pytest.raises(AdapterError, match="of 0 answers to 8 prompts"):
        run(base, trained[0], Engine(served(base, trained[0]), extra=1))


def test_answers_that_are_cut_off_are_compared_as_far_as_they_go(base, trained):
    class Rambling(Engine):
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
