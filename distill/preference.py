"""The second lesson of a LoRA: right answers preferred over wrong ones to the same request (docs/decisions/0021).

TRL's DPO against the adapter as the first lesson left it, with the chosen answer's own likelihood in the loss: DPO
alone is content where both answers become less likely, the wrong one faster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset
from peft import PeftModel
from transformers import PrinterCallback
from trl import DPOConfig, DPOTrainer
from typing_extensions import override

from distill.best import KeepBest
from distill.checkpoints import Checkpoints
from distill.devices import one_device
from distill.pattern import Pair
from distill.render import Chat, render_pair, render_prompt
from distill.resume import Resumable, learn

BETA = 0.1
WEIGHTS = {"sigmoid": 1.0, "sft": 1.0}
EPOCHS = 1
GENTLER = 0.03  # of the first lesson's learning rate: a tenth unlearns more than pairs teach


@dataclass(frozen=True)
class PairsReport:
    """What pairs have done: `pairs` were learned from in `steps`, `too_long` did not fit; losses as in `TrainReport`.
    `kept`: whether the validation loss was no worse for it; otherwise the adapter is the first lesson's."""

    pairs: int = 0
    too_long: int = 0
    steps: int = 0
    seconds: float = 0.0
    loss: float = 0.0
    validation_losses: tuple[float, ...] = ()
    kept: bool = False

    def in_words(self) -> str:
        """For whoever watches, and for who asks later."""
        if not self.pairs:
            return f"none of {self.too_long} pairs fits into the tokens allowed"
        came_to = "kept" if self.kept else "given up: the validation loss was better without"
        return f"{self.pairs} pairs in {self.steps} steps, {self.seconds:.0f} s, {came_to}"


@dataclass(frozen=True)
class RenderedPair:
    """Token ids of a prompt and its two answers, each with the token at which the engine stops."""

    prompt_ids: tuple[int, ...]
    chosen_ids: tuple[int, ...]
    rejected_ids: tuple[int, ...]

    def __len__(self) -> int:
        """Of the longer one."""
        return len(self.prompt_ids) + max(len(self.chosen_ids), len(self.rejected_ids))


def rendered_pair(chat: Chat, pair: Pair) -> RenderedPair:
    """As the engine sees and produces it. Raises ValueError for messages that are not text, Unspeakable."""
    prompt = render_prompt(chat, pair.messages)
    answers = (render_pair(chat, pair.messages, text).input_ids[len(prompt) :] for text in (pair.chosen, pair.rejected))
    return RenderedPair(tuple(prompt), *answers)


def prefer(
    model: PeftModel,
    found: Sequence[RenderedPair],
    *,
    tokenizer: Any,
    arguments: Mapping[str, Any],
    keeper: KeepBest,
    place: Checkpoints,
) -> PairsReport:
    """Train the model's adapter on the pairs, one epoch; `arguments` are the first lesson's, its learning rate too."""
    own = DPOConfig(
        **{**arguments, "learning_rate": GENTLER * arguments["learning_rate"], "num_train_epochs": EPOCHS},
        beta=BETA,
        loss_type=list(WEIGHTS),
        loss_weights=list(WEIGHTS.values()),
    )
    trainer = _PairTrainer(
        model=model,
        args=one_device(own),
        train_dataset=Dataset.from_list([vars(pair) for pair in found]),
        processing_class=tokenizer,
        callbacks=[keeper],
    )
    trainer.remove_callback(PrinterCallback)
    learned = learn(trainer, keeper, place=place)
    return PairsReport(
        pairs=len(found),
        steps=learned.steps,
        seconds=learned.seconds,
        loss=learned.loss,
        validation_losses=tuple(keeper.losses),
        kept=bool(keeper.best),
    )


class _PairTrainer(Resumable, DPOTrainer):  # type: ignore[misc]  # trl ships no types
    """TRL's trainer over pairs that are tokens already: its own templates would teach what follows an answer."""

    @override
    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset

    @override
    def _send_telemetry(self) -> None:
        """Nothing: this product does not call home."""
