"""What all rows of a batch begin with, a task's instruction as a rule, is read once for all of them.

Attention is causal: what the model makes of a token depends on those before it alone, so the keys and values of a
common beginning are those of every row, and the gradients of all rows meet in them. Losses and gradients are the same
but for rounding (docs/decisions/0046).
"""

from collections.abc import Sequence
from itertools import takewhile

import torch
from transformers import Cache, DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from distill.render import Rendered

LEAST = 0.2  # of a batch's tokens: what less saves, a second pass through the model costs
BY_LENGTH = {"longrope", "dynamic"}  # rotary scalings by how long all of it is, so that a beginning says too little


def all_begin_with(rows: Sequence[Rendered]) -> int:
    """How many tokens all rows begin with, whatever batches they come in."""
    ids = [row.input_ids for row in rows]
    first, last = min(ids, default=()), max(ids, default=())  # where these agree, all between them do
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))


def common_beginning(input_ids: torch.Tensor, keep: torch.Tensor) -> int:
    """How many tokens all rows begin with, `input_ids` (B, T), short of the first place whose logits are kept; 0 where
    to read them once saves hardly anything."""
    differs = (input_ids != input_ids[0]).any(dim=0) | keep.any(dim=0)  # (T,)
    found = int(differs.int().argmax())
    return found if found * (len(input_ids) - 1) >= LEAST * input_ids.numel() else 0


def can_share(config: PretrainedConfig) -> bool:
    """Whether keys and values of attention are all that a model makes of a beginning, and the same whatever follows."""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = {each.get("rope_type") for each in (rope, *rope.values()) if isinstance(each, dict)}
    layers = {type(layer) for layer in DynamicCache(config=config).layers}
    return layers <= {DynamicLayer, DynamicSlidingWindowLayer} and not kinds & BY_LENGTH


def read_once(model: torch.nn.Module, beginning: torch.Tensor, *, rows: int) -> Cache:
    """The keys and values of the `beginning` (P,), for so many rows; gradients go through them."""
    past: Cache = model(input_ids=beginning[None], use_cache=True, logits_to_keep=1).past_key_values
    past.batch_repeat_interleave(rows)
    return past
