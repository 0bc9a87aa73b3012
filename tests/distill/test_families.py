import pytest
import torch
from peft import PeftModel
from safetensors import safe_open

from distill.adapters import AdapterError, check_compatible
from distill.pattern import Pair
from distill.recital import MESSAGES
from distill.render import Unspeakable, render, takes
from distill.student import IGNORE, collate, completion_logprobs, load_base, load_chat
from distill.train import TrainConfig, TrainError, train
from tests.distill.families import FAMILIES


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    return {name: family.save(folder / name) for name, family in FAMILIES.items()}


@pytest.fixture(scope="module", params=FAMILIES)
def student(request, bases, tmp_path_factory):
    """A family's name, its base model, and an adapter for it."""
    base, out = bases[request.param], tmp_path_factory.mktemp("adapters") / request.param
    config = TrainConfig(base, rank=4, alpha=8, learning_rate=2e-2, epochs=2, batch_size=8)
    train(FAMILIES[request.param].rows(24), (), config=config, out=out, progress=lambda at: None)
    return request.param, base, out


def batch_of(name, base, *, count=4):
    chat = load_chat(base)
    return collate([render(chat, row) for row in FAMILIES[name].rows(count)])


def test_it_learns_and_what_is_saved_is_what_was_learned(student):
    name, base, out = student
    batch = batch_of(name, base, count=8)
    with torch.no_grad():
        before = -completion_logprobs(load_base(base).eval(), batch).mean()
        after = -completion_logprobs(PeftModel.from_pretrained(load_base(base), out).eval(), batch).mean()
    assert after < 0.7 * before


def test_every_projection_is_adapted_and_neither_head_nor_embeddings(student):
    name, base, out = student
    check_compatible(out, base_model=base)
    with safe_open(out / "adapter_model.safetensors", framework="pt") as tensors:
        modules = [tensor.removeprefix("base_model.model.").partition(".lora_")[0] for tensor in tensors.keys()]  # noqa: SIM118
    projections = {module.rpartition(".")[2] for module in modules}
    assert projections == set(FAMILIES[name].projections)
    assert len(set(modules)) == 2 * len(projections)  # in both layers


def test_fused_projections_and_single_ones_do_not_fit(student, bases):
    name, _, out = student
    other = "llama" if name == "phi3" else "phi3"
    with pytest.raises(AdapterError, match="was not made for"):
        check_compatible(out, base_model=bases[other])


@pytest.mark.parametrize("name", FAMILIES)
def test_the_log_probabilities_are_those_of_the_whole_forward_pass(name, bases):
    batch, model = batch_of(name, bases[name]), load_base(bases[name]).eval()
    targets = batch["labels"][:, 1:]
    with torch.no_grad():
        trimmed = completion_logprobs(model, batch)
        full = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
    picked = full.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0][targets != IGNORE]
    torch.testing.assert_close(trimmed, picked)


@pytest.mark.parametrize(
    ("name", "trait"),
    [
        ("gemma2", "attn_logit_softcapping"),
        ("gemma2", "final_logit_softcapping"),
        *((name, "sliding_window") for name in ("mistral", "phi3", "gemma2", "gemma3")),
    ],
)
def test_caps_and_windows_count(name, trait, *, bases, tmp_path):
    """Otherwise the comparison above, and the one with vLLM in tests/e2e, would say nothing of them."""
    wide = FAMILIES[name].save(tmp_path, **{trait: 512 if trait == "sliding_window" else None})
    batch = batch_of(name, bases[name], count=8)
    with torch.no_grad():
        ours, theirs = (completion_logprobs(load_base(base).eval(), batch) for base in (bases[name], wide))
    assert (ours - theirs).abs().mean() > 0.01


@pytest.mark.parametrize("name", FAMILIES)
def test_an_answer_ends_as_the_template_ends_it(name, bases):
    chat, family = load_chat(bases[name]), FAMILIES[name]
    assert chat.tokenizer.decode([chat.end]) == family.end
    assert chat.tokenizer.eos_token == family.eos


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_taught_reads_as_the_answer_and_nothing_else(name, bases):
    chat = load_chat(bases[name])
    row = FAMILIES[name].rows(2)[1]
    rendered = render(chat, row)
    prompt = rendered.input_ids[: -sum(rendered.completion_mask)]
    before, all_of_it = (chat.tokenizer.decode(ids) for ids in (prompt, rendered.input_ids))
    assert row.variable_text in before
    assert all_of_it == f"{before}{row.completion}{FAMILIES[name].end}"


def test_a_template_that_takes_no_system_message_is_told(bases, tmp_path):
    config = TrainConfig(bases["gemma2"], epochs=1)
    rows = FAMILIES["llama"].rows(8)
    with pytest.raises(Unspeakable, match="refuses system, user: no system role here"):
        render(load_chat(bases["gemma2"]), rows[0])
    with pytest.raises(TrainError, match=r"reads none of 8 rows.*no system role here.*chat_template\.jinja"):
        train(rows, (), config=config, out=tmp_path / "a", progress=lambda at: None)
    some = [*rows, *FAMILIES["gemma2"].rows(8)]
    pairs = [Pair(row.exchange_id, row.messages, row.completion, "maybe") for row in some]
    report = train(some, rows, config=config, out=tmp_path / "a", progress=lambda at: None, pairs=pairs)
    assert (report.rows, report.rows_unspeakable, report.preferred.pairs) == (8, 16, 8)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_chat_template_takes_what_is_recited(name, bases):
    assert takes(load_chat(bases[name]), MESSAGES)
