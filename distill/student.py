"""The student in torch: loading it and its chat, batching rendered rows, log-probabilities of their completions.

Shared by training and by the probe after loading, so that both mean the same by "the student's log-probability".
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from distill.errors import DistillError
from distill.once import can_share, common_beginning, read_once
from distill.render import Chat, Rendered, end_of_answer

IGNORE = -100  # the label of a position that is not scored, as everywhere in torch and transformers

Batch = dict[str, torch.Tensor]  # input_ids, attention_mask, labels: (B, T); weights, shares: (B,)


@contextmanager
def silence() -> Iterator[None]:
    """No loading bars, no notes of transformers about itself; real warnings of other kinds still show."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # peft and trl still call what transformers 5.23 renames.
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


class NoBaseModel(DistillError):
    """A base model that is not on this machine, or cannot be read."""


class NoChat(DistillError):
    """A base model that cannot be spoken to: it has no chat template."""


def load_chat(base_model: str, *, unsaid: str | None = None) -> Chat:
    """The base model's tokenizer and the end of its answers; `unsaid`: as in `Chat`. Never downloads. Raises
    NoBaseModel, NoChat."""
    try:
        tokenizer, stops = AutoTokenizer.from_pretrained(base_model, local_files_only=True), _stops(base_model)
    except OSError as error:
        raise NoBaseModel(
            f"the base model {base_model} is not on this machine, or not whole, and none is downloaded: set "
            "student.base_model to its folder, or fetch it into the hub's cache"
        ) from error
    if not tokenizer.chat_template:
        raise NoChat(f"the base model {base_model} has no chat template: take the one that is tuned to instructions")
    return Chat(tokenizer, end_of_answer(tokenizer, {*stops, tokenizer.eos_token_id}), unsaid)


def _stops(base_model: str) -> list[int]:
    """What vLLM stops at beside the tokenizer's end of sequence: what the model's generation configuration says."""
    try:
        config = GenerationConfig.from_pretrained(base_model, local_files_only=True)
    except OSError:
        config = GenerationConfig.from_model_config(AutoConfig.from_pretrained(base_model, local_files_only=True))
    found = config.eos_token_id
    return [] if found is None else [found] if isinstance(found, int) else list(found)


def load_base(base_model: str) -> PreTrainedModel:
    """The base model in its own precision where this machine computes in it, else in float32. Never downloads."""
    dtype = "auto" if _has_bfloat16() else torch.float32
    return AutoModelForCausalLM.from_pretrained(base_model, dtype=dtype, local_files_only=True)


def home() -> torch.device:
    """Where the student is trained, by transformers' trainer, and so where else it is computed."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch there."""
    return {name: tensor.to(device) for name, tensor in batch.items()}


def _has_bfloat16() -> bool:
    # A CPU without the instructions emulates them, some 30 times slower; with avx512_bf16 alone float32 is still the
    # faster (docs/decisions/0003).
    if torch.cuda.is_available():
        return True
    instructions = torch.cpu.get_capabilities()
    return any(instructions.get(name, False) for name in ("amx_bf16", "bf16"))


def collate(rows: Sequence[Rendered]) -> Batch:
    """Right-padded tensors. Padding is known by length, never by id: the padding token may be the end of turn."""
    longest = max(len(row.input_ids) for row in rows)
    batch = {
        "input_ids": torch.zeros(len(rows), longest, dtype=torch.long),
        "attention_mask": torch.zeros(len(rows), longest, dtype=torch.long),
        "labels": torch.full((len(rows), longest), IGNORE),
        "weights": torch.tensor([row.weight for row in rows]),
        "shares": torch.tensor([row.share for row in rows]),
    }
    for index, row in enumerate(rows):
        ids = torch.tensor(row.input_ids)  # (T,)
        batch["input_ids"][index, : len(ids)] = ids
        batch["attention_mask"][index, : len(ids)] = 1
        batch["labels"][index, : len(ids)] = torch.where(torch.tensor(row.completion_mask), ids, IGNORE)
    return batch


def completion_logits(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """What the model makes of every labelled token's place, shape (N, vocabulary), float32, row after row.

    The language-model head runs only where the next token is labelled: on short answers that is a tenth of the
    positions, and the head is a fifth of a small model's work. What all rows begin with is read once, where the model
    allows it.
    """
    labelled = batch["labels"][:, 1:] != IGNORE  # (B, T-1): position t predicts token t+1
    keep = torch.nn.functional.pad(labelled, (0, 1))  # (B, T)
    config = getattr(model, "module", model).config  # under torch's wrapper, where several devices learn
    begin = common_beginning(batch["input_ids"], keep) if can_share(config) else 0
    past = read_once(model, batch["input_ids"][0, :begin], rows=len(keep)) if begin else None
    logits: torch.Tensor = model(
        input_ids=batch["input_ids"][:, begin:],
        attention_mask=batch["attention_mask"],
        past_key_values=past,
        use_cache=past is not None,
        logits_to_keep=keep[:, begin:],
    ).logits
    return logits.float()


def completion_labels(batch: Batch) -> torch.Tensor:
    """The labelled tokens, shape (N,), row after row."""
    labels = batch["labels"][:, 1:]
    return labels[labels != IGNORE]


def completion_logprobs(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Log-probabilities (nats, float32) of the labelled tokens, shape (N,), row after row."""
    logits = completion_logits(model, batch)
    return -torch.nn.functional.cross_entropy(logits, completion_labels(batch), reduction="none")


def token_weights(batch: Batch) -> torch.Tensor:
    """By how much each labelled token counts in training, shape (N,), row after row: as much as its row."""
    return _by_token(batch, batch["weights"] * batch["shares"])


def token_shares(batch: Batch) -> torch.Tensor:
    """The same were all rows worth as much, shape (N,): what a loss is divided by, so that rows keep their weights also
    where those of a step are all above the mean, or all below."""
    return _by_token(batch, batch["shares"])


def _by_token(batch: Batch, of_rows: torch.Tensor) -> torch.Tensor:
    labelled = batch["labels"][:, 1:] != IGNORE
    return of_rows.repeat_interleave(labelled.sum(dim=1))
