"""The loss of a student that learns from its teacher's probabilities too: of the tokens that were told of, and of all
others together (docs/decisions/0034).

The tokens that are told of are never taken for the whole: that would ask the student for more of them than the teacher
gives (Anshumann et al. 2025, 2503.16870). Pure functions of tensors; N tokens of completions, K told of at each, V in
the vocabulary.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch.utils.checkpoint import checkpoint

from distill.render import Rendered
from distill.rows import Targets
from distill.student import Batch

IDS, LOGPROBS = "target_ids", "target_logprobs"  # of a batch: (N, K)
WEIGHT = 0.5  # of the divergence beside the answer's cross entropy (Hinton et al. 2015, 1503.02531, section 2)
# The divergence takes its logits several times over. So many tokens' are worked out at once, and again for their
# gradient, and nothing of them is kept between.
AT_ONCE = 128


def collate_targets(rows: Sequence[Rendered], targets: Sequence[Targets | None]) -> Batch:
    """Of a batch's completion tokens, row after row; nothing where no row has any."""
    most = max((found.ids.shape[1] for found in targets if found), default=0)
    if not most:
        return {}
    lengths = [sum(row.completion_mask) for row in rows]
    ids = torch.zeros(sum(lengths), most, dtype=torch.long)
    logprobs = torch.full((sum(lengths), most), -torch.inf)
    at = 0
    for length, found in zip(lengths, targets, strict=True):
        if found:
            ids[at : at + length, : found.ids.shape[1]] = torch.from_numpy(found.ids)
            logprobs[at : at + length, : found.ids.shape[1]] = torch.from_numpy(found.logprobs)
        at += length
    return {IDS: ids, LOGPROBS: logprobs}


def token_losses(logits: torch.Tensor, labels: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Shape (N,), nats: cross entropy, and where the teacher has told of a token its share of the divergence.

    `logits` (N, V) and `labels` (N,) of a batch's completion tokens.
    """
    if IDS not in batch:
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    parts = zip(*(torch.split(each, AT_ONCE) for each in (logits, labels, batch[IDS], batch[LOGPROBS])), strict=True)
    once_more = partial(checkpoint, _mixed, use_reentrant=False, preserve_rng_state=False)
    return torch.cat([once_more(*own, ids=ids, teacher=teacher) for *own, ids, teacher in parts])


def _mixed(logits: torch.Tensor, labels: torch.Tensor, *, ids: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    told = teacher.isfinite().any(dim=1)
    if not told.any():
        return losses
    kl = divergence(logits, ids=ids, teacher=teacher)
    return torch.where(told, (1.0 - WEIGHT) * losses + WEIGHT * kl, losses)


def divergence(logits: torch.Tensor, *, ids: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """KL(teacher || student), nats, shape (N,), of K tokens and one bucket for all others.

    `logits` (N, V) are the student's; `ids` and the `teacher`'s log-probabilities (N, K), -inf where none was told of,
    no token twice. Both tails are what is left of 1; the student's is summed over the other tokens, not subtracted:
    where it is small nothing would be left of it in float32. It is 0 where the two agree on all buckets, at most the
    divergence over the whole vocabulary (log sum inequality: Cover and Thomas, Elements of Information Theory, 2.7.1),
    and equal to that where all tokens are told of.
    """
    told = teacher.isfinite()
    whole = logits.logsumexp(dim=1)  # (N,)
    known = teacher.where(told, 0.0) - (logits.gather(1, ids) - whole[:, None])
    row, column = told.nonzero(as_tuple=True)
    # Not -inf, whose gradient is none where no token is left.
    least = logits.new_tensor(torch.finfo(logits.dtype).min / 2)
    rest = logits.index_put((row, ids[row, column]), least).logsumexp(dim=1) - whole
    tail = (1.0 - teacher.exp().sum(dim=1)).clamp(min=0.0) * (told.sum(dim=1) < logits.shape[1])
    found = (teacher.exp() * known).sum(dim=1) + torch.xlogy(tail, tail) - tail * rest
    return found.clamp(min=0.0)  # what rounding leaves below
