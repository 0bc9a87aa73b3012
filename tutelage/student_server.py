"""How the student's engine is started: the command line and environment of vLLM's OpenAI-compatible server.

Starts nothing itself: whoever supervises processes does.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from router.settings import Settings
from tutelage.gpus import gpus, has_gpu
from tutelage.provision import tcmalloc_preload

MOST_LORAS = 16  # in one batch: each takes its share of the engine's memory, used or not
SHARED, ALONE = 0.5, 0.9  # of a GPU's memory, beside a training and without one
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM can be given as the highest
LOCALHOST = "127.0.0.1"
CPUINFO = Path("/proc/cpuinfo")
FEW_CORES = 4  # of so few none is set aside for scheduling: 3.7 drafts a second on two cores instead of 2.1
BF16_FLAGS = ("amx_bf16", "bf16")  # with avx512_bf16 alone float32 is faster (docs/decisions/0003)


@dataclass(frozen=True)
class Room:
    """For adapters on an engine: so many in one batch, so many in the machine's memory, of this rank at most."""

    loras: int
    cpu_loras: int
    rank: int


def room(settings: Settings) -> Room:
    """For all that may be asked at once: of each task champion and canary, and of the one run that a worker has a
    candidate and the best release so far, which it is compared with.

    Twice as many stay in memory: the releases before are asked while gateways still hold them, and what is loaded again
    is heard under another name first. The rank is the highest of what is to be trained and what was.
    """
    adapters = max(1, len(settings.tasks)) * (2 if settings.canary.share < 1.0 else 1) + 2
    highest = max([settings.distill.highest_rank, *_ranks(settings.student.adapters_dir)])
    allowed = next(each for each in RANKS if each >= highest)
    return Room(min(adapters, MOST_LORAS), 2 * adapters, allowed)


def _ranks(adapters_dir: Path) -> Iterator[int]:
    """Of the adapters on this disk; what cannot be read cannot be loaded either."""
    from distill.adapters import CONFIG, AdapterError, rank  # with the hub's client, which few commands need

    for config in adapters_dir.glob(f"*/{CONFIG}"):
        with suppress(AdapterError, KeyError, TypeError, ValueError):
            yield min(rank(config.parent), RANKS[-1])


@dataclass(frozen=True, kw_only=True)
class StudentServer:
    """One engine: a base model that adapters are loaded onto, `max_loras` in one batch, of rank `lora_rank` at most.

    `max_cpu_loras` of them stay in memory: any more are read from disk again whenever they are asked. Where there is a
    GPU it takes `gpu_memory_share` of its memory.
    `vllm_env` is the folder of the environment that vLLM runs in; `model` is a folder or a name on a model hub;
    `max_model_len` counts prompt and completion tokens.
    """

    vllm_env: Path
    model: str
    served_name: str
    port: int
    max_model_len: int
    max_loras: int
    lora_rank: int
    max_cpu_loras: int | None = None
    gpu_memory_share: float = SHARED


def gpu_memory_share(settings: Settings) -> float:
    """As it is set; else what leaves a training room where it computes on the engine's GPU, the first one, too."""
    training_comes_too = settings.distill.gpus >= gpus()
    return settings.student.gpu_memory_share or (SHARED if training_comes_too else ALONE)


def command(server: StudentServer) -> list[str]:
    """The argument vector. The server listens on localhost only: its endpoint that loads adapters has no password."""
    return [
        str(server.vllm_env / "bin/python"),
        *("-m", "vllm.entrypoints.launchers.api_server.entry"),
        *("--model", server.model),
        *("--served-model-name", server.served_name),
        *("--host", LOCALHOST),
        *("--port", str(server.port)),
        *("--dtype", compute_dtype()),
        *("--max-model-len", str(server.max_model_len)),
        "--enable-lora",
        *("--max-loras", str(server.max_loras)),
        *("--max-cpu-loras", str(server.max_cpu_loras or server.max_loras)),
        *("--max-lora-rank", str(server.lora_rank)),
        *("--max-logprobs", "20"),
        *_where_it_computes(server),
    ]


def _where_it_computes(server: StudentServer) -> tuple[str, ...]:
    """On a CPU compiling gains nothing, and blocks have 128 tokens unless it is told: no shorter beginning is kept of
    what all prompts of a task begin with."""
    if has_gpu():
        return "--gpu-memory-utilization", f"{server.gpu_memory_share:g}"
    return "--enforce-eager", "--block-size", "32"


def compute_dtype() -> str:
    """bfloat16 on a GPU and on processors that compute in it; float32 elsewhere.

    A processor without the instructions emulates them: prefill then runs at 5 tokens a second instead of hundreds.
    """
    flags = CPUINFO.read_text() if CPUINFO.exists() else ""
    return "bfloat16" if has_gpu() or any(f" {flag}" in flags for flag in BF16_FLAGS) else "float32"


def environment(server: StudentServer) -> dict[str, str]:
    """What is added to the caller's environment variables."""
    variables = {
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
    if (os.cpu_count() or 1) <= FEW_CORES:
        variables["VLLM_CPU_NUM_OF_RESERVED_CPU"] = "0"
    if Path(server.model).exists():
        variables["HF_HUB_OFFLINE"] = "1"
    if preload := tcmalloc_preload(server.vllm_env):
        variables["LD_PRELOAD"] = preload
    return variables
