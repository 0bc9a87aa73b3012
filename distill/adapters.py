"""Adapters on disk and on vLLM: immutable, uniquely named, compared before they are trusted.

vLLM answers 200 to an adapter whose module names do not match its model, and then serves the base model. So an
adapter is checked before it is loaded, and probed afterwards (`probe`).
"""

import hashlib
import json
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from distill.errors import DistillError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
SLOTS = re.compile(r'vllm:lora_requests_info{[^}]*max_lora="(\d+)"')
MOST_RANK = re.compile(r"greater than max_lora_rank (\d+)")
LIKELIEST = 5  # tokens of a place
TIMEOUT_S = 60.0
ASK_S = 5.0  # what an engine has for an answer, where somebody looks every few seconds
LOOK_S = 2.0  # from one try to reach the engine to the next
State = tuple[int, int, int, int]  # of a file


class AdapterError(DistillError):
    """An adapter folder or the engine's answer to it cannot be used; the message says which and why."""


class EngineDown(AdapterError):
    """The engine cannot be reached."""


def digest(path: Path) -> str:
    """SHA-256 over configuration and weights. Raises AdapterError where one is missing."""
    found = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        try:
            found.update((path / name).read_bytes())
        except OSError as error:
            raise AdapterError(f"adapter {path}: {name} cannot be read: {error.strerror}") from error
    return found.hexdigest()


def state(file: Path) -> State:
    """Of a file: what is another one once it has been written. Raises OSError."""
    found = file.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _known_digest(path: Path) -> str:
    try:
        return _read_once(path, state(path / CONFIG), state(path / WEIGHTS))
    except OSError as error:
        raise AdapterError(f"adapter {path} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=1024)
def _read_once(path: Path, *found_in: State) -> str:
    """For every state that the folder's files are in."""
    del found_in
    return digest(path)


def verify(path: Path, *, expected: str, anew: bool = True) -> None:
    """Raises AdapterError where the folder is not the one that was registered under this digest.

    Without `anew` files that this process has read before, in the state that they are in, are not read again.
    """
    found = digest(path) if anew else _known_digest(path)
    if found != expected:
        raise AdapterError(f"adapter {path} was altered: its digest is {found[:12]}, registered was {expected[:12]}")


def rank(path: Path) -> int:
    """Of the LoRA in a folder. Raises AdapterError where it cannot be read."""
    return int(_config(path)["r"])


def check_compatible(path: Path, *, base_model: str) -> None:
    """Raises AdapterError unless this is a plain LoRA of whole pairs, each of which fits a module of the base model.

    One that names another base model is refused too, where it would fit: it would be applied, and say nothing. Reads
    headers only: no model is loaded.
    """
    config = _config(path)
    _check_plain(path, config)
    base = _base_shapes(base_folder(base_model))
    tensors = _shapes(path / WEIGHTS)
    if not tensors:
        raise AdapterError(f"adapter {path} holds no tensors")
    for name, shape in tensors.items():
        if words := _misfit(name, shape, base):
            raise AdapterError(f"adapter {path} was not made for {base_model}: {words}")
    if halves := [name for name in tensors if _other_half(name) not in tensors]:
        raise AdapterError(f"adapter {path} is incomplete: {halves[0]} has no counterpart")
    named = config.get("base_model_name_or_path")
    if named and not _same_base(named, base_model):
        raise AdapterError(
            f"adapter {path} was not made for {base_model}: it fits, and names {named} as its base model"
        )


def _check_plain(path: Path, config: Mapping[str, Any]) -> None:
    for option in ("use_dora", "modules_to_save", "lora_bias"):
        if config.get(option):
            raise AdapterError(f"adapter {path}: {option} cannot be served by vLLM; train a plain LoRA")
    if config.get("bias", "none") != "none":
        raise AdapterError(f"adapter {path}: bias {config['bias']!r} cannot be served by vLLM; train a plain LoRA")


def _config(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((path / CONFIG).read_text()))
    except (OSError, ValueError) as error:
        raise AdapterError(f"adapter {path}: {CONFIG} cannot be read: {error}") from error


def _misfit(name: str, shape: Sequence[int], base: Mapping[str, Sequence[int]]) -> str | None:
    """LoRA A is (rank, in), B is (out, rank); the module's weight is (out, in)."""
    found = TENSOR.fullmatch(name)
    weight = base.get(f"{found['module']}.weight") if found else None
    if found is None or weight is None:
        return f"no module for the tensor {name}"
    ours, theirs = (shape[1], weight[1]) if found["side"] == "A" else (shape[0], weight[0])
    return None if ours == theirs else f"{name} has size {ours} where the module has {theirs}"


def _other_half(name: str) -> str:
    a, b = ".lora_A.", ".lora_B."
    return name.replace(a, b) if a in name else name.replace(b, a)


def base_folder(base_model: str) -> Path:
    """A base model's folder: its own, or the one in which a hub's download lies. Raises AdapterError."""
    if Path(base_model).is_dir():
        return Path(base_model)
    try:
        return Path(snapshot_download(base_model, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise AdapterError(f"base model {base_model} is neither a folder nor in the hub's cache: {error}") from error


def _same_base(named: str, base_model: str) -> bool:
    """By name, or by the folder that both stand for."""
    if named == base_model:
        return True
    try:
        return base_folder(named).samefile(base_folder(base_model))
    except AdapterError:
        return False


def _base_shapes(folder: Path) -> dict[str, Sequence[int]]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise AdapterError(f"base model {folder} holds no safetensors to compare an adapter with")
    return {name: shape for file in files for name, shape in _shapes(file).items()}


def _shapes(file: Path) -> dict[str, Sequence[int]]:
    try:
        with safe_open(file, framework="pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise AdapterError(f"{file} is missing, cut off or no safetensors file: {error}") from error


def _place(path: Path) -> str:
    return str(path.absolute())  # the engine runs elsewhere


@cache
def _trusted() -> ssl.SSLContext:
    """Once: to read all certificates takes tens of milliseconds, and engines are looked at every few seconds."""
    return httpx.create_ssl_context()


class AdapterServer:
    """vLLM's private endpoints for adapters. `base_url` without /v1; `ask_s`: what it has for an answer to a question,
    where that is less than for an order."""

    def __init__(self, base_url: str, *, timeout_s: float = TIMEOUT_S, ask_s: float | None = None) -> None:
        self.url = base_url
        self._timeouts_s = {"GET": ask_s or timeout_s, "POST": timeout_s}
        self._http = httpx.Client(base_url=base_url, verify=_trusted())

    def engines(self) -> "list[AdapterServer]":
        """All that answer under this address, each by itself: this one."""
        return [self]

    def load(self, name: str, path: Path, *, patience_s: float = 0.0) -> None:
        """Load a folder under a name; nothing happens where the engine already serves this folder under it.

        Never in place: the engine's prefix cache would keep answers of the old weights. Raises AdapterError where the
        name serves another folder, EngineDown where the engine does not come back within `patience_s`.
        """
        self.await_one(patience_s)
        if not self.serves(name, path):
            self._ask("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": _place(path)})

    def serves(self, name: str, path: Path) -> bool:
        """Whether this folder is loaded under this name."""
        return self.folders().get(name) == _place(path)

    def unload(self, name: str) -> None:
        """Take an adapter out."""
        self._ask("POST", "/v1/unload_lora_adapter", {"lora_name": name})

    def loaded(self) -> set[str]:
        """Names the engine serves, the base model's among them."""
        return set(self.folders())

    def folders(self) -> dict[str, str]:
        """The folder behind each name that the engine serves, the base model's among them."""
        return {model["id"]: model["root"] for model in self._models()}

    def base(self) -> str:
        """The name under which the engine serves the base model itself."""
        return next(str(model["id"]) for model in self._models() if not model.get("parent"))

    def version(self) -> str:
        """The engine's version: log-probabilities differ between versions."""
        try:
            return str(self._json("/version")["version"])
        except (KeyError, TypeError) as error:
            raise AdapterError(f"vLLM at {self._http.base_url} does not say its version") from error

    def greedy(self, name: str, messages: Sequence[Mapping[str, Any]], *, max_tokens: int) -> tuple[str, list[float]]:
        """A greedy answer and its tokens' log-probabilities (nats), the end of the turn included."""
        body = {"model": name, "messages": list(messages), "temperature": 0, "max_tokens": max_tokens, "logprobs": True}
        choice = self._ask("POST", "/v1/chat/completions", body).json()["choices"][0]
        return choice["message"]["content"] or "", [token["logprob"] for token in choice["logprobs"]["content"]]

    def next_tokens(self, name: str, prompts: Sequence[str] | Sequence[Sequence[int]]) -> list[dict[str, float]]:
        """Of each prompt how it would go on: log-probabilities (nats) of the likeliest next tokens.

        By drafts of one token, as live ones are: with `prompt_logprobs` vLLM 0.32 ends as soon as another request is in
        the same batch.
        """
        body = {"model": name, "prompt": list(prompts), "temperature": 0, "max_tokens": 1, "logprobs": LIKELIEST}
        answer = self._ask("POST", "/v1/completions", {**body, "return_tokens_as_token_ids": True})
        try:
            choices = sorted(answer.json()["choices"], key=lambda choice: choice["index"])
            told = [choice["logprobs"]["top_logprobs"][0] for choice in choices]
            found = [{str(token): float(value) for token, value in place.items()} for place in told]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise AdapterError(f"vLLM at {self.url} gives no log-probabilities") from error
        if len(found) != len(prompts) or not all(found):
            raise AdapterError(f"vLLM at {self.url} gives log-probabilities of {len(found)} of {len(prompts)} prompts")
        return found

    def slots(self) -> int | None:
        """How many adapters have room in one batch; None where it has not said so, as before its first request."""
        found = SLOTS.search(self._ask("GET", "/metrics").text)
        return int(found[1]) if found else None

    def most_rank(self, wanted: int, *, scratch: Path) -> int | None:
        """The highest rank that the engine takes, where that is less than `wanted`; None where it is not.

        It is asked for an adapter that is a configuration alone, in a folder of `scratch`, which it refuses in any
        case: for its rank, or for the weights that are missing.
        """
        with TemporaryDirectory(dir=scratch, prefix=".rank-") as folder:
            Path(folder).chmod(0o755)  # the engine may run as somebody else
            config = {"peft_type": "LORA", "r": wanted, "lora_alpha": wanted, "target_modules": ["q_proj"]}
            (Path(folder) / CONFIG).write_text(json.dumps(config))
            try:
                self.load(Path(folder).name, Path(folder))
            except EngineDown:
                raise
            except AdapterError as error:
                found = MOST_RANK.search(str(error))
                return int(found[1]) if found else None
        raise AdapterError(f"vLLM at {self.url} has loaded an adapter without weights")

    def await_one(self, patience_s: float) -> None:
        """Until an engine answers, or so long."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            try:
                self.folders()
            except EngineDown:
                time.sleep(LOOK_S)
            else:
                return

    def _models(self) -> list[dict[str, Any]]:
        try:
            models = self._json("/v1/models")["data"]
            return [{"id": each["id"], "root": each["root"], "parent": each.get("parent")} for each in models]
        except (KeyError, TypeError, AttributeError) as error:
            raise AdapterError(f"vLLM at {self.url} does not say what it serves") from error

    def _json(self, path: str) -> Any:
        try:
            return self._ask("GET", path).json()
        except ValueError as error:
            raise AdapterError(f"vLLM at {self.url} answers {path} with no JSON") from error

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            response = self._http.request(method, path, json=body, timeout=self._timeouts_s[method])
        except httpx.HTTPError as error:
            raise EngineDown(f"vLLM at {self._http.base_url} cannot be reached: {error}") from error
        if response.status_code != 200:
            raise AdapterError(f"vLLM refused {path}: HTTP {response.status_code} {response.text[:300]}")
        return response
