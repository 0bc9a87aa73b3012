"""The GPUs of this machine: how many there are, and which of them a training takes."""

import functools
import os
import shutil
import subprocess

VISIBLE = "CUDA_VISIBLE_DEVICES"


@functools.cache
def gpus() -> int:
    """How many of NVIDIA's are there for us: those that the driver knows, as far as CUDA_VISIBLE_DEVICES shows them."""
    if not shutil.which("nvidia-smi"):
        return 0
    found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    if found.returncode:
        return 0
    there = sum(line.startswith("GPU ") for line in found.stdout.splitlines())
    return there if VISIBLE not in os.environ else min(there, len(_shown()))


def has_gpu() -> bool:
    """Whether there is one."""
    return gpus() > 0


def take(count: int) -> None:
    """Leave this process and its own the last so many: vLLM has the first. To be called before CUDA is, which looks
    once.

    Raises ConfigError where there are fewer; without any, one is not missed.
    """
    from router.settings import ConfigError  # not where environments are made, with the standard library alone

    there = gpus()
    if count > max(there, 1):
        raise ConfigError(f"distill.gpus is {count}, and {there} are visible here (nvidia-smi -L, {VISIBLE})")
    if there:
        os.environ[VISIBLE] = ",".join((_shown() or [str(number) for number in range(there)])[-count:])
        gpus.cache_clear()


def _shown() -> list[str]:
    found = [each.strip() for each in os.environ.get(VISIBLE, "").split(",")]
    return [each for each in found if each and not each.startswith("-")]
