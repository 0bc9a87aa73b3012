"""A release put in force, or back, by a person: the same for the command line and the console."""

import time

import sqlalchemy as sa

from ledger.releases import Release, ReleaseError, canaries, get, reinstate, rollback
from router.settings import Settings
from tutelage.distilling import binding_now, load_champion


def promote(settings: Settings, engine: sa.Engine, name: str) -> str:
    """Put a release in force by its name; what to tell. Raises ReleaseError and ConfigError."""
    found = get(engine, name)
    task = found.task
    settings.task(task)
    _check_folder(settings, found)
    release = reinstate(engine, name, binding=binding_now(settings, task), now=time.time())
    return _told(settings, release, f"{name} is the champion")


def roll_back(settings: Settings, engine: sa.Engine, task: str) -> str:
    """End the trial of a canary, or put the release before the present one back in force; what to tell. Raises
    ReleaseError and ConfigError.

    One whose adapter somebody has removed is put in force as well: then the teacher answers, which whoever leaves the
    present one wants more than that one.
    """
    settings.task(task)
    on_trial = canaries(engine).get(task)
    release = rollback(engine, task, binding=binding_now(settings, task), now=time.time())
    if on_trial:
        return f"{on_trial.name} is tried no more" + (f", {release.name} goes on" if release else "")
    if release is None:
        return f"{task}: no release is in force, the teacher answers"
    return _told(settings, release, f"{release.name} is the champion again")


def _check_folder(settings: Settings, release: Release) -> None:
    """Raises ReleaseError where somebody has removed the adapter. The folder of all may be out of reach here."""
    folder = settings.student.adapters_dir
    if not release.gone and folder.is_dir() and not (folder / release.name).is_dir():
        raise ReleaseError(
            f"{release.name} cannot be put in force: its adapter is not in {folder}. Put it back there from a copy, or "
            f"promote another release (`tutelage releases list {release.task}`)"
        )


def _told(settings: Settings, release: Release, words: str) -> str:
    if failure := load_champion(settings, release):
        return f"{words}, and until this is mended the teacher answers: {failure}"
    return f"in force: {release.name}"
