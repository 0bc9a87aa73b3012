"""Where the LoRA of a next release begins: at the base model, or as the champion's adapter is (docs/decisions/0032).

What goes on has learned from every row that has taught the adapter before it. Such rows neither stop its training in
time nor fit its calibrator, and they are among those that have taught it: for whoever asks, and for whoever forgets.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from calibration.fit import MIN_ROWS
from distill.adapters import AdapterError, rank, verify
from distill.lessons import GoesOn, Lessons
from distill.train import TrainConfig
from ledger.queries import rows_that_taught
from ledger.releases import Release, champions

Start = Literal["base", "champion"]


def begin(engine: sa.Engine, lessons: Lessons, *, task: str, asked: Start, config: TrainConfig) -> tuple[Lessons, str]:
    """The lessons for an adapter that begins as `asked`, and why it begins where it does, in words."""
    if asked == "base":
        return lessons, "distill.start is base"
    champion = champions(engine).get(task)
    if champion is None:
        return lessons, "no release is in force to go on from"
    if words := _unfit(champion, config):
        return lessons, words
    taught = rows_that_taught(engine, champion.adapter_digest)
    fit = tuple(row for row in lessons.fit if row.exchange_id not in taught)
    if len(fit) < MIN_ROWS:
        return lessons, f"{len(fit)} rows to fit a calibrator on have not taught {champion.name}, {MIN_ROWS} are needed"
    return replace(
        lessons,
        fit=fit,
        validate=tuple(row for row in lessons.validate if row.exchange_id not in taught),
        rejected=tuple(row for row in lessons.rejected if row.exchange_id not in taught),
        goes_on=GoesOn(champion.name, Path(champion.adapter_path), frozenset(taught)),
    ), f"distill.start is champion, which is {champion.name}"


def _unfit(champion: Release, config: TrainConfig) -> str | None:
    """Why an adapter cannot be gone on from."""
    if champion.base_model != config.base_model:
        return f"{champion.name} is an adapter of {champion.base_model}, not of {config.base_model}"
    path = Path(champion.adapter_path)
    try:
        verify(path, expected=champion.adapter_digest)
        found = rank(path)
    except AdapterError as error:
        return str(error)
    return None if found == config.rank else f"{champion.name} has rank {found}, and distill.rank is {config.rank}"
