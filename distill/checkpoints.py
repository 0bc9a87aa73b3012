"""Where a training stands, on disk, so that one that was killed is gone on with (docs/decisions/0045).

A training is found again by a digest of all that decides what it comes to. A checkpoint counts once all its files are
there and are what was written: their digests are written last, and are looked at before anything else is read. Knows
folders and files only; what is in them is `distill.resume`'s.
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from distill.errors import DistillError

FOLDER = ".training"  # beside the adapters
KEEP_S = 24 * 3600.0  # what nobody goes on with in this time is deleted
MOST_BEGINS = 3  # without a checkpoint between them: what ends a training every time may lie in what it goes on from
ABOUT, WHOLE, DONE = "about.json", "whole.json", "done"
log = logging.getLogger(__name__)


class Checkpoints:
    """Of one training, for the release of that name: of each lesson the newest, or what it has come to."""

    def __init__(self, adapters: Path, *, digest: str, release: str) -> None:
        self._folder, self._release = adapters / FOLDER / digest, release
        self.went_on = False

    def begin(self) -> None:
        """Note who goes on with it; give up what has ended several trainings, and delete what is damaged: of several
        processes each finds the same then."""
        _prune(self._folder)
        begins = 1 + int(read(self._folder / ABOUT).get("begins", 0))
        if begins > MOST_BEGINS:
            log.warning("training starts over: it ended %d times after the same checkpoint", begins - 1)
            self.remove()
            begins = 1
        self._note(begins)
        for folder in self._folder.glob("*/*/"):
            _clear_away_damaged(folder)

    def lesson(self, name: str) -> Path:
        """Where a lesson's checkpoints lie, each in a folder `checkpoint-STEP`."""
        return self._folder / name

    @property
    def any(self) -> bool:
        """Whether there is something to go on from."""
        return _any(self._folder)

    def last(self, lesson: str) -> Path | None:
        """The newest whole checkpoint of a lesson; damaged ones are deleted."""
        found = self.lesson(lesson).glob("checkpoint-*")
        newest_first = sorted(found, key=lambda each: int(each.name.rpartition("-")[2]), reverse=True)
        return next((each for each in newest_first if self._goes_on_from(each)), None)

    def done(self, lesson: str) -> Path | None:
        """What a lesson that is over has come to."""
        folder = self.lesson(lesson) / DONE
        return folder if folder.exists() and self._goes_on_from(folder) else None

    def finish(self, lesson: str) -> Path:
        """A new folder for what it has come to, to be sealed."""
        folder = self.lesson(lesson) / DONE
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def seal(self, folder: Path) -> None:
        """What is in the folder is whole; what was before it is not needed any more."""
        digests = {file.name: _digest(file) for file in folder.iterdir() if file.name != WHOLE}
        (folder / WHOLE).write_text(json.dumps(digests))
        self._note(0)
        for other in folder.parent.iterdir():
            if other.is_dir() and other != folder:
                shutil.rmtree(other)

    def remove(self) -> None:
        """Nothing is left of the training but what it was for."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):  # another one's are there
            self._folder.parent.rmdir()

    def _goes_on_from(self, folder: Path) -> bool:
        whole = not _clear_away_damaged(folder)
        self.went_on = self.went_on or whole
        return whole

    def _note(self, begins: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        written = self._folder / f"{ABOUT}.new"
        written.write_text(json.dumps({"release": self._release, "begins": begins}))
        written.replace(self._folder / ABOUT)  # a kill between leaves the last one: without it nobody goes on


@contextmanager
def checkpoints(adapters: Path, *, digest: str, release: str) -> Iterator[Checkpoints]:
    """Of the training with that digest of all that decides it. Gone after it has succeeded or cannot succeed; left
    behind where it is killed, and once where it fails by an error that may pass."""
    place = Checkpoints(adapters, digest=digest, release=release)
    place.begin()
    try:
        yield place
    except BaseException as error:
        if isinstance(error, DistillError) or not place.any or (place.went_on and isinstance(error, Exception)):
            place.remove()
        raise
    place.remove()


def unfinished(adapters: Path, release: str) -> bool:
    """Whether a training of that release was left behind, so lately that its rows are still worth going on with."""
    return any(read(folder / ABOUT).get("release") == release and _any(folder) for folder in _fresh(adapters))


def drop(adapters: Path, task: str) -> None:
    """Delete what trainings of a task have left behind. Raises OSError where that cannot be done."""
    for folder in (adapters / FOLDER).glob("*"):
        if str(read(folder / ABOUT).get("release", "")).rpartition("--")[0] in ("", task):
            shutil.rmtree(folder)


def _fresh(adapters: Path) -> list[Path]:
    return [folder for folder in (adapters / FOLDER).glob("*") if time.time() - _touched(folder) < KEEP_S]


def _prune(mine: Path) -> None:
    for folder in mine.parent.glob("*"):
        if folder != mine and time.time() - _touched(folder) >= KEEP_S:
            shutil.rmtree(folder, ignore_errors=True)


def _touched(folder: Path) -> float:
    about = folder / ABOUT
    return (about if about.exists() else folder).stat().st_mtime


def _any(folder: Path) -> bool:
    return any(folder.glob(f"*/*/{WHOLE}"))


def _clear_away_damaged(folder: Path) -> bool:
    """Whether it was."""
    if _is_whole(folder):
        return False
    log.warning("the checkpoint %s is damaged or was cut off: it is not gone on from", folder)
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _is_whole(folder: Path) -> bool:
    digests = read(folder / WHOLE)
    try:
        return bool(digests) and all(_digest(folder / name) == digest for name, digest in digests.items())
    except OSError:
        return False


def read(file: Path) -> dict[str, Any]:
    """Empty where the file is missing or cut off."""
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
