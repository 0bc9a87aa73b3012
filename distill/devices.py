"""On what a training computes: one device, whatever is visible (docs/decisions/0045)."""

import os
from typing import Any

import torch

from distill.errors import DistillError

SHARDED = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")  # what accelerate launch sets


class NotAlone(DistillError):
    """Started as one of several processes; the message says what to do. Nothing was changed."""


def check_alone() -> None:
    """Raises NotAlone where torchrun or accelerate has started several processes, or shards the model."""
    processes = os.environ.get("WORLD_SIZE", "1")
    if processes == "1" and not any(os.environ.get(name) == "true" for name in SHARDED):
        return
    raise NotAlone(
        f"one training is one process on one device, and a launcher has started {processes} (WORLD_SIZE) or shards the "
        "model: start it without torchrun or accelerate launch"
    )


def one_device(arguments: Any) -> Any:
    """transformers' arguments without the copies on every visible GPU that it makes otherwise (DataParallel), whose
    batch would be as many times larger than was asked for."""
    arguments._n_gpu = min(1, arguments.n_gpu)  # as transformers does for a model that lies on several devices
    return arguments


def words() -> str:
    """Which one, where there is a choice; empty where there is none."""
    if (visible := torch.cuda.device_count()) < 2:
        return ""
    return f", on the first of {visible} visible GPUs (CUDA_VISIBLE_DEVICES chooses)"
