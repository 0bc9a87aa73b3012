"""The probe after loading: does vLLM serve this adapter, or the base model under its name?

For a few prompts vLLM answers greedily; transformers + peft score the same answers with the adapter and without it.
vLLM must be close to the first and far from the second. Greedy text would not do: it flips at
near-ties.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from distill.adapters import AdapterError, AdapterServer
from distill.render import Rendered, render_pair, takes
from distill.student import collate, completion_logprobs, load_base, load_chat, silence

PROMPTS = 8
# Nats, of a token's mean distance: 0.1 on uncertain tokens and up to 0.2 is what the two engines' kernels differ by.
TOLERANCE = 0.25
MIN_TOKENS = 8


@dataclass(frozen=True)
class Probe:
    """Mean absolute differences per token, in nats, over the `tokens` of the `compared` answers."""

    to_adapter: float
    to_base: float
    tokens: int
    compared: int
    prompts: int

    def verdict(self) -> str | None:
        """None where the adapter is served; otherwise what is wrong, in words."""
        if self.tokens < MIN_TOKENS or self.compared * 2 < self.prompts:
            return f"only {self.tokens} tokens of {self.compared} answers to {self.prompts} prompts could be compared"
        if not self.to_adapter <= TOLERANCE:  # so that NaN is no pass
            return (
                f"its log-probabilities are {self.to_adapter:.2f} nats from the adapter's (at most {TOLERANCE}), and "
                f"{self.to_base:.2f} from the base model's: is the adapter applied, and to this base model?"
            )
        if not self.to_adapter < self.to_base / 2:
            return f"it cannot be told from the base model ({self.to_base:.2f} nats from it): is the adapter applied?"
        return None


def probe(
    server: AdapterServer,
    name: str,
    prompts: Sequence[Sequence[Mapping[str, Any]]],
    *,
    base_model: str,
    adapter: Path,
    max_tokens: int,
) -> Probe:
    """Compare what vLLM serves under `name` with the adapter folder. Raises AdapterError where they differ."""
    chat = load_chat(base_model)
    prompts = list(islice((messages for messages in prompts if takes(chat, messages)), PROMPTS))
    served = [server.greedy(name, messages, max_tokens=max_tokens) for messages in prompts]
    rows = [
        _told(render_pair(chat, messages, text), len(values), most=max_tokens)
        for messages, (text, values) in zip(prompts, served, strict=True)
    ]
    fitting = [row for row in rows if row is not None]
    told = [values for row, (_, values) in zip(rows, served, strict=True) if row is not None]
    observed = torch.tensor([value for values in told for value in values])
    with_adapter, without = _scored(fitting, base_model=base_model, adapter=adapter)
    found = Probe(
        to_adapter=float((observed - with_adapter).abs().mean()),
        to_base=float((observed - without).abs().mean()),
        tokens=len(observed),
        compared=len(fitting),
        prompts=len(prompts),
    )
    if words := found.verdict():
        raise AdapterError(f"{name} as vLLM serves it is not {adapter}: {words}")
    return found


def _told(row: Rendered, tokens: int, *, most: int) -> Rendered | None:
    """The row as far as the engine has told: without its end where the draft was cut off at so many tokens.

    None where the text of the draft is tokenised otherwise than the engine has produced it.
    """
    untold = sum(row.completion_mask) - tokens
    if untold == 0:
        return row
    return Rendered(row.input_ids[:-1], row.completion_mask[:-1]) if (untold, tokens) == (1, most) else None


def _scored(rows: Sequence[Rendered], *, base_model: str, adapter: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the completions with the adapter and without it, shape (N,) each."""
    if not rows:
        return torch.zeros(0), torch.zeros(0)
    batch = collate(rows)
    with silence(), torch.no_grad():
        base = load_base(base_model).eval()
        without = completion_logprobs(base, batch)
        return completion_logprobs(PeftModel.from_pretrained(base, adapter).eval(), batch), without
