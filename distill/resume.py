"""A trainer that goes on where a killed one has stopped, and comes to the same (docs/decisions/0045).

Adapters are written as safetensors; the state of optimizer, schedule and random numbers is torch's own, which
transformers reads as plain values alone (`weights_only`).
"""

import json
import logging
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerControl, TrainerState
from typing_extensions import override

from distill.best import KeepBest
from distill.checkpoints import Checkpoints, read
from distill.devices import agreed, all_are_here, is_first

EVERY_S = 120.0
ROOM_BYTES = 1 << 28  # that a checkpoint leaves on the disk
LESSON, ADAPTER, ORDER = "lesson.json", "adapter.safetensors", "order.safetensors"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lesson:
    """What a lesson has come to: `loss` is the mean of its steps'; it was gone on with after `went_on` steps, 0: it was
    learned at one go."""

    steps: int
    epochs: int
    loss: float
    seconds: float
    went_on: int = 0


def learn(trainer: Any, keeper: KeepBest, *, place: Checkpoints) -> Lesson:
    """Have the trainer learn the keeper's lesson, on from where it stood. Its `output_dir` is the lesson's folder."""
    if done := place.done(keeper.of):
        keeper.restore(done)
        found = Lesson(**read(done / LESSON))
        keeper.tell_again(found.steps, found.loss)
        return replace(found, went_on=found.steps)
    last = place.last(keeper.of)
    if last:
        keeper.restore(last)
    trainer.add_callback(_Saving(place, keeper, last=last))
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    state = trainer.state
    losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
    found = Lesson(state.global_step, round(state.epoch), fmean(losses), keeper.seconds, keeper.went_on)
    if is_first():
        folder = place.finish(keeper.of)
        keeper.save(folder)
        (folder / LESSON).write_text(json.dumps(asdict(found)))
        place.seal(folder)
    return found


class Resumable:
    """Before one of TRL's trainers: a checkpoint has the adapter alone, and nobody is asked about the base model."""

    model: Any

    def _save(self, output_dir: str, **_: Any) -> None:
        folder = Path(output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(get_peft_model_state_dict(self.model), folder / ADAPTER)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, **_: Any) -> None:
        set_peft_model_state_dict(self.model, load_file(Path(resume_from_checkpoint) / ADAPTER))

    def create_model_card(self, **_: Any) -> None:
        """None: nobody publishes a checkpoint."""


class _Saving(TrainerCallback):  # type: ignore[misc]  # transformers is not followed
    """Has a checkpoint written every `EVERY_S`, after the keeper, and begins each epoch in the order that it had.

    The order of an epoch is drawn from torch's random numbers as it begins. transformers puts them back where they
    were in its middle, so that they are remembered here. At the end of an epoch what it has come to comes first.
    """

    def __init__(self, place: Checkpoints, keeper: KeepBest, *, last: Path | None) -> None:
        self._place, self._keeper = place, keeper
        self._order: torch.Tensor | None = load_file(last / ORDER)["order"] if last else None
        self._saved_at = time.monotonic()

    @override
    def on_epoch_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._order is None:
            self._order = torch.get_rng_state()
        else:
            torch.set_rng_state(self._order)

    @override
    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if not float(state.epoch).is_integer():
            self._ask(control, **kwargs)

    @override
    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._order = torch.get_rng_state()
        if not control.should_training_stop:
            self._ask(control, **kwargs)

    @override
    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        all_are_here()  # each has written the state of its random numbers
        if not is_first():
            return
        folder = self._place.lesson(self._keeper.of) / f"checkpoint-{state.global_step}"
        assert self._order is not None, "an epoch has begun"
        save_file({"order": self._order}, folder / ORDER)
        self._keeper.save(folder)
        self._place.seal(folder)
        self._saved_at = time.monotonic()

    def _ask(self, control: TrainerControl, *, model: torch.nn.Module, **_: Any) -> None:
        control.should_save = agreed(is_first() and self._is_due(model))

    def _is_due(self, model: torch.nn.Module) -> bool:
        if time.monotonic() - self._saved_at < EVERY_S:
            return False
        learned = sum(each.numel() * each.element_size() for each in model.parameters() if each.requires_grad)
        # The adapter, the best one, and two numbers a weight of the optimizer's.
        if shutil.disk_usage(self._place.lesson(self._keeper.of)).free > ROOM_BYTES + 4 * learned:
            return True
        log.warning("no checkpoint is written: the disk is nearly full")
        self._saved_at = time.monotonic()
        return False
