"""One tiny model of each family that can be a student, with the traps of the real one in its configuration, its
tokenizer and its chat template. Heads of 32 are the smallest that vLLM's attention on a CPU names as its own.
"""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaTokenizer,
    LlamaConfig,
    LlamaTokenizer,
    MistralConfig,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from distill.rows import TrainingRow
from tests.distill import tiny

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
}
WINDOW = 16  # tokens; shorter than the prompts


@dataclass(frozen=True)
class Family:
    """`end` ends an answer, `eos` is the tokenizer's end of sequence. `projections` are what a LoRA adapts."""

    config: type[PreTrainedConfig]
    tokenizer: Callable[[Sequence[str], dict[str, Any]], PreTrainedTokenizerBase]
    specials: tuple[str, ...]
    bos: str
    eos: str
    end: str
    template: str
    traits: dict[str, Any] = field(default_factory=dict)
    projections: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    system: bool = True  # whether the template takes a system message

    def make_tokenizer(self) -> PreTrainedTokenizerBase:
        named = {"bos_token": self.bos, "eos_token": self.eos, "pad_token": self.eos}
        return self.tokenizer(self.specials, {**named, "chat_template": self.template})

    def save(self, folder: Path, *, seed: int = 0, **traits: Any) -> str:
        tokenizer = self.make_tokenizer()
        # Without the padding token, whose embedding would be zero: where the end of an answer is that, nothing could
        # teach it.
        ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": None}
        torch.manual_seed(seed)
        config = self.config(vocab_size=len(tokenizer), **{**SIZES, **ids, **self.traits, **traits})
        model = AutoModelForCausalLM.from_config(config)
        model.generation_config.eos_token_id = sorted(
            {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(self.end)}
        )
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return str(folder)

    def rows(self, count: int) -> list[TrainingRow]:
        """The first letter decides the answer; without a system message where the template takes none."""
        rows = tiny.rows(count)
        return rows if self.system else [replace(row, messages=row.messages[1:]) for row in rows]


def _bytes(specials: Sequence[str], named: dict[str, Any]) -> PreTrainedTokenizerBase:
    return PreTrainedTokenizerFast(tokenizer_object=tiny.byte_level(*specials), **named)


def _pieces(kind: type[PreTrainedTokenizerBase]) -> Callable[..., PreTrainedTokenizerBase]:
    """A sentencepiece-like one: characters, one word with the space before it and without, bytes for the rest."""

    def make(specials: Sequence[str], named: dict[str, Any]) -> PreTrainedTokenizerBase:
        letters = [*string.ascii_letters, *string.digits, *string.punctuation]
        tokens = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *letters, "es", "yes", "▁yes"]
        vocab = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
        made = kind(vocab=vocab, merges=[("e", "s"), ("y", "es"), ("▁", "yes")], **named)
        made.add_special_tokens({"additional_special_tokens": list(specials)})
        return made

    return make


TURNS = (
    "{% for m in messages %}{{ OPEN + m['role'] + CLOSE + m['content'] + END }}{% endfor %}"
    "{% if add_generation_prompt %}{{ OPEN + 'assistant' + CLOSE }}{% endif %}"
)
ALTERNATE = (
    "{% for m in turns %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('user and assistant must take turns') }}{% endif %}"
)
FOLD = (
    "{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + '\n\n' %}"
    "{% set turns = messages[1:] %}{% else %}{% set first = '' %}{% set turns = messages %}{% endif %}"
)
REFUSE = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role here') }}{% endif %}"
    "{% set first = '' %}{% set turns = messages %}"
)
GEMMA_TURNS = (
    "{{ bos_token }}" + ALTERNATE + "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else 'user') + '\n' }}"
    "{% if loop.first %}{{ first }}{% endif %}{{ (m['content'] | trim) + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


def _turns(*, opening: str, closing: str, end: str) -> str:
    return TURNS.replace("OPEN", repr(opening)).replace("CLOSE", repr(closing)).replace("END", repr(end))


LLAMA = Family(
    LlamaConfig,
    _bytes,
    ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    *("<|begin_of_text|>", "<|eot_id|>", "<|eot_id|>"),
    "{{ bos_token }}" + _turns(opening="<|start_header_id|>", closing="<|end_header_id|>\n\n", end="<|eot_id|>"),
    {"tie_word_embeddings": True},
)
QWEN2 = Family(
    Qwen2Config,
    _bytes,
    ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<|endoftext|>", "<|im_end|>", "<|im_end|>"),
    _turns(opening="<|im_start|>", closing="\n", end="<|im_end|>\n"),
    {"tie_word_embeddings": True},
)
MISTRAL = Family(
    MistralConfig,
    _pieces(LlamaTokenizer),
    ("<unk>", "<s>", "</s>", "[INST]", "[/INST]"),
    *("<s>", "</s>", "</s>"),
    FOLD + "{{ bos_token }}" + ALTERNATE + "{% if m['role'] == 'user' %}"
    "{{ '[INST] ' + (first if loop.first else '') + m['content'] + '[/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
    {"sliding_window": WINDOW, "head_dim": 32, "tie_word_embeddings": False},
)
PHI3 = Family(
    Phi3Config,
    _pieces(LlamaTokenizer),
    ("<unk>", "<s>", "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    *("<s>", "<|endoftext|>", "<|end|>"),
    _turns(opening="<|", closing="|>\n", end="<|end|>\n"),
    {"sliding_window": WINDOW, "tie_word_embeddings": False},
    ("qkv_proj", "o_proj", "gate_up_proj", "down_proj"),
)
GEMMA2 = Family(
    Gemma2Config,
    _pieces(GemmaTokenizer),
    ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"),
    *("<bos>", "<eos>", "<end_of_turn>"),
    REFUSE + GEMMA_TURNS,
    # Caps so low that a computation without them is another one.
    {
        "head_dim": 32,
        "query_pre_attn_scalar": 16,
        "sliding_window": WINDOW,
        "attn_logit_softcapping": 2.0,
        "final_logit_softcapping": 10.0,
    },
    system=False,
)
FAMILIES = {
    "llama": LLAMA,
    "qwen2": QWEN2,
    "qwen3": replace(QWEN2, config=Qwen3Config, traits={"tie_word_embeddings": True, "head_dim": 32}),
    "mistral": MISTRAL,
    "phi3": PHI3,
    "gemma2": GEMMA2,
    "gemma3": replace(
        GEMMA2,
        config=Gemma3TextConfig,
        template=FOLD + GEMMA_TURNS,
        traits={"head_dim": 32, "query_pre_attn_scalar": 16, "sliding_window": WINDOW},
        system=True,
    ),
}
