"""What serves students, as a release is bound to it: the engine's version, and what the base model's folder holds."""

import hashlib
from functools import lru_cache
from pathlib import Path

from distill.adapters import AdapterError, AdapterServer, State, base_folder, state

MODEL_FILES = ("*.json", "*.jinja", "*.model", "*.txt", "*.safetensors")  # weights, tokenizer, chat template
WHOLE = 1 << 22  # bytes of a file that are read all; of a larger one so much of its beginning, and blocks of the rest
BLOCKS, BLOCK = 256, 1 << 14


def serving(server: AdapterServer, base_model: str) -> dict[str, str]:
    """Engine and base model, {"engine", "base_digest"}. Raises AdapterError where one of them cannot be known."""
    return {"engine": server.version(), "base_digest": base_digest(base_model)}


def base_digest(base_model: str) -> str:
    """SHA-256, shortened, over names and contents of a base model's files.

    Of weights a sample, since to read gigabytes takes too long to be asked often: other weights differ everywhere.
    Raises AdapterError where the model is not on this machine.
    """
    folder, found = base_folder(base_model), hashlib.sha256()
    for file in sorted({file for pattern in MODEL_FILES for file in folder.glob(pattern)}):
        try:
            found.update(f"{file.name} {_digest(file, state(file))}".encode())
        except OSError as error:
            raise AdapterError(f"base model {folder}: {file.name} cannot be read: {error.strerror}") from error
    return found.hexdigest()[:32]


@lru_cache(maxsize=1024)
def _digest(file: Path, found_in: State) -> str:
    """Once for every state that a file is in."""
    size, *_ = found_in
    found = hashlib.sha256(str(size).encode())
    with file.open("rb") as content:
        found.update(content.read(WHOLE))
        for number in range(BLOCKS if size > WHOLE else 0):
            content.seek(WHOLE + number * max(0, size - WHOLE - BLOCK) // (BLOCKS - 1))
            found.update(content.read(BLOCK))
    return found.hexdigest()
