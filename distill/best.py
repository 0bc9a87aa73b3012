"""Watching a training: each step is told, each epoch judged on held-out rows, and the best one's adapter kept."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from peft import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerControl, TrainerState
from typing_extensions import override

from distill.devices import own, summed
from distill.render import Rendered
from distill.student import collate, completion_logprobs, moved

Weights = dict[str, torch.Tensor]  # an adapter's
Learned = Literal["rows", "pairs"]
BEST, KEPT = "best.safetensors", "kept.json"


@dataclass(frozen=True)
class TrainProgress:
    """After a step: what it learned from, its number of the `steps` of that, its mean loss (nats per completion token
    of rows, per pair of pairs), seconds left of them at this pace. `went_on`: after how many of them an interrupted
    training was gone on with; where that was all of them, this is told once, of the last."""

    step: int
    steps: int
    loss: float
    eta_s: float
    of: Learned = "rows"
    went_on: int = 0

    @property
    def goes_on(self) -> bool:
        """Whether this is the first that is told of a training that goes on."""
        return 0 < self.went_on >= self.step - 1


class HeldOut:
    """Rows that judge a training; none judge nothing."""

    def __init__(self, rows: Sequence[Rendered], *, batch_size: int) -> None:
        ordered = sorted(rows, key=lambda row: len(row.input_ids))
        self._batches = [collate(ordered[i : i + batch_size]) for i in range(0, len(ordered), batch_size)]

    def __bool__(self) -> bool:
        return bool(self._batches)

    def loss(self, model: torch.nn.Module) -> float:
        """Mean loss per completion token over all rows, nats."""
        device = next(model.parameters()).device
        total, tokens = 0.0, 0.0
        model.eval()
        with torch.no_grad():
            for batch in own(self._batches):
                logprobs = completion_logprobs(model, moved(batch, device))
                total, tokens = total - float(logprobs.sum()), tokens + len(logprobs)
        model.train()
        total, tokens = summed([total, tokens], device=device)
        return total / tokens


class KeepBest(TrainerCallback):  # type: ignore[misc]  # transformers is not followed
    """Reports each step, validates each epoch, keeps the best epoch's adapter in memory, stops when none is better.

    `to_beat` is a validation loss that an epoch must not exceed to be kept. `best` is empty where none was.
    """

    def __init__(
        self,
        held_out: HeldOut,
        progress: Callable[[TrainProgress], None],
        *,
        of: Learned = "rows",
        to_beat: float = math.inf,
    ) -> None:
        self._held_out, self._progress, self.of = held_out, progress, of
        self._to_beat = to_beat
        self._started, self._before_s = time.monotonic(), 0.0
        self.went_on = 0  # steps
        self.losses: list[float] = []
        self.best: Weights = {}

    def next(self, of: Learned) -> "KeepBest":
        """A keeper of what is learned after this, which has to be no worse."""
        return KeepBest(self._held_out, self._progress, of=of, to_beat=min(self.losses, default=math.inf))

    @property
    def seconds(self) -> float:
        """Since training began, without what was lost by an interruption."""
        return self._before_s + time.monotonic() - self._started

    def save(self, folder: Path) -> None:
        """What it knows, beside a checkpoint."""
        save_file(self.best, folder / BEST)
        (folder / KEPT).write_text(json.dumps({"losses": self.losses, "seconds": self.seconds}))

    def restore(self, folder: Path) -> None:
        """What `save` has written."""
        kept = json.loads((folder / KEPT).read_text())
        self.best, self.losses, self._before_s = load_file(folder / BEST), kept["losses"], kept["seconds"]

    def tell_again(self, steps: int, loss: float) -> None:
        """All of it was learned before an interruption."""
        self._progress(TrainProgress(steps, steps, loss, 0.0, self.of, went_on=steps))

    @override
    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._started, self.went_on = time.monotonic(), state.global_step

    @override
    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs = kwargs["logs"]
        if "loss" in logs:  # the last call brings totals only
            step, steps, loss = state.global_step, state.max_steps, float(logs["loss"])
            pace_s = (time.monotonic() - self._started) / (step - self.went_on)
            self._progress(TrainProgress(step, steps, loss, pace_s * (steps - step), self.of, self.went_on))

    @override
    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        model = kwargs["model"]
        if self._held_out:
            self.losses.append(self._held_out.loss(model))
            if self.losses[-1] > min(self._to_beat, *self.losses):
                control.should_training_stop = True
                return
        self.best = {name: tensor.detach().cpu().clone() for name, tensor in get_peft_model_state_dict(model).items()}
