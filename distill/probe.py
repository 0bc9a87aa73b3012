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
from distill.recital import apart
from distill.render import Chat, Rendered, render_pair, takes
from distill.student import collate, completion_logprobs, home, load_base, load_chat, moved, silence

PROMPTS = 8
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
        return apart(self.to_adapter, self.to_base)


def probe(
    server: AdapterServer,
    name: str,
    prompts: Sequence[Sequence[Mapping[str, Any]]],
    *,
    base_model: str,
    adapter: Path,
    max_tokens: int,
) -> Probe:
    """Compare what each engine serves under `name` with the adapter folder; of what was found, that of the engine which
    is farthest from it. Raises AdapterError with the engines that serve something else."""
    chat, engines = load_chat(base_model), server.engines()
    prompts = list(islice((messages for messages in prompts if takes(chat, messages)), PROMPTS))
    told = [_ask(engine, name, prompts, chat=chat, max_tokens=max_tokens) for engine in engines]
    scores = _scored([rows for rows, _ in told], base_model=base_model, adapter=adapter)
    found = [
        Probe(
            to_adapter=float((observed - with_adapter).abs().mean()),
            to_base=float((observed - without).abs().mean()),
            tokens=len(observed),
            compared=len(rows),
            prompts=len(prompts),
        )
        for (rows, observed), (with_adapter, without) in zip(told, scores, strict=True)
    ]
    if wrong := [(engine, words) for engine, one in zip(engines, found, strict=True) if (words := one.verdict())]:
        where = "; ".join(f"at {engine.url} {words}" for engine, words in wrong)
        raise AdapterError(f"{name} as vLLM serves it is not {adapter}: {where}")
    return max(found, key=lambda one: one.to_adapter)


def _ask(
    engine: AdapterServer, name: str, prompts: Sequence[Sequence[Mapping[str, Any]]], *, chat: Chat, max_tokens: int
) -> tuple[list[Rendered], torch.Tensor]:
    """An engine's answers that can be compared, and its log-probabilities of their tokens, shape (N,)."""
    served = [engine.greedy(name, messages, max_tokens=max_tokens) for messages in prompts]
    rows = [
        (_told(render_pair(chat, messages, text), len(values), most=max_tokens), values)
        for messages, (text, values) in zip(prompts, served, strict=True)
    ]
    fitting = [(row, values) for row, values in rows if row is not None]
    return [row for row, _ in fitting], torch.tensor([value for _, values in fitting for value in values])


def _told(row: Rendered, tokens: int, *, most: int) -> Rendered | None:
    """The row as far as the engine has told: without its end where the draft was cut off at so many tokens.

    None where the text of the draft is tokenised otherwise than the engine has produced it.
    """
    untold = sum(row.completion_mask) - tokens
    if untold == 0:
        return row
    return Rendered(row.input_ids[:-1], row.completion_mask[:-1]) if (untold, tokens) == (1, most) else None


def _scored(
    told: Sequence[Sequence[Rendered]], *, base_model: str, adapter: Path
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Log-probabilities of each engine's completions with the adapter and without it, shape (N,) each, computed where
    the adapter was trained."""
    with silence(), torch.no_grad():
        base = load_base(base_model).to(home()).eval()
        without = [_of(base, rows) for rows in told]
        student = PeftModel.from_pretrained(base, adapter).eval()
        return list(zip([_of(student, rows) for rows in told], without, strict=True))


def _of(model: torch.nn.Module, rows: Sequence[Rendered]) -> torch.Tensor:
    return completion_logprobs(model, moved(collate(rows), home())).cpu() if rows else torch.zeros(0)
