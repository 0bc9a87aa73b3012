import json

import pytest
import torch

from distill.render import render
from distill.student import IGNORE, NoBaseModel, NoChat, collate, completion_logprobs, load_base, load_chat
from tests.distill import tiny


@pytest.fixture(scope="module")
def model(base):
    return load_base(base).eval()


@pytest.fixture(scope="module")
def rendered():
    return [render(tiny.chat(), row) for row in (tiny.row("short", "no"), tiny.row("a longer message", "yes"))]


def test_the_trimmed_head_gives_what_the_full_head_gives(model, rendered):
    batch = collate(rendered)
    with torch.no_grad():
        trimmed = completion_logprobs(model, batch)
        full = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
        loss = model(**batch).loss
    targets = batch["labels"][:, 1:]
    picked = full.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0][targets != IGNORE]
    torch.testing.assert_close(trimmed, picked)
    torch.testing.assert_close(-trimmed.mean(), loss)


def test_a_row_means_the_same_alone_and_padded(model, rendered):
    with torch.no_grad():
        alone = torch.cat([completion_logprobs(model, collate([row])) for row in rendered])
        together = completion_logprobs(model, collate(rendered))
    torch.testing.assert_close(alone, together)


def test_only_the_completion_is_labelled_and_every_end_of_turn_of_it(rendered):
    batch = collate(rendered)
    for index, row in enumerate(rendered):
        labels = batch["labels"][index].tolist()
        taught = [token for token, mine in zip(row.input_ids, row.completion_mask, strict=True) if mine]
        assert [label for label in labels if label != IGNORE] == taught
        assert sum(batch["attention_mask"][index].tolist()) == len(row.input_ids)


def test_gradients_come_from_the_completion_alone(model, rendered):
    embed = model.get_input_embeddings().weight

    def gradient(batch):
        model.zero_grad()
        (-completion_logprobs(model, batch).sum()).backward()
        return embed.grad.clone()

    batch = collate(rendered)
    padded = {**batch, "input_ids": batch["input_ids"].clone()}
    padded["input_ids"][batch["attention_mask"] == 0] = 5
    torch.testing.assert_close(gradient(batch), gradient(padded))


def test_an_answer_ends_with_what_the_engine_stops_at(tmp_path):
    """Without a generation configuration the model's own counts; what nobody stops at ends nothing."""
    tiny.save(tmp_path)
    assert load_chat(str(tmp_path)).end == 257
    (tmp_path / "chat_template.jinja").write_text(tiny.TEMPLATE.replace("<|im_end|>", "<|im_start|>"))
    assert load_chat(str(tmp_path)).end == 257
    (tmp_path / "generation_config.json").unlink()
    config = tmp_path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": [256, 257]}))
    assert load_chat(str(tmp_path)).end == 256


def test_a_base_model_without_a_chat_template_is_refused(tmp_path):
    tiny.save(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(NoChat, match="has no chat template"):
        load_chat(str(tmp_path))


def test_a_base_model_that_is_not_here_is_named(tmp_path):
    with pytest.raises(NoBaseModel, match=rf"{tmp_path}/none is not on this machine.*student\.base_model"):
        load_chat(f"{tmp_path}/none")
