"""What the images install: the project's requirements, those of the gateway without what only training needs, and all
that they need in turn, in the versions that are tested together."""

import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
TRAINING = {
    *("torch", "transformers", "peft", "trl", "datasets", "accelerate", "gguf"),  # the student
    *("scikit-learn", "river", "cleanlab"),  # its rows and its calibrator
}
READING = {"scipy", "datasketch", "matplotlib"}  # console, status, reports: no part that serves clients
BUILDING = {"setuptools"}  # torch asks for it, and the images build the wheel with it


def project(*extras: str) -> list[Requirement]:
    """pyproject's requirements with those of some extras."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*found["dependencies"], *(text for extra in extras for text in found["optional-dependencies"][extra])]
    return [Requirement(text) for text in texts]


def closure(roots: Iterable[Requirement]) -> set[str]:
    """Canonical names of the requirements and of all that they need on this machine's Python."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key not in seen:
            seen.add(key)
            waiting += [
                Requirement(text) for text in requires(one.name) or () if _applies(Requirement(text), one.extras)
            ]
    return {name for name, _ in seen}


def _applies(needed: Requirement, extras: Iterable[str]) -> bool:
    return needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def pins(path: Path) -> dict[str, str]:
    """Name -> version of a lock file."""
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line)}
