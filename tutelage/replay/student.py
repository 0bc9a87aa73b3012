"""A student of one task of a log: the older part teaches it, its drafts for the newer part are judged by the log.

What is kept on disk is evidence, agreement and token counts, never a prompt or an answer. A finished adapter, and
finished drafts, are used again for the same log, task, settings, lessons and rules of evidence; a newer vLLM is not
noticed, nor a base model whose files are exchanged under the same name.
"""

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from calibration.agreement import Measure
from calibration.certificate import fingerprint
from calibration.code import CODE
from calibration.familiar import Familiar
from calibration.fit import MIN_ROWS
from calibration.study import FIT_SHARE
from distill.adapters import AdapterError, base_folder, digest, verify
from distill.candidate import Candidate, check_room
from distill.clusters import cluster
from distill.curate import Rules, by_reason
from distill.errors import DistillError
from distill.evaluate import acceptable, judge
from distill.lessons import Lessons, divide
from distill.plan import RunConfig
from distill.render import Unspeakable, render_pair
from distill.rows import TrainingRow, as_student_reads
from distill.run import candidate
from distill.scope import familiar_with, within
from distill.serving import base_digest
from distill.student import NoBaseModel, NoChat, load_chat
from ledger.records import Draft, Usage
from ledger.texts import variable_text
from tutelage.distilling import run_config
from tutelage.logfile import Line
from tutelage.progress import RunProgress
from tutelage.provision import Home
from tutelage.replay import LEAST_ROWS
from tutelage.replay.traffic import Log, TaskLog
from tutelage.replay.trial import DraftedRow, Trial
from tutelage.replay.workshop import CONTEXT_TOKENS, TASK, Workshop

ANSWER_ROOM, LEAST_ANSWER = 1.2, 16  # times the answers' 99th percentile; tokens


class NoStudent(DistillError):
    """No student can be made of this log; the message says why."""


@dataclass(frozen=True)
class _Part:
    """The division of the log: what teaches, which lines are drafted, which of these the student can read, and what a
    release would be familiar with."""

    lessons: Lessons
    rejected: dict[str, int]
    drafted: Sequence[Line]
    fits: Sequence[bool]
    familiar: Familiar | None


@dataclass(frozen=True)
class _Tokens:
    """Of a row, as the student counts them."""

    prompt: int
    answer: int


def make(log: Log, task: TaskLog, workshop: Workshop, *, home: Home, progress: RunProgress) -> Trial:
    """Train, draft and judge, or find that it is done. Raises NoStudent, DistillError and StackError."""
    lines = task.rows
    if len(lines) < LEAST_ROWS:
        raise NoStudent(f"{len(lines)} rows that a student could be asked, and {LEAST_ROWS} are needed to try one")
    tokens = _tokens(lines, base_model=workshop.base_model)
    settings = workshop.configure(max_tokens=answer_room([each.answer for each in tokens]))
    config = run_config(settings, TASK)
    part = _divide(lines, tokens, config, progress=progress)
    made = candidate(config, f"replay-{_key(log, task, config, lessons=part.lessons)[:12]}", progress=progress)
    kept = workshop.folder / f"{made.name}-{workshop.measure}.json"
    if (trial := _kept(kept)) is not None:
        progress.step(f"the drafts of {made.name} are there from an earlier run")
        return trial
    check_room(config.adapters_dir)
    progress.step(f"{len(part.lessons.train)} rows teach, rejected {part.rejected or 'none'}; {len(part.drafted)} test")
    if part.lessons.noise is not None:
        progress.step(part.lessons.noise.words)
    with workshop.running(settings, home, console=progress.console):
        trial = _try(made, part, measure=workshop.measure)
    kept.write_bytes(msgspec.json.encode(trial))
    return trial


def answer_room(tokens: Sequence[int]) -> int:
    """Tokens that an answer may have: somewhat more than all but a hundredth of the log's answers."""
    common = sorted(tokens)[math.ceil(0.99 * len(tokens)) - 1]
    return min(max(LEAST_ANSWER, math.ceil(ANSWER_ROOM * common)), CONTEXT_TOKENS // 2)


def _tokens(lines: Sequence[Line], *, base_model: str) -> list[_Tokens]:
    """Raises AdapterError where the base model is not on this machine, NoStudent where it cannot read such requests."""
    folder = base_folder(base_model)
    try:
        chat = load_chat(str(folder))
        pairs = [render_pair(chat, line.logged.request.messages, line.logged.answer) for line in lines]
    except (ValueError, NoBaseModel, NoChat, Unspeakable) as error:  # Unspeakable: its template is for other turns
        raise NoStudent(f"the base model {base_model} cannot read these requests: {error}") from error
    masks = [pair.completion_mask for pair in pairs]
    return [_Tokens(prompt=len(mask) - sum(mask), answer=sum(mask)) for mask in masks]


def _key(log: Log, task: TaskLog, config: RunConfig, *, lessons: Lessons) -> str:
    """Of everything that the adapter and its drafts depend on but the measure. Curation may choose otherwise in another
    version: so what it has left counts, not only what it was given."""
    rows = [line.number for line in task.rows]
    base = base_digest(config.train.base_model)  # a folder may hold another model than before
    job = [log.digest, task.model, task.system_prompt, rows, config.max_tokens, CODE, base]
    taught = [[row.exchange_id, row.completion, row.weight] for row in (*lessons.train, *lessons.validate)]
    shares = [config.window_share, asdict(config.shares), config.unfamiliar_share]
    return fingerprint([*job, taught, asdict(config.train), *shares])


def _kept(path: Path) -> Trial | None:
    """What an earlier run has found; None where there was none, or one of another version."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Trial)
    except (OSError, msgspec.DecodeError):
        return None


def _divide(lines: Sequence[Line], tokens: Sequence[_Tokens], config: RunConfig, *, progress: RunProgress) -> _Part:
    """As a run divides recorded traffic: the newest rows before the cut are drafted too, and fit the calibrator."""
    cut = int(len(lines) * (1.0 - config.window_share))
    older = [_lesson(line) for line in lines[:cut]]
    rules = Rules(by=config.measure)
    lessons = divide(older, shares=config.shares, progress=progress.advance, rules=rules)
    if not lessons.train:
        raise NoStudent(f"none of {cut} rows teaches: curation rejects them ({by_reason(lessons.rejected)})")
    first = cut - len(lessons.fit)
    fits = [_fits(*row, most=config.max_tokens) for row in zip(lines[first:], tokens[first:], strict=True)]
    if sum(fits[: round(FIT_SHARE * len(fits))]) < MIN_ROWS:
        long = len(fits) - sum(fits)
        raise NoStudent(f"{long} of {len(fits)} rows do not fit into the {CONTEXT_TOKENS} tokens of a student")
    familiar = familiar_with(lessons, share=config.unfamiliar_share, seed=config.train.seed)
    return _Part(lessons, by_reason(lessons.rejected), lines[first:], fits, familiar)


def _lesson(line: Line) -> TrainingRow:
    logged = line.logged
    messages = as_student_reads(logged.request.messages)
    return TrainingRow(str(line.number), messages, logged.answer, logged.finish_reason, params=logged.request.params)


def _fits(line: Line, tokens: _Tokens, *, most: int) -> bool:
    """Whether the engine would take the request: it wants room for the longest answer allowed."""
    return tokens.prompt + min(line.logged.request.max_tokens or most, most) <= CONTEXT_TOKENS


def _try(made: Candidate, part: _Part, *, measure: Measure) -> Trial:
    training_s = _trained(made, part.lessons)
    readable = [line for line, fits in zip(part.drafted, part.fits, strict=True) if fits]
    made.load([line.logged.request.messages for line in readable])
    made.progress.step(f"drafting {len(readable)} rows of the newer part")
    started = time.monotonic()
    requests = [_request(line) for line in readable]
    given = iter(within(part.familiar, requests, acceptable(made.drafts(requests), prefix=None)))
    drafts = [next(given) if fits else None for fits in part.fits]
    drafting_s = time.monotonic() - started
    return Trial(
        taught=len(part.lessons.train),
        rejected=part.rejected,
        training_s=training_s,
        drafting_s=drafting_s,
        too_long=len(part.fits) - len(readable),
        rows=_judged(part.drafted, drafts, measure=measure),
    )


def _request(line: Line) -> dict[str, Any]:
    request = line.logged.request
    return {**request.params, "messages": request.messages, "stream": False}


def _judged(lines: Sequence[Line], drafts: Sequence[Draft | None], *, measure: Measure) -> list[DraftedRow]:
    numbers, answers = [str(line.number) for line in lines], [line.logged.answer for line in lines]
    clusters = cluster([variable_text(line.logged.request.messages) for line in lines])
    return [
        DraftedRow(
            evidence=row.draft.evidence if row.draft and row.usable else None,
            disagreement=row.disagreement,
            cluster=number,
            usage=row.draft.usage if row.draft else Usage(),
        )
        for row, number in zip(judge(numbers, drafts, answers, measure=measure), clusters, strict=True)
    ]


class _Finished(msgspec.Struct, frozen=True):
    """Written once an adapter is whole."""

    training_s: float
    digest: str


def _trained(made: Candidate, lessons: Lessons) -> float:
    """The seconds that training took, now or in an earlier run whose adapter is as it left it."""
    record = made.path.with_suffix(".json")
    try:
        finished = msgspec.json.decode(record.read_bytes(), type=_Finished)
        verify(made.path, expected=finished.digest)
    except (OSError, msgspec.DecodeError, AdapterError):
        shutil.rmtree(made.path, ignore_errors=True)
    else:
        made.progress.step(f"the adapter {made.name} is there from an earlier run: nothing is trained")
        return finished.training_s
    started = time.monotonic()
    made.train(lessons)
    finished = _Finished(time.monotonic() - started, digest(made.path))
    record.write_bytes(msgspec.json.encode(finished))
    return finished.training_s
