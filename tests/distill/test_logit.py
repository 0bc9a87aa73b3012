"""The loss with a teacher's probabilities in it: what it adds up to, and that nothing else changes."""

import math

import pytest
import torch

from distill import logit
from distill.logit import IDS, LOGPROBS, WEIGHT, collate_targets, divergence, token_losses
from distill.render import Rendered
from distill.rows import Targets


def rendered(answer):
    return Rendered((1, 2, *range(answer)), (False, False, *[True] * answer))


def targets(*places, length):
    ids, logprobs = ([[pair[n] for pair in place] for place in places] for n in (0, 1))
    return Targets.of(ids, logprobs, length=length)


def test_targets_of_a_batch_lie_row_after_row():
    found = targets([(7, -0.1), (3, -2.5)], [(8, -0.2)], length=3)
    batch = collate_targets([rendered(2), rendered(3)], [None, found])
    nothing = -math.inf
    expected = [[nothing] * 2] * 2 + [[-0.1, -2.5], [-0.2, nothing], [nothing] * 2]
    assert batch[IDS].tolist() == [[0, 0], [0, 0], [7, 3], [8, 0], [0, 0]]
    assert batch[LOGPROBS] == pytest.approx(torch.tensor(expected))
    assert collate_targets([rendered(2)], [None]) == {}


def test_by_hand():
    logits = torch.tensor([[math.log(0.5), math.log(0.3), math.log(0.1), math.log(0.1)]])
    found = divergence(logits, ids=torch.tensor([[1, 0]]), teacher=torch.tensor([[0.6, 0.3]]).log())
    assert found.item() == pytest.approx(0.6 * math.log(2) + 0.3 * math.log(0.6) + 0.1 * math.log(0.5))


def test_where_nothing_is_told_of_it_is_cross_entropy():
    logits, labels = torch.randn(3, 5), torch.tensor([1, 0, 4])
    plain = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    assert torch.equal(token_losses(logits, labels, {}), plain)
    told = torch.tensor([[-math.inf], [-0.2], [-math.inf]])
    mixed = token_losses(logits, labels, {IDS: torch.tensor([[0], [0], [0]]), LOGPROBS: told})
    kl = divergence(logits[1:2], ids=torch.tensor([[0]]), teacher=told[1:2])
    assert torch.equal(mixed[[0, 2]], plain[[0, 2]])
    assert mixed[1].item() == pytest.approx(((1 - WEIGHT) * plain[1] + WEIGHT * kl[0]).item())


def drawn(tokens, *, vocabulary=50):
    """Logits, labels and what was told of every other token."""
    logits, labels = torch.randn(tokens, vocabulary), torch.randint(vocabulary, (tokens,))
    told = torch.full((tokens, 2), -math.inf)
    told[::2] = torch.tensor([0.6, 0.3]).log()
    ids = torch.stack([torch.randperm(vocabulary)[:2] for _ in range(tokens)])
    return logits.requires_grad_(), labels, {IDS: ids, LOGPROBS: told}


@pytest.mark.parametrize("at_once", [1, 3, 7])
def test_in_pieces_losses_and_gradients_are_those_of_all_at_once(monkeypatch, at_once):
    logits, labels, batch = drawn(7)
    found = []
    for size in (100, at_once):
        monkeypatch.setattr(logit, "AT_ONCE", size)
        losses = token_losses(logits, labels, batch)
        found.append((losses.detach(), *torch.autograd.grad(losses.sum(), logits)))
    for whole, pieces in zip(*found, strict=True):
        torch.testing.assert_close(pieces, whole)


def test_beside_the_logits_nothing_as_large_is_kept_for_the_gradient(monkeypatch):
    """Cross entropy alone keeps as much again."""
    monkeypatch.setattr(logit, "AT_ONCE", 4)
    logits, labels, batch = drawn(16, vocabulary=1000)
    kept: dict[int, int] = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        token_losses(logits, labels, batch).sum().backward()
    assert kept.pop(logits.untyped_storage().data_ptr()) == logits.nbytes
    assert sum(kept.values()) < logits.nbytes / 10


def test_a_student_whose_tail_is_tiny_is_still_told_by_how_much():
    """Subtracted from 1 its tail of 1e-12 would be 0 in float32, or below."""
    logits = torch.tensor([[0.0, math.log(1e-12)]], requires_grad=True)
    found = divergence(logits, ids=torch.tensor([[0]]), teacher=torch.tensor([[math.log(0.9)]]))
    assert found.item() == pytest.approx(0.9 * math.log(0.9) + 0.1 * math.log(0.1 / 1e-12), rel=1e-4)
    found.sum().backward()
    assert logits.grad.flatten().tolist() == pytest.approx([0.1, -0.1], rel=1e-3)


def test_what_a_teacher_calls_impossible_asks_nothing_of_the_student_but_to_be_unlikely():
    logits = torch.zeros(1, 4, requires_grad=True)
    divergence(logits, ids=torch.tensor([[0, 1]]), teacher=torch.tensor([[0.0, -9999.0]])).sum().backward()
    assert logits.grad.flatten().tolist() == pytest.approx([-0.75, 0.25, 0.25, 0.25])
