import pytest
import torch

from distill.render import render
from distill.student import IGNORE, collate, completion_logprobs, load_base
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
