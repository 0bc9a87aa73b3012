"""A student small enough to train in a test: 2 layers of 32, bytes as tokens, SmolLM2's chat template."""

from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from distill.render import Chat
from distill.rows import TrainingRow

SYSTEM = "Sort."

# The end of turn is also the padding, and a newline follows it: the traps of the real template.
TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}{{ '<|im_start|>system\nHelp.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def byte_level(*specials: str) -> Tokenizer:
    """Bytes as tokens 0 to 255, then the special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_only = Tokenizer(models.BPE(vocab={char: index for index, char in enumerate(alphabet)}, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bytes_only.decoder = decoders.ByteLevel()
    bytes_only.add_special_tokens([AddedToken(special, special=True) for special in specials])
    return bytes_only


def tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=byte_level("<|im_start|>", "<|im_end|>"),
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        chat_template=TEMPLATE,
    )


def chat() -> Chat:
    return Chat(tokenizer(), end=257)


def model(*, hidden: int = 32, seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=258,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        bos_token_id=256,
        eos_token_id=257,
        pad_token_id=257,
        tie_word_embeddings=True,
        initializer_range=0.3,  # large enough for the frozen head to say something
    )
    return LlamaForCausalLM(config)


def save(folder: Path, *, hidden: int = 32, seed: int = 0) -> str:
    model(hidden=hidden, seed=seed).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def row(user: str, answer: str, *, id: str = "x", system: str = SYSTEM, finish: str | None = "stop") -> TrainingRow:
    messages = ({"role": "system", "content": system}, {"role": "user", "content": user})
    return TrainingRow(id, messages, answer, finish)


def rows(count: int) -> list[TrainingRow]:
    """A task that can be learned: the first letter of the message decides the answer."""
    return [row(f"{'ab'[i % 2]} {'zyxw'[i % 4] * (i % 7)}", ["yes", "no"][i % 2], id=str(i)) for i in range(count)]
