"""Several engines behind one name: an adapter is loaded on each of them.

A name's addresses are asked for at every call, since engines come and go. An engine alone is a fleet of one.
"""

import socket
from pathlib import Path
from urllib.parse import urlsplit

from distill.adapters import TIMEOUT_S, AdapterError, AdapterServer, EngineDown


class AdapterFleet(AdapterServer):
    """An `AdapterServer` over all addresses of `base_url`'s host, http://HOST:PORT.

    Where one of them fails the call fails, and may be made again: what the others hold already is left as it is.
    """

    def __init__(self, base_url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__(base_url, timeout_s=timeout_s)
        self._url, self._timeout_s = base_url, timeout_s
        self._engines: dict[str, AdapterServer] = {}

    def load(self, name: str, path: Path, *, patience_s: float = 0.0) -> None:
        """Load a folder under a name on every engine; the patience is for the first of them to answer."""
        self._await(patience_s)
        for engine in self._each():
            engine.load(name, path)

    def unload(self, name: str) -> None:
        """Take an adapter out wherever it is."""
        for engine in self._each():
            if name in engine.loaded():
                engine.unload(name)

    def loaded(self) -> set[str]:
        """Names that every engine serves."""
        return set.intersection(*(engine.loaded() for engine in self._each()))

    def version(self) -> str:
        """The version of all. Raises AdapterError where they are not of one."""
        found = {engine.version() for engine in self._each()}
        if len(found) > 1:
            raise AdapterError(f"the engines at {self._url} are of several versions, {', '.join(sorted(found))}")
        return found.pop()

    def _each(self) -> list[AdapterServer]:
        """Raises EngineDown where the name has no address."""
        urls = _addresses(self._url)
        self._engines = {url: self._engines.get(url) or AdapterServer(url, timeout_s=self._timeout_s) for url in urls}
        return list(self._engines.values())


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
