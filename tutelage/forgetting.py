"""To forget what was recorded, on all that keeps it: adapters on vLLM and on disk, then the ledger.

In this order: whatever ends it half-way, the adapters are gone or the next call still finds them.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import sqlalchemy as sa

from distill.adapters import AdapterError
from distill.checkpoints import drop
from distill.fleet import AdapterFleet
from ledger.forgetting import Found, Meant, find, forget, instead
from ledger.releases import SERVED, Release, canaries
from ledger.spool import segments
from ledger.standing import standing
from router.settings import ConfigError, Settings
from tutelage.distilling import binding_now, exclusive, label_due_s, load_champion
from tutelage.standing import in_words as progress_words
from tutelage.standing import measured

REJECTED = "*.rejected"


def in_words(found: Found) -> Iterator[str]:
    """What is meant, and what becomes of it."""
    for task, ids in found.ids.items():
        yield f"{len(ids)} exchanges of {task or 'no task'}"
    for release in found.releases:
        ends = "it is retired, and its" if release.status in (*SERVED, "ready") else "its"
        yield f"{release.name} ({release.status}) has learned from some: {ends} adapter is deleted"
        yield from (f"{release.task}: {words}" for words in _after(release, found))
    if found.waiting:
        yield f"{found.waiting} more wait for the teacher's label: say it again in some minutes"


def _after(release: Release, found: Found) -> Iterator[str]:
    """What the end of a release leaves its task with."""
    if release.status == "champion":
        follows = found.instead.get(release.task)
        yield f"{follows.name} serves again" if follows else "the teacher answers"
    if release.status == "champion" and release.task in found.on_trial:
        yield f"{found.on_trial[release.task]} is on trial, and this begins anew"
    elif release.status in SERVED:
        yield "another student is trained from the rows that remain; nobody has to ask for it"
    if release.status == "ready":
        yield "it waits for other settings no more; `tutelage recertify` may make another"


def retraining(settings: Settings, engine: sa.Engine, found: Found, *, now: float) -> Iterator[str]:
    """How far the students are that are to be trained again."""
    chosen = settings.distill
    for task in dict.fromkeys(release.task for release in found.releases if release.task in settings.tasks):
        plan = settings.tasks[task]
        stands = standing(engine, task, teacher=plan.teacher, window_share=chosen.window_share)
        if stands.forgotten is None:
            continue
        if not settings.teachers[plan.teacher].may_train:
            yield f"{task}: none is trained, since teachers.{plan.teacher}.may_train is false"
            continue
        yield f"{task}: retraining is due, with {progress_words(measured(settings, stands, now=now))}"


def look(engine: sa.Engine, settings: Settings, meant: Meant) -> Found:
    """What is meant now. Raises NothingToForget."""
    slowest_s = max((label_due_s(settings, task) for task in settings.tasks), default=0.0)
    found = find(engine, meant, due=time.time() - slowest_s)
    bindings = _bindings(settings, found)
    ending = {release.name for release in found.releases}
    on_trial = {task: canary.name for task, canary in canaries(engine).items() if canary.name not in ending}
    follow = instead(engine, found.releases, bindings=bindings, now=time.time())
    return replace(found, instead=follow, on_trial=on_trial)


def _bindings(settings: Settings, found: Found) -> dict[str, dict[str, str]]:
    """What must hold for a release that takes the place of one of these, by task; of none while it is not known what
    serves: what does not hold would be voided, and with it the traffic before."""
    ends = {each.task for each in found.releases if each.status == "champion"} & settings.tasks.keys()
    known = {task: binding_now(settings, task) for task in sorted(ends)}
    return {task: binding for task, binding in known.items() if {"engine", "base_digest"} <= binding.keys()}


def forget_all(engine: sa.Engine, settings: Settings, meant: Meant, *, say: Callable[[str], None]) -> Found:
    """Forget what is found now. Raises NothingToForget, LeaseTaken while a release of these tasks is made, ConfigError
    where an adapter cannot be deleted; nothing is forgotten then."""
    with ExitStack() as stack:
        for task in look(engine, settings, meant).ids:
            if task is not None:
                stack.enter_context(exclusive(engine, task))
        found = look(engine, settings, meant)
        bindings = _bindings(settings, found)
        for release in found.releases:
            _delete_adapter(settings, release.name, say=say)
        _drop_trainings(settings, found)
        in_force = forget(engine, found, meant=meant, now=time.time(), bindings=bindings)
    for release in in_force.values():
        if failure := load_champion(settings, release):
            say(f"WARNING: {release.name} is in force, and until this is mended the teacher answers: {failure}")
    if kept := sorted(settings.ledger.spool_dir.glob(REJECTED)):
        say(f"WARNING: {len(kept)} files of records that no database took were not searched: {kept[0]}")
    if segments(settings.ledger.spool_dir):
        say("a gateway's spool holds such texts for ten minutes more; what comes from now on is not forgotten by this")
    return replace(found, instead=in_force)


def _drop_trainings(settings: Settings, found: Found) -> None:
    """What was interrupted has learned from some of a task's rows, and no release says from which."""
    try:
        for task in found.ids:
            if task is not None:
                drop(settings.student.adapters_dir, task)
    except OSError as error:
        raise ConfigError(f"the checkpoint {error.filename} cannot be deleted: {error.strerror}") from error


def _delete_adapter(settings: Settings, name: str, *, say: Callable[[str], None]) -> None:
    """Whatever the engines do: no gateway asks for it once the ledger has ended its release."""
    try:
        AdapterFleet(settings.student.engines_url, timeout_s=5.0).unload(name)
    except AdapterError as error:
        say(f"WARNING: {name} may still be loaded, start such an engine again where it runs: {error}")
    try:
        shutil.rmtree(settings.student.adapters_dir / name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"the adapter {error.filename} cannot be deleted: {error.strerror}") from error
