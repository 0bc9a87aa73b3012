"""Several engines behind one name: what is done to an adapter is done on each of them.

A name's addresses are asked for at every call, since engines come and go. An engine alone is a fleet of one.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from distill.adapters import ASK_S, TIMEOUT_S, AdapterError, AdapterServer, EngineDown


class AdapterFleet(AdapterServer):
    """An `AdapterServer` over all addresses of `base_url`'s host, http://HOST:PORT.

    Where one of them fails the call fails, after it was made on the others, and may be made again. Drafts that are
    asked of the fleet itself are any engine's: who wants to know of each asks its `engines`.
    """

    def __init__(self, base_url: str, *, timeout_s: float = TIMEOUT_S, ask_s: float | None = None) -> None:
        super().__init__(base_url, timeout_s=timeout_s, ask_s=ask_s)
        self._timeout_s, self._ask_s = timeout_s, ask_s
        self._engines: dict[str, AdapterServer] = {}

    def engines(self) -> list[AdapterServer]:
        """Each by its own address. Raises EngineDown where the name has none."""
        urls = _addresses(self.url)
        self._engines = {url: self._engines.get(url) or self._engine(url) for url in urls}
        return list(self._engines.values())

    def _engine(self, url: str) -> AdapterServer:
        return AdapterServer(url, timeout_s=self._timeout_s, ask_s=self._ask_s)

    def load(self, name: str, path: Path, *, patience_s: float = 0.0) -> None:
        """Load a folder under a name on every engine; the patience is for the first of them to answer."""
        self.await_one(patience_s)
        on_each(self.engines(), lambda engine: engine.load(name, path))

    def unload(self, name: str) -> None:
        """Take an adapter out wherever it is. Raises AdapterError with the engines that could not be told."""
        on_each(self.engines(), lambda engine: engine.unload(name) if name in engine.loaded() else None)

    def loaded(self) -> set[str]:
        """Names that every engine serves."""
        return set.intersection(*(engine.loaded() for engine in self.engines()))

    def version(self) -> str:
        """The version of all that tell one. Raises AdapterError where they are not of one, or none does, EngineDown
        where none can be reached."""
        found, engines = set[str](), self.engines()
        failed = _failed(engines, lambda engine: found.add(engine.version()))
        if not found:
            raise _failure(engines, failed)
        if len(found) > 1:
            raise AdapterError(f"the engines at {self.url} are of several versions, {', '.join(sorted(found))}")
        return found.pop()


class Snapshot(AdapterFleet):
    """A fleet at one moment, for whoever looks every few seconds: an engine that does not tell its version, or gives no
    answer later, is asked nothing more."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url, ask_s=ASK_S)
        self._found: list[AdapterServer] = []

    @classmethod
    def take(cls, base_url: str) -> "Snapshot":
        """Of those that are there. Raises EngineDown where the name has no addresses, or none can be reached."""
        taken = cls(base_url)
        taken._found = super(cls, taken).engines()
        failed = _failed(taken._found, lambda engine: engine.version())
        if len(failed) == len(taken._found) and isinstance(error := _failure(taken._found, failed), EngineDown):
            raise error
        return taken

    def engines(self) -> list[AdapterServer]:
        """Those that were found, the sick among them."""
        return list(self._found)

    def _engine(self, url: str) -> AdapterServer:
        return _Once(url, ask_s=self._ask_s)


class _Once(AdapterServer):
    """An engine that is asked its version once, and nothing more once it has not told it or has not answered."""

    _version: str | None = None
    _sick: AdapterError | None = None

    def version(self) -> str:
        if self._version is None:
            try:
                self._version = super().version()
            except AdapterError as error:
                self._sick = error
                raise
        return self._version

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        if self._sick:
            raise type(self._sick)(str(self._sick))
        try:
            return super()._ask(method, path, body)
        except EngineDown as error:
            self._sick = error
            raise


def on_each(engines: Sequence[AdapterServer], do: Callable[[AdapterServer], None]) -> None:
    """Do it with every engine at once, whatever it comes to with the others.

    Raises AdapterError with the address of each that failed, and why; EngineDown where they could not be reached.
    """
    if failed := _failed(engines, do):
        raise _failure(engines, failed)


def _failed(engines: Sequence[AdapterServer], do: Callable[[AdapterServer], object]) -> dict[str, AdapterError]:
    """Do it with every engine at once; by address, why it failed where it did."""

    def attempt(engine: AdapterServer) -> AdapterError | None:
        try:
            do(engine)
        except AdapterError as error:
            return error
        return None

    with ThreadPoolExecutor(max_workers=len(engines)) as threads:
        outcomes = zip(engines, threads.map(attempt, engines), strict=True)
        return {engine.url: error for engine, error in outcomes if error}


def _failure(engines: Sequence[AdapterServer], failed: Mapping[str, AdapterError]) -> AdapterError:
    """Of those that failed, at least one, in a word."""
    if len(engines) == 1:
        return next(iter(failed.values()))
    kind = EngineDown if all(isinstance(error, EngineDown) for error in failed.values()) else AdapterError
    why = "; ".join(f"{url}: {error}" for url, error in failed.items())
    return kind(f"{len(failed)} of {len(engines)} engines failed: {why}")


def _addresses(url: str) -> list[str]:
    """The URL once for every address of its host; of both kinds of addresses an engine needs to have one only."""
    parts = urlsplit(url)
    assert parts.hostname, "the settings ask for one"
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
    except OSError as error:
        raise EngineDown(f"vLLM at {url} cannot be reached: {error}") from error
    hosts = {str(where[0]) for family, *_, where in found if family == socket.AF_INET} or {
        f"[{where[0]}]" for *_, where in found
    }
    return [f"http://{host}:{parts.port or 80}" for host in sorted(hosts)]
