"""One training by several processes, each on a device of its own (docs/decisions/0049).

Each learns its share of every batch, and their gradients are averaged (torch's DistributedDataParallel): transformers'
Trainer sets that up by itself in processes that are started as accelerate starts them. The first one tells and writes.
"""

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import multiprocessing
from torch.multiprocessing.spawn import start_processes

from distill.best import TrainProgress
from distill.errors import DistillError
from ledger.tied import tie_to_parent

Found = TypeVar("Found")
Tell = Callable[[TrainProgress], None]
LOOK_S = 0.1


def together(learn: Callable[[Tell], Found], *, devices: int, progress: Tell) -> Found:
    """What `learn` comes to: here where there is one device, else in so many processes, as the first of them has it.

    Then `learn` and what it returns are pickled, and it asks `distill.devices` who it is. Raises what it raises. None
    of the processes is left behind, whatever becomes of this one.
    """
    if devices == 1:
        return learn(progress)
    told = multiprocessing.get_context("spawn").SimpleQueue()
    member = _Member(learn, devices, _free_port(), told, of=os.getpid())
    group = start_processes(  # type: ignore[no-untyped-call]
        member, nprocs=devices, join=False, daemon=True, start_method="spawn"
    )
    found: list[Found] = []
    ended = False
    try:
        while not found and not ended:
            try:
                ended = group.join(timeout=LOOK_S)  # ends the others, and raises, where one has crashed
            finally:  # what one has said of its end is clearer than how the others have met it
                while not told.empty():
                    _take(told.get(), found, progress)
    finally:
        for each in group.processes:
            each.kill()
            each.join()
    return found[0]


@dataclass(frozen=True)
class _Done(Generic[Found]):
    found: Found


def _take(message: Any, found: list[Found], progress: Tell) -> None:
    if isinstance(message, DistillError):
        raise message
    if isinstance(message, _Done):
        found.append(message.found)
    else:
        progress(message)


@dataclass(frozen=True)
class _Member:
    """What each of the processes does; they meet at a `port` of this machine, and end with the process `of`."""

    learn: Callable[[Tell], object]
    devices: int
    port: int
    told: Any  # a queue, of which no type is known
    of: int

    def __call__(self, rank: int) -> None:
        """As the process of that rank."""
        tie_to_parent(signal.SIGKILL)  # one that waits for a GPU hears of nothing else
        if os.getppid() != self.of:
            return
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": self.devices, "LOCAL_WORLD_SIZE": self.devices}
        os.environ.update({name: str(value) for name, value in ranks.items()})
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(self.port))
        if not torch.cuda.is_available():
            threads = max(1, torch.get_num_threads() // self.devices)
            torch.set_num_threads(threads)
            os.environ.update(ACCELERATE_USE_CPU="true", OMP_NUM_THREADS=str(threads))  # which accelerate asks for
        try:
            found = self.learn(self.told.put if rank == 0 else _say_nothing)
        except DistillError as error:
            self.told.put(error)
            return
        if rank == 0:
            self.told.put(_Done(found))


def _say_nothing(at: TrainProgress) -> None:
    """The first one does."""


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
