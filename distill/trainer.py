"""transformers' trainer for completions: which rows go through the model at once, and what they are judged by."""

from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import SFTTrainer
from typing_extensions import override

from distill.logit import collate_targets, token_losses
from distill.reasoning import collate_examples, divisor, targets_of
from distill.render import Rendered
from distill.resume import Resumable
from distill.rows import Targets
from distill.student import Batch, completion_labels, completion_logits, token_weights

# A batch of more padded tokens is computed in turns and its gradients summed: activations of a 135M model take some
# 1.8 MB a token, 7 GB in all.
TOKENS_AT_ONCE = 4096
COPIED = 0.1  # of what a token takes, that copies of its keys and values do
NUMBER = "number"  # of an example: its targets are too many for the data set's tables


def rows_at_once(batch_size: int, *, longest: int, common: int) -> int:
    """The largest divisor of the batch whose padded tokens stay within `TOKENS_AT_ONCE`, at least 1. The first `common`
    ones are read once, and their keys and values copied for each row."""
    each = longest - common + COPIED * common
    divisors = [n for n in range(1, batch_size + 1) if batch_size % n == 0]
    return max((n for n in divisors if common + n * each <= TOKENS_AT_ONCE), default=1)


def collate_told(found: Sequence[dict[str, Any]], *, told: Sequence[Targets | None]) -> Batch:
    """Examples as a batch, with what was told of the tokens of their answers."""
    answers = [Rendered(**each["answer"]) for each in found]
    return {**collate_examples(found), **collate_targets(answers, [told[each[NUMBER]] for each in found])}


class CompletionTrainer(Resumable, SFTTrainer):  # type: ignore[misc]  # trl ships no types
    """TRL's trainer with the head on completion positions: without a GPU, TRL's own loss computes all of them."""

    @override
    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        assert not return_outputs, "nothing here asks for logits"
        assert num_items_in_batch is not None, "what is below counts them"
        losses = [
            (token_losses(completion_logits(model, each), completion_labels(each), each) * token_weights(each)).sum()
            for each in targets_of(inputs)
        ]
        loss = torch.stack(losses).sum() / num_items_in_batch
        return loss * int(self.args.world_size)  # over devices gradients are averaged, and their sum is meant

    @override
    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> torch.Tensor:
        """Of all turns in which a batch is computed, on whatever device, as `divisor` counts."""
        total: torch.Tensor = self.accelerator.reduce(divisor(batch_samples).to(device), "sum")
        return total

    @override
    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> LengthGroupedSampler:
        """Rows in the order in which one device would learn them."""
        sampler = super()._get_train_sampler(train_dataset)
        sampler.batch_size *= self.args.world_size
        return sampler

    @override
    def _send_telemetry(self) -> None:
        """Nothing: TRL reports each training to its makers, and this product does not call home."""
