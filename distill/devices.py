"""On what a training computes: one device, or several with a process for each (docs/decisions/0045, 0049).

What is asked here holds in a training by one process as well, which is the first of one.
"""

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import distributed

from distill.errors import DistillError

T = TypeVar("T")
SHARDED = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")  # what accelerate launch sets


class NotAlone(DistillError):
    """Started as one of several processes; the message says what to do. Nothing was changed."""


def check_alone() -> None:
    """Raises NotAlone where torchrun or accelerate has started several processes, or shards the model."""
    processes = os.environ.get("WORLD_SIZE", "1")
    if processes == "1" and not any(os.environ.get(name) == "true" for name in SHARDED):
        return
    raise NotAlone(
        f"a run is one process, which starts those that it needs (distill.gpus), and a launcher has started "
        f"{processes} (WORLD_SIZE) or shards the model: start it without torchrun or accelerate launch"
    )


def one_device(arguments: Any) -> Any:
    """transformers' arguments without the copies on every visible GPU that one process makes otherwise (DataParallel),
    whose batch would be as many times larger than was asked for."""
    arguments._n_gpu = min(1, arguments.n_gpu)  # as transformers does for a model that lies on several devices
    return arguments


def is_first() -> bool:
    """Whether this is the process that writes and tells."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def agreed(said: bool) -> bool:
    """What the first process says, in all of them: they have clocks of their own."""
    if not distributed.is_initialized():
        return said
    first = [said]
    distributed.broadcast_object_list(first, src=0)
    return first[0]


def own(found: Sequence[T]) -> Sequence[T]:
    """What of it this process does; all of them together do it all, and nothing twice."""
    return found[distributed.get_rank() :: distributed.get_world_size()] if distributed.is_initialized() else found


def summed(numbers: Sequence[float], *, device: torch.device) -> list[float]:
    """Over all processes, the same to the last digit in each."""
    if not distributed.is_initialized():
        return list(numbers)
    found = torch.tensor(numbers, dtype=torch.float64, device=device)
    distributed.all_reduce(found)
    return [float(each) for each in found]


def all_are_here() -> None:
    """Waits for the others."""
    if distributed.is_initialized():
        distributed.barrier()
