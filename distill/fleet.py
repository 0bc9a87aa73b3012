"""Several engines behind one name: what is done to an adapter is done on each of them.

A name's addresses are asked for at every call, since engines come and go. An engine alone is a fleet of one.
"""

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from distill.adapters import TIMEOUT_S, AdapterError, AdapterServer, EngineDown


class AdapterFleet(AdapterServer):
    """An `AdapterServer` over all addresses of `base_url`'s host, http://HOST:PORT.

    Where one of them fails the call fails, after it was made on the others, and may be made again. Drafts that are
    asked of the fleet itself are any engine's: who wants to know of each asks its `engines`.
    """

    def __init__(self, base_url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__(base_url, timeout_s=timeout_s)
        self._timeout_s = timeout_s
        self._engines: dict[str, AdapterServer] = {}

    def engines(self) -> list[AdapterServer]:
        """Each by its own address. Raises EngineDown where the name has none."""
        urls = _addresses(self.url)
        self._engines = {url: self._engines.get(url) or AdapterServer(url, timeout_s=self._timeout_s) for url in urls}
        return list(self._engines.values())

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
        """The version of all that answer. Raises AdapterError where they are not of one, EngineDown where none does."""
        found = set[str]()

        def ask(engine: AdapterServer) -> None:
            found.add(engine.version())

        try:
            on_each(self.engines(), ask)
        except EngineDown:
            if not found:
                raise
        if len(found) > 1:
            raise AdapterError(f"the engines at {self.url} are of several versions, {', '.join(sorted(found))}")
        return found.pop()


def on_each(engines: Sequence[AdapterServer], do: Callable[[AdapterServer], None]) -> None:
    """Do it with every engine, whatever it comes to with the others.

    Raises AdapterError with the address of each that failed, and why; EngineDown where they could not be reached.
    """
    failed: dict[str, AdapterError] = {}
    for engine in engines:
        try:
            do(engine)
        except AdapterError as error:
            failed[engine.url] = error
    if not failed:
        return
    if len(engines) == 1:
        raise next(iter(failed.values()))
    kind = EngineDown if all(isinstance(error, EngineDown) for error in failed.values()) else AdapterError
    why = "; ".join(f"{url}: {error}" for url, error in failed.items())
    raise kind(f"{len(failed)} of {len(engines)} engines failed: {why}")


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
