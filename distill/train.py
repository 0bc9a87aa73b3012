"""A plain LoRA from rows: one folder that vLLM can load, and a report.

Knows nothing of tasks, releases or the ledger. Never asks the network, never writes to standard output.
"""

import gc
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import torch
from peft import LoraConfig, PeftModel, set_peft_model_state_dict
from transformers import PrinterCallback
from trl import SFTConfig

from distill.adapters import digest as adapter_digest
from distill.best import HeldOut, KeepBest, TrainProgress, Weights
from distill.checkpoints import Checkpoints, checkpoints
from distill.devices import check_alone, is_first, one_device
from distill.errors import DistillError
from distill.once import all_begin_with, can_share
from distill.pattern import Pair
from distill.preference import PairsReport, prefer, rendered_pair
from distill.reasoning import Reasons, ReasonsReport, examples, reasons
from distill.render import Chat, Readable, Rendered, readable, takes
from distill.resume import Lesson, learn
from distill.rows import TrainingRow
from distill.serving import base_digest
from distill.student import load_base, load_chat, silence
from distill.together import Tell, together
from distill.trainer import NUMBER, CompletionTrainer, collate_told, rows_at_once


class TrainError(DistillError):
    """Training cannot start, or has diverged; nothing was written."""


@dataclass(frozen=True)
class TrainConfig:
    """How to train. LoRA wants a learning rate of 2e-4 to 1e-3: the upper end for a model of some 100 million weights.

    `max_tokens` bounds prompt and completion together; a longer row is left out and counted, since a truncated answer
    teaches the student to stop early and a truncated prompt to answer what it has not read. `unsaid`: the system
    message that the student does not read. `start`: the folder of an adapter, of the same base model and rank, that
    goes on learning. `devices`: so many processes share a batch, each on a GPU of its own.
    """

    base_model: str
    rank: int = 16
    alpha: int = 32
    learning_rate: float = 1e-3
    epochs: int = 2
    batch_size: int = 8
    max_tokens: int = 512
    seed: int = 0
    unsaid: str | None = None
    start: Path | None = None
    devices: int = 1

    def __post_init__(self) -> None:
        assert self.batch_size % self.devices == 0, "a batch is shared in equal parts"

    @property
    def facts(self) -> dict[str, int | float]:
        """Its numbers, for the release's report: no path of this machine, and no word of a prompt."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int | float)}


@dataclass(frozen=True)
class TrainReport:
    """What was trained.

    `rows` trained for `epochs` (fewer than asked after an early stop) in `steps`; `seconds` covers training and
    validation, not loading. Losses are nats per completion token; `validation_losses` has one per epoch, the smallest
    of which is the saved adapter's, unless a second lesson was kept: `preferred`, None without pairs. `rows_too_long`
    counts the rows, validation included, beyond `max_tokens`, `rows_unspeakable` those that the base model's chat
    template does not take. `dataset_digest` is a SHA-256 over the trained rows, with their rationales and targets, and
    the pairs in their order. `reasoned`: what rationales were taught with the rows, None without any; they are in
    `train_loss`, each as much as its answer, and in no validation loss. `rows_with_targets`: how many of the trained
    rows had any; `train_loss` is mixed there, validation is not.
    """

    rows: int
    epochs: int
    steps: int
    seconds: float
    train_loss: float
    validation_losses: tuple[float, ...]
    rows_per_second: float
    dataset_digest: str
    rows_too_long: int
    rows_unspeakable: int
    preferred: PairsReport | None = None
    reasoned: ReasonsReport | None = None
    rows_with_targets: int = 0
    went_on: int = 0


def train(
    rows: Sequence[TrainingRow],
    validation: Sequence[TrainingRow],
    *,
    config: TrainConfig,
    out: Path,
    progress: Callable[[TrainProgress], None],
    pairs: Sequence[Pair] = (),
) -> TrainReport:
    """Train on `rows`, keep the epoch that does best on `validation` (the last, if that is empty), write it to `out`.

    Where rows have a rationale they teach that too, to a question of its own; they validate by their answers alone.
    Training stops after the first epoch that is no better than the best before. Then a second lesson is learned from
    `pairs`, of the same rows, and kept where `validation` is no worse for it. `out` appears whole or not at all. What
    was killed while it learned the same is gone on with, whatever it was called (docs/decisions/0045).
    Raises FileExistsError where `out` exists (adapters are immutable), NotAlone, NoChat, TrainError where the chat
    template takes no row, none fits into `max_tokens` or a loss is not finite. The same rows, seed, machine and number
    of threads give the same adapter.
    """
    if out.exists():
        raise FileExistsError(f"{out} exists, and adapters are never overwritten")
    given = _read(rows, validation, config)
    lessons, held_out, taught = given.lessons, given.held_out, given.taught
    learned = _dataset_digest(taught.rows, pairs)
    all_of_it = _training_digest(config, learned, _dataset_digest(held_out.rows, ()))
    with checkpoints(out.parent, digest=all_of_it, release=out.name) as place:
        lesson = partial(_learn, given, pairs, config=config, place=place, out=out)
        first, losses, preferred = together(lesson, devices=config.devices, progress=progress)
    return TrainReport(
        rows=len(lessons.rows),
        epochs=first.epochs,
        steps=first.steps,
        seconds=first.seconds,
        train_loss=first.loss,
        validation_losses=losses,
        rows_per_second=len(lessons.rows) * first.epochs / first.seconds,
        dataset_digest=learned,
        rows_too_long=lessons.too_long + held_out.too_long,
        rows_unspeakable=lessons.unspeakable + held_out.unspeakable,
        preferred=preferred,
        reasoned=taught.report,
        rows_with_targets=sum(row.targets is not None for row in lessons.rows),
        went_on=first.went_on,
    )


def trial(
    rows: Sequence[TrainingRow],
    validation: Sequence[TrainingRow],
    *,
    config: TrainConfig,
    progress: Callable[[TrainProgress], None],
) -> float:
    """The least loss of an epoch on `validation`, nats a completion token, of a student that has learned the rows; not
    finite where it diverges, or where none of `validation` can be read. Nothing is kept.

    Raises NotAlone, NoChat, and TrainError where the chat template takes no row or none fits into `max_tokens`.
    """
    given = _read(rows, validation, config)
    losses = together(partial(_try, given, config=config), devices=config.devices, progress=progress)
    gc.collect()  # a trainer is part of cycles, and its model would stay beside the next one
    return min(losses, default=math.inf)


@dataclass(frozen=True)
class _Given:
    """What a student is to learn from, as it reads it."""

    chat: Chat
    lessons: Readable
    held_out: Readable
    answers: Sequence[Rendered]
    taught: Reasons


def _read(rows: Sequence[TrainingRow], validation: Sequence[TrainingRow], config: TrainConfig) -> _Given:
    """Raises NotAlone, NoChat, TrainError."""
    check_alone()
    chat = load_chat(config.base_model, unsaid=config.unsaid)
    lessons, held_out = (readable(chat, part, max_tokens=config.max_tokens) for part in (rows, validation))
    if not lessons.rows:
        raise TrainError(_why_none(lessons, config))
    answers = _weighed(lessons.rendered)
    taught = reasons(chat, lessons.rows, answers, max_tokens=config.max_tokens)
    return _Given(chat, lessons, held_out, answers, taught)


def _learn(
    given: _Given, pairs: Sequence[Pair], tell: Tell, *, config: TrainConfig, place: Checkpoints, out: Path
) -> tuple[Lesson, tuple[float, ...], PairsReport | None]:
    """Both lessons, in this process; the first one writes what they have come to."""
    keeper = KeepBest(HeldOut(given.held_out.rendered, batch_size=config.batch_size), tell)
    with silence():
        trainer = _trainer(given, keeper, config=config, folder=place.lesson("rows"))
        first = learn(trainer, keeper, place=place)
        _check_finite((first.loss, *keeper.losses), config)
        preferred, better = None, None
        if pairs:
            preferred, better = _prefer(trainer, pairs, chat=given.chat, keeper=keeper, config=config, place=place)
        if is_first():
            _save(trainer.model, better or keeper.best, out=out)
    return first, tuple(keeper.losses), preferred


def _try(given: _Given, tell: Tell, *, config: TrainConfig) -> list[float]:
    """The first lesson alone, in this process: its validation losses."""
    keeper = KeepBest(HeldOut(given.held_out.rendered, batch_size=config.batch_size), tell)
    with silence(), TemporaryDirectory() as folder:
        _trainer(given, keeper, config=config, folder=Path(folder)).train()
    return keeper.losses


def _weighed(rendered: Sequence[Rendered]) -> list[Rendered]:
    """With weights that are 1 in the mean, so that they change which rows count and not how large a step is."""
    middle = fmean(row.weight for row in rendered)
    return [replace(row, weight=row.weight / middle) for row in rendered]


def _why_none(lessons: Readable, config: TrainConfig) -> str:
    if lessons.too_long or not lessons.unspeakable:
        return f"none of {lessons.too_long + lessons.unspeakable} rows fits into {config.max_tokens} tokens"
    return (
        f"the base model {config.base_model} reads none of {lessons.unspeakable} rows: {lessons.refusal}. Take another "
        "one, or write such turns into its chat_template.jinja: vLLM reads the same file"
    )


def _prefer(
    trainer: CompletionTrainer,
    pairs: Sequence[Pair],
    *,
    chat: Chat,
    keeper: KeepBest,
    config: TrainConfig,
    place: Checkpoints,
) -> tuple[PairsReport, Weights | None]:
    """The second lesson, begun from the best of the first; no weights where that remains the best."""
    found = [rendered_pair(chat, pair) for pair in pairs if takes(chat, pair.messages)]
    short = [pair for pair in found if len(pair) <= config.max_tokens]
    too_long = len(found) - len(short)
    if not short:
        return PairsReport(too_long=too_long), None
    set_peft_model_state_dict(trainer.model, keeper.best)
    second = keeper.next("pairs")
    arguments = _arguments(config, place.lesson("pairs"), longest=2 * max(map(len, short)))
    report = prefer(trainer.model, short, tokenizer=chat.tokenizer, arguments=arguments, keeper=second, place=place)
    _check_finite((report.loss, *report.validation_losses), config)
    return replace(report, too_long=too_long), second.best


def _check_finite(losses: Sequence[float], config: TrainConfig) -> None:
    if not all(map(math.isfinite, losses)):
        raise TrainError(f"the loss is not finite: try a smaller learning rate than {config.learning_rate}")


def _trainer(given: _Given, keeper: KeepBest, *, config: TrainConfig, folder: Path) -> CompletionTrainer:
    base, start, taught = load_base(config.base_model), config.start, given.taught
    kinds = [[each for each in kind if each] for kind in (given.answers, taught.targets)]
    longest = sum(max((len(each.input_ids) for each in kind), default=0) for kind in kinds)
    common = sum(map(all_begin_with, kinds)) if can_share(base.config) else 0
    arguments = SFTConfig(
        **_arguments(config, folder, longest=longest, common=common),
        train_sampling_strategy="group_by_length",
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    trainer = CompletionTrainer(
        model=PeftModel.from_pretrained(base, start, is_trainable=True) if start else base,
        args=one_device(arguments),
        data_collator=partial(collate_told, told=[row.targets for row in taught.rows]),
        train_dataset=examples(given.answers, taught.targets).add_column(NUMBER, list(range(len(given.answers)))),
        processing_class=given.chat.tokenizer,
        callbacks=[keeper],
        peft_config=None if start else _fresh_lora(config),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _fresh_lora(config: TrainConfig) -> LoraConfig:
    return LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        target_modules="all-linear",  # fewer modules learn far less (PERF.md)
        task_type="CAUSAL_LM",
        base_model_name_or_path=config.base_model,
    )


def _arguments(config: TrainConfig, folder: Path, *, longest: int, common: int = 0) -> dict[str, Any]:
    """What both lessons have in common; `longest`: tokens of the longest example, of which the first `common` are read
    once for a batch."""
    share = config.batch_size // config.devices
    at_once = rows_at_once(share, longest=longest, common=common)
    return {
        "output_dir": str(folder),
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.05,  # of all steps
        "max_grad_norm": 1.0,
        "num_train_epochs": config.epochs,
        "per_device_train_batch_size": at_once,
        "gradient_accumulation_steps": share // at_once,
        # The common beginning of rows and what follows are two passes, and the second one needs every weight.
        "ddp_find_unused_parameters": False,
        "ddp_broadcast_buffers": False,
        "seed": config.seed,
        # The examples are tokens already, and short enough.
        "max_length": None,
        "remove_unused_columns": False,
        # The weights stay as loaded; peft keeps the adapter's in float32.
        "bf16": False,
        "activation_checkpointing": False,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "save_strategy": "no",  # in steps: ours is in minutes
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # would hide a loss that is not finite
        "report_to": "none",
        "disable_tqdm": True,
    }


def _save(model: PeftModel, weights: Weights, *, out: Path) -> None:
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what an interrupted run left
    model.save_pretrained(
        partial,
        state_dict=weights,
        selected_adapters=["default"],  # not the copy that TRL compares with
        # The embeddings never train; asked to find out for itself, peft looks the base model up on the Hub.
        save_embedding_layers=False,
    )
    (partial / "README.md").unlink(missing_ok=True)
    partial.rename(out)


def _training_digest(config: TrainConfig, *data: str) -> str:
    """SHA-256 over all that decides what a training comes to: data, settings, base model, code, libraries, device."""
    decides = {
        **asdict(config),
        "base_model": base_digest(config.base_model),
        "start": adapter_digest(config.start) if config.start else None,
        "data": data,
        "code": [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(Path(__file__).parent.glob("*.py"))],
        "libraries": [version(name) for name in ("torch", "transformers", "trl", "peft", "accelerate")],
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _dataset_digest(rows: Sequence[TrainingRow], pairs: Sequence[Pair]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        weight = [] if row.weight == 1.0 else [row.weight]
        why = [] if row.rationale is None else [{"rationale": row.rationale}]
        taught = [row.exchange_id, row.messages, row.completion, *weight, *why]
        digest.update(json.dumps(taught, sort_keys=True).encode() + b"\n")
        if row.targets:
            digest.update(row.targets.ids.tobytes() + row.targets.logprobs.tobytes() + b"\n")
    for pair in pairs:
        digest.update(json.dumps([pair.exchange_id, pair.chosen, pair.rejected]).encode() + b"\n")
    return digest.hexdigest()
