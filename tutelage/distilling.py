"""Settings turned into a distillation run: the composition root of `distill`."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa

from calibration.certificate import Contract
from distill.gateway import GatewayClient
from distill.worth import Machine, Terms, appraise, in_words
from ledger.leases import held, run_lease
from ledger.releases import Release, abandon
from ledger.releases import served as in_force
from ledger.standing import standing
from ledger.upkeep import HOURS_A_MONTH
from router.gateway import LABEL_WAIT_S
from router.settings import Settings, Task

HOUR_S = 3600.0
SLACK_S = 10.0  # from the teacher's answer to the ledger
log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from distill.anew import Anew
    from distill.canary import Rules
    from distill.fleet import Snapshot
    from distill.plan import RunConfig
    from distill.recital import Checked
    from distill.retiring import Shelf
    from distill.train import TrainConfig


def run_config(
    settings: Settings, task_name: str, *, reuse: Release | None = None, served: Release | None = None
) -> "RunConfig":
    """Plain values for one run; `reuse`: whose adapter is certified anew; `served`: the last that was in force while
    requests were recorded. Raises ConfigError where the task is not configured."""
    from distill.again import Bounds
    from distill.plan import RunConfig  # with torch, which the worker and `up` do not need

    task, chosen, key = settings.task(task_name), settings.distill, settings.server.api_key
    train, *others = _train_configs(settings, task)
    return RunConfig(
        task=task_name,
        teacher=task.teacher,
        binding=settings.binding(task_name),
        may_train=settings.teachers[task.teacher].may_train,
        permission=settings.teachers[task.teacher].permission,
        measure=settings.compares_by(task_name),
        pattern=chosen.pattern,
        easy_weight=chosen.easy_weight,
        labels=task.labels or (),
        unfamiliar_share=chosen.unfamiliar_share,
        again=Bounds(chosen.ask_again, chosen.ask_again_usd),
        start=chosen.start,
        prefix=task.prefix,
        training_usd=chosen.training_usd,
        training_usd_per_hour=chosen.training_usd_per_hour,
        contract=Contract(task.alpha, task.delta, task.margin),
        train=train,
        also_try=tuple(others),
        adapters_dir=settings.student.adapters_dir,
        gateway_url=settings.internal_url,
        gateway_key=key.get_secret_value() if key else None,
        student_url=settings.student.engines_url,
        max_tokens=task.max_tokens,
        min_rows=chosen.min_rows,
        max_rows=chosen.max_rows,
        max_references=chosen.max_references,
        label_due_s=label_due_s(settings, task_name),
        window_share=chosen.window_share,
        fit_share=chosen.fit_share,
        validation_share=chosen.validation_share,
        rho=task.rho,
        reuse=reuse.name if reuse else None,
        canary=settings.canary.share < 1.0,
        anew=_anew(settings, served or reuse) if reuse else None,
    )


def _train_configs(settings: Settings, task: Task) -> "Iterator[TrainConfig]":
    """What is set, and what is to be tried beside it."""
    from distill.train import TrainConfig

    chosen = settings.distill
    for rank, learning_rate in chosen.variants:
        yield TrainConfig(
            base_model=settings.student.base_model,
            rank=rank,
            alpha=2 * rank,
            learning_rate=learning_rate,
            epochs=chosen.epochs,
            batch_size=chosen.batch_size,
            devices=chosen.gpus,
            max_tokens=settings.student.max_context_tokens,
            seed=chosen.seed,
            unsaid=task.unsaid,
        )


def _anew(settings: Settings, served: Release) -> "Anew | None":
    """None where the recorded answers are those that an adapter is to be certified for: the same teacher's, to the same
    prompt. What a release says nothing of, and any prompt where the task has none of its own, is as it was."""
    from distill.anew import Anew

    now, prompt = settings.binding(served.task), settings.task(served.task).system_prompt
    then = (served.report or {}).get("bound_to") or {}
    another_teacher = then.get("teacher", now["teacher"]) != now["teacher"]
    another_prompt = prompt is not None and then.get("prompt", now["prompt"]) != now["prompt"]
    return Anew(prompt) if another_teacher or another_prompt else None


def gateway_client(settings: Settings) -> GatewayClient:
    """The gateway of this configuration, which refuses what is meant for another one."""
    key = settings.server.api_key
    return GatewayClient(
        settings.internal_url,
        api_key=key.get_secret_value() if key else None,
        bindings={name: settings.binding(name) for name in settings.tasks},
    )


def terms(settings: Settings, task: Task) -> Terms:
    """What a student of the task has to earn."""
    chosen = settings.distill
    return Terms(
        draft=settings.student.token_price,
        rho=task.rho,
        alpha=task.alpha,
        max_rows=chosen.max_rows,
        base_model=settings.student.base_model,
        training_usd=chosen.training_usd,
        training_usd_per_hour=chosen.training_usd_per_hour,
        upkeep_usd=chosen.upkeep_usd_per_month,
        within_months=chosen.pays_within_months,
        machine=machine(settings),
    )


def worth_in_words(settings: Settings, engine: sa.Engine, task_name: str, *, now: float) -> str:
    """What a student of the task would save and take, as the worker reckons it."""
    task, share = settings.task(task_name), settings.distill.window_share
    rows = standing(engine, task_name, teacher=task.teacher, window_share=share).rows
    earns = terms(settings, task)
    return in_words(appraise(engine, task_name, teacher=task.teacher, terms=earns, rows=rows, now=now))


def machine(settings: Settings) -> Machine | None:
    """What students share, where it is paid for by the hour: those of tasks whose teachers' answers may teach one."""
    if not (usd := settings.student.usd_per_hour):
        return None
    taught = {name: task.teacher for name, task in settings.tasks.items() if settings.teachers[task.teacher].may_train}
    return Machine(usd * HOURS_A_MONTH, taught)


def canary_rules(settings: Settings) -> "Rules":
    """How a release of any task is tried."""
    from calibration.canary import Limits  # with scipy, which the loader does not need
    from distill.canary import Rules

    chosen = settings.canary
    limits = Limits(chosen.max_errors, chosen.max_slowdown)
    return Rules(chosen.share, chosen.min_requests, chosen.max_hours * HOUR_S, limits)


def label_due_s(settings: Settings, task: str) -> float:
    """How long after its request a reference's label may be in the ledger at the latest; then it counts as lost."""
    teacher = settings.teachers[settings.tasks[task].teacher]
    return LABEL_WAIT_S + teacher.timeout_s * (1 + teacher.retries) + SLACK_S


@contextmanager
def exclusive(engine: sa.Engine, task: str) -> Iterator[sa.Engine]:
    """One run of a task at a time, whoever starts it; what an earlier one left half done is refused.

    Raises LeaseTaken.
    """
    with held(engine, run_lease(task), holder=f"{socket.gethostname()}:{os.getpid()}"):
        for name in abandon(engine, task, now=time.time()):
            log.warning("%s was left half done and is refused", name)
        yield engine


def binding_now(settings: Settings, task: str) -> dict[str, str]:
    """What a release must have been certified with to be in force, what serves now among it."""
    return {**settings.binding(task), **serving_now(settings)}


def serving_now(settings: Settings) -> dict[str, str]:
    """The engine and the base model, as a release is bound to them: what of it can be known at the moment. One that is
    away hides no change of the other."""
    from distill.adapters import AdapterError
    from distill.fleet import AdapterFleet
    from distill.serving import base_digest

    found = {}
    with suppress(AdapterError):
        found["engine"] = AdapterFleet(settings.student.engines_url, timeout_s=2.0).version()
    with suppress(AdapterError):
        found["base_digest"] = base_digest(settings.student.base_model)
    return found


def shelf(settings: Settings) -> "Shelf":
    """Where adapters are, and when nobody asks them any more."""
    from distill.retiring import MARGIN_S, Shelf

    student = settings.student
    return Shelf(student.engines_url, student.adapters_dir, list(settings.tasks), student.timeout_s + MARGIN_S)


def load_champions(settings: Settings, engine: sa.Engine, *, checked: "Checked | None" = None) -> dict[str, str]:
    """Load the adapter of every champion and canary on vLLM, whose registrations vanish when it is started again.

    Returns release -> why it cannot be loaded, "" where it is: one altered folder closes its own task (the teacher
    answers it), not the others. `checked`: as of `load_heard`. Raises AdapterError where no engine answers.
    """
    from distill.fleet import Snapshot

    server = Snapshot.take(settings.student.engines_url)
    mine = (release for release in in_force(engine) if release.task in settings.tasks)
    return {release.name: load_champion(settings, release, server=server, checked=checked) for release in mine}


def load_champion(
    settings: Settings, release: Release, *, server: "Snapshot | None" = None, checked: "Checked | None" = None
) -> str:
    """Load one release's adapter on every engine, if all is as the release was certified, and the engine serves it and
    not the base model under its name; says why not, "" if so. `server`: the engines, where somebody has looked."""
    from distill.adapters import AdapterError, verify
    from distill.fleet import Snapshot
    from distill.recital import load_heard
    from distill.serving import serving

    path = settings.student.adapters_dir / release.name
    try:
        server = server or Snapshot.take(settings.student.engines_url)
        bound = serving(server, settings.student.base_model)
        if words := release.mismatch({**settings.binding(release.task), **bound}):
            return words
        verify(path, expected=release.adapter_digest, anew=False)
        load_heard(server, release.name, path, checked=checked)
    except AdapterError as error:
        return str(error)
    return ""
