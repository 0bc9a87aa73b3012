from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import Gemma3TextConfig, LlamaConfig, Phi3Config, Qwen3NextConfig

from distill import once
from distill.once import LEAST, all_begin_with, can_share, common_beginning
from distill.render import Rendered, render
from distill.student import IGNORE, collate, completion_logprobs, load_base, load_chat
from tests.distill.families import FAMILIES, WINDOW

BEGINNING = "All of these messages begin like this one: "  # in the user's, since not every template takes a system's
LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 48, "long_factor": [2.0] * 48}
IDS = st.lists(st.integers(1, 2), max_size=6)


@pytest.fixture(scope="module", params=FAMILIES)
def student(request, tmp_path_factory):
    """A family's base model with a LoRA that has learned something, and a batch of rows that begin alike."""
    family, folder = FAMILIES[request.param], tmp_path_factory.mktemp(request.param)
    base = family.save(folder)
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    chat = load_chat(base)
    model = get_peft_model(load_base(base), config).double().train()  # whose rounding hides nothing
    return model, [render(chat, _begun(row)) for row in family.rows(4)]


def _begun(row):
    *before, asked = row.messages
    return replace(row, messages=(*before, {**asked, "content": BEGINNING + asked["content"]}))


def gradients(model, batches):
    model.zero_grad()
    losses = torch.cat([-completion_logprobs(model, collate(batch)) for batch in batches])
    losses.sum().backward()
    return losses.detach(), {name: each.grad.clone() for name, each in model.named_parameters() if each.requires_grad}


def test_losses_and_gradients_are_those_of_each_row_alone(student):
    model, rows = student
    assert common_beginning(*places(rows)) > 2 * WINDOW
    together, alone = gradients(model, [rows]), gradients(model, [[row] for row in rows])
    assert all(each.abs().sum() > 0 for each in alone[1].values())
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_a_row_is_read_from_where_it_differs(student, monkeypatch):
    model, rows = student
    begin, read = common_beginning(*places(rows)), []
    handle = model.get_base_model().model.register_forward_pre_hook(
        lambda _, __, given: read.append(given["input_ids"].shape), with_kwargs=True
    )
    with torch.no_grad():
        completion_logprobs(model, collate(rows))
        monkeypatch.setattr(once, "LEAST", 1.0)
        completion_logprobs(model, collate(rows))
    handle.remove()
    longest = max(len(row.input_ids) for row in rows)
    assert read == [(1, begin), (len(rows), longest - begin), (len(rows), longest)]


def places(rows):
    batch = collate(rows)
    return batch["input_ids"], torch.nn.functional.pad(batch["labels"][:, 1:] != IGNORE, (0, 1))


@given(st.lists(st.tuples(IDS, st.lists(st.integers(1, 2), min_size=1, max_size=3)), min_size=1, max_size=4))
def test_it_ends_before_the_first_place_that_differs_or_is_scored(found):
    rows = [
        Rendered((3, *prompt, *answer), (False,) * (1 + len(prompt)) + (True,) * len(answer))
        for prompt, answer in found
    ]
    ids, keep = places(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(once, "LEAST", 0.0)
        begin = common_beginning(ids, keep)
    assert all(row.input_ids[:begin] == rows[0].input_ids[:begin] for row in rows)
    assert all(not any(row.completion_mask[: begin + 1]) for row in rows)
    following = {row.input_ids[begin] for row in rows}
    assert len(following) > 1 or any(row.completion_mask[begin + 1] for row in rows)
    assert common_beginning(ids, keep) == (begin if begin * (len(rows) - 1) >= LEAST * ids.numel() else 0)


@given(st.lists(IDS, min_size=1, max_size=5), st.integers(1, 16))
def test_what_all_rows_begin_with(found, common):
    rows = [[*[3] * common, *ids, 1] for ids in found]
    begin = max(n for n in range(common + 8) if all(row[:n] == rows[0][:n] and len(row) >= n for row in rows))
    rendered = [Rendered(tuple(row), (False,) * (len(row) - 1) + (True,)) for row in rows]
    assert all_begin_with(rendered) == begin


@pytest.mark.parametrize(
    ("config", "shares"),
    [
        (LlamaConfig(), True),
        (Gemma3TextConfig(), True),
        (Phi3Config(max_position_embeddings=512), True),
        (Qwen3NextConfig(), False),  # what it makes of a beginning is not in keys and values alone
        (LlamaConfig(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}), False),
        (Phi3Config(rope_parameters=LONGROPE, original_max_position_embeddings=64), False),
    ],
)
def test_what_a_beginning_says_too_little_of_is_read_whole(config, shares):
    assert can_share(config) is shares
