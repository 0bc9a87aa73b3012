"""Settings turned into a worker, and its runs into processes: the composition root of `tutelage distill watch`."""

import logging
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from calibration.certificate import Contract
from distill.clearing import Alike, Clear
from distill.housekeeping import House
from distill.triggers import DAY_S, TriggerConfig
from distill.worker import Outside, Watched, Worker
from router.settings import Settings
from tutelage.adopting import take_over_all
from tutelage.distilling import HOUR_S, canary_rules, gateway_client, label_due_s, serving_now, shelf, terms

STOP_S = 10.0
log = logging.getLogger(__name__)


class ProcessRun:
    """`distill.worker.Run` as `tutelage distill run`; it ends with the worker, even by kill -9."""

    def __init__(self, task: str, config: Path) -> None:
        tied = [sys.executable, "-m", "tutelage.tied"]
        command = [sys.executable, "-m", "tutelage", "distill", "run", task, "--decided", "--config", str(config)]
        self._process = subprocess.Popen([*tied, *command], stdin=subprocess.DEVNULL)

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask, then kill."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def compose(settings: Settings, engine: sa.Engine, config: Path) -> Worker:
    """A worker over all tasks of the settings; what was recorded before there were some of them is theirs."""
    for task, count in take_over_all(settings, engine).items():
        log.info("%s: %d requests that were recorded before it was configured are its own", task, count)
    tasks = {name: _watched(settings, name) for name in settings.tasks}
    holder = f"{socket.gethostname()}:{os.getpid()}"
    gateway = gateway_client(settings)
    outside = Outside(
        start=lambda task: ProcessRun(task, config),
        ask=partial(gateway.answers, origin="probe"),
        ask_judge=lambda task, judge, requests: gateway.answers(task, requests, origin="judge", teacher=judge.name),
        serving=partial(serving_now, settings),
    )
    keep_s = settings.ledger.keep_days * DAY_S if settings.ledger.keep_days else None
    alike = {name: Alike(settings.binding(name), task.alpha) for name, task in settings.tasks.items()}
    clear = Clear(shelf(settings), alike, settings.distill.keep_adapters)
    house = House(keep_s, settings.student.usd_per_hour or 0.0, clear)
    return Worker(engine, tasks, outside=outside, holder=holder, house=house)


def _watched(settings: Settings, name: str) -> Watched:
    task, chosen = settings.tasks[name], settings.distill
    teacher = settings.teachers[task.teacher]
    return Watched(
        teacher=task.teacher,
        measure=settings.compares_by(name),
        contract=Contract(task.alpha, task.delta, task.margin),
        binding=settings.binding(name),
        may_train=teacher.may_train,
        alarm_bound=task.alarm_references,
        label_due_s=label_due_s(settings, name),
        probe_every_s=task.probe_every_hours * HOUR_S,
        window_share=chosen.window_share,
        triggers=TriggerConfig(
            min_rows=chosen.min_rows,
            min_references=chosen.min_references,
            max_references=chosen.max_references,
            new_rows=chosen.new_rows,
            escalation_rate=chosen.max_escalation_rate,
            age_s=chosen.max_age_days * DAY_S,
        ),
        terms=terms(settings, task),
        canary=canary_rules(settings),
    )
