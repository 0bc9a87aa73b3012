"""One turn of the loop: harvest -> curate -> split -> train -> load and probe -> calibrate -> certify -> promote.

Each step hands frozen facts to the next. It ends in a `Released` or a `Refused`; whatever fails after the candidate
has its name is recorded with it, and the champion in force stays in force.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import sqlalchemy as sa

from calibration.certificate import Refusal
from calibration.fit import MIN_ROWS
from distill.again import second
from distill.align import NOTHING_TOLD, Aligned, align, nothing_of
from distill.anew import FIT_ROWS
from distill.attempt import Attempt
from distill.candidate import Candidate, Progress, check_rank, check_readable, check_room
from distill.checkpoints import unfinished
from distill.curate import Rules, by_reason
from distill.devices import check_alone
from distill.errors import DistillError, in_words
from distill.evaluate import StudentMute
from distill.fleet import AdapterFleet
from distill.gateway import GatewayClient
from distill.harvest import Harvest, harvest, permit, with_rationales
from distill.judge import checked
from distill.lessons import Lessons, divide, untaught
from distill.pattern import choose
from distill.plan import Refused, Released, RunConfig
from distill.reasoning import short_enough
from distill.rows import TrainingRow
from distill.student import load_chat
from distill.warm import begin
from ledger import decisions, releases
from ledger.familiar import is_there
from ledger.queries import newest_at, rows_that_taught
from ledger.token_logprobs import recorded

LOOKED_AT = 500  # of the newest references, whether a student could be asked them


class TooFewRows(DistillError):
    """Not enough recorded rows to begin; the message says how many are missing."""


class CannotReuse(DistillError):
    """An adapter that cannot be certified anew; the message says why."""


def run(engine: sa.Engine, config: RunConfig, *, progress: Progress) -> Released | Refused:
    """Make one release of a task, or refuse to.

    Raises HarvestError, JudgeUnchecked, TooFewRows, Unreadable, NoPairs, NoRationales, NoTargets, NoBaseModel, NoChat,
    NotAlone, DiskFull or AdapterError (an engine takes no such rank) before anything is written. An error after that is
    recorded with the candidate, which is refused, and raised; but for a student that cannot be judged, which is a
    refusal like others.
    """
    check_alone()
    permit(teacher=config.teacher, may_train=config.may_train)
    config = replace(config, contract=checked(engine, config.contract, task=config.task, by=config.measure))
    lessons, harvested, report = _gather(engine, config, progress)
    report["begun"] = decisions.began(engine, config.task)
    release = releases.add_candidate(
        engine, task=config.task, cut_at=harvested.cut_at, base_model=config.train.base_model, now=time.time()
    )
    made = candidate(config, release.name, progress=progress)
    try:
        outcome = Attempt(engine, config, made, report).make(lessons, harvested)
    except StudentMute as error:
        outcome = Refusal(str(error), len(lessons.fit), None, labels_seen=False)
    except BaseException as error:
        refusal = Refusal(f"failed: {in_words(error)}", 0, None, labels_seen=False)
        values = {**refusal.to_dict(), "verdict": False}
        releases.refuse(engine, made.name, refusal=values, report=report, now=time.time())
        made.unload()
        raise
    if isinstance(outcome, Refusal):
        releases.refuse(engine, made.name, refusal=outcome.to_dict(), report=report, now=time.time())
        made.unload()
        return Refused(made.name, outcome, report)
    if not outcome.in_force:
        made.unload()
    return outcome


def candidate(config: RunConfig, name: str, *, progress: Progress) -> Candidate:
    """An adapter of that name, still to be made, with the engine and the gateway of this run."""
    return Candidate(
        name=name,
        task=config.task,
        path=config.adapters_dir / name,
        config=config.train,
        max_tokens=config.max_tokens,
        server=AdapterFleet(config.student_url),
        gateway=_gateway(config),
        progress=progress,
    )


def _gateway(config: RunConfig) -> GatewayClient:
    return GatewayClient(config.gateway_url, api_key=config.gateway_key, bindings={config.task: config.binding})


def _gather(engine: sa.Engine, config: RunConfig, progress: Progress) -> tuple[Lessons, Harvest, dict[str, Any]]:
    """Harvest, split, curate, and choose how it is learned."""
    check_room(config.adapters_dir)
    if config.reuse is None:
        highest = max(each.rank for each in (config.train, *config.also_try))
        check_rank(AdapterFleet(config.student_url), config.adapters_dir, rank=highest)
    found = harvest(
        engine,
        task=config.task,
        teacher=None if config.anew else config.teacher,
        window_share=config.window_share,
        max_rows=config.max_rows,
        max_references=config.max_references,
        due=min(time.time(), newest_at(engine, config.task))
        - config.label_due_s,  # what is not ingested yet is not lost
        adapter_digest=releases.get(engine, config.reuse).adapter_digest if config.reuse else None,
        easy_weight=config.easy_weight,
        again=_again(engine, config, progress),
    )
    if config.reuse is None:  # before the teacher is asked again, which is paid for
        _check_rows(found, config)
    progress.step(f"harvested {len(found.older)} rows before the cut, {len(found.window)} references after it")
    lessons = _lessons(engine, found, config, progress=progress)
    rejected = by_reason(lessons.rejected)
    report = {
        "rows": {name: len(getattr(lessons, name)) for name in ("train", "validate", "fit")},
        "synthetic": len({row.exchange_id for row in found.synthetic} & {row.exchange_id for row in lessons.train}),
        "window_references": len(found.window),
        "rejected": rejected,
        "permission": dict(config.permission),
    }
    if lessons.noise is not None:
        report["noise"] = lessons.noise.facts
        report["curation"] = lessons.curation
        told = f"{lessons.curation['words']}; {lessons.noise.words}"
        progress.step(f"curated: {len(lessons.train)} rows teach, rejected {rejected or 'none'}; {told}")
    if lessons.again is not None:
        report["again"] = lessons.again.facts
        progress.step(lessons.again.words)
    if config.reuse is None:
        lessons, because = begin(engine, lessons, task=config.task, asked=config.start, config=config.train)
        begun = lessons.goes_on.release if lessons.goes_on else None
        report["start"] = {"release": begun, "because": because}
        report["weighted"] = sum(row.weight != 1.0 for row in lessons.train)
        progress.step(f"begins from {begun or 'the base model'}: {because}")
        lessons = _with_pattern(engine, lessons, config, report=report, progress=progress)
    return lessons, found, report


def _check_rows(found: Harvest, config: RunConfig) -> None:
    """Raises TooFewRows and Unreadable where no student can come of them."""
    teaching = len(found.older) + len(found.synthetic)
    if teaching < config.min_rows:
        raise TooFewRows(
            f"{teaching} rows before the data cut, {config.min_rows} are needed (distill.min_rows): "
            f"some {int((config.min_rows - teaching) / (1 - config.window_share)) + 1} more requests"
        )
    recent = [row for row in found.older if row.reference][-LOOKED_AT:]
    check_readable(config.train, recent, answer=config.max_tokens)


def _again(engine: sa.Engine, config: RunConfig, progress: Progress) -> bool:
    """Whether the attempt before was interrupted while it trained: rows of another cut would begin another training."""
    if config.reuse is not None or not (before := releases.history(engine, config.task)):
        return False
    if found := unfinished(config.adapters_dir, before[-1].name):
        progress.step(f"the training of {before[-1].name} was interrupted: it goes on where its rows are the same")
    return found


def _with_pattern(
    engine: sa.Engine, lessons: Lessons, config: RunConfig, *, report: dict[str, Any], progress: Progress
) -> Lessons:
    """The lessons with what the pattern teaches beside answers."""
    thought, too_long = _thought(engine, lessons.train, config)
    told = _told(engine, lessons.train, config)
    chosen = choose(config.pattern, thought, by=config.measure, told=told, too_long=too_long)
    report["pattern"] = {"name": chosen.pattern, "because": chosen.because}
    progress.step(f"pattern {chosen.pattern}: {chosen.because}")
    if chosen.pattern == "logit":
        report["targets"] = {"rows": len(told.targets), "missed": dict(told.missed)}
        return replace(lessons, train=told.given(lessons.train))
    if chosen.pattern == "reasoning":
        report["rationales_too_long"] = too_long
    return replace(lessons, pairs=chosen.pairs, train=thought if chosen.pattern == "reasoning" else lessons.train)


def _thought(
    engine: sa.Engine, rows: tuple[TrainingRow, ...], config: RunConfig
) -> tuple[tuple[TrainingRow, ...], int]:
    """The rows with what the teacher thought, where anybody wants to know and the student can read it; of how many it
    is recorded and the student cannot."""
    if config.pattern not in ("auto", "reasoning"):
        return rows, 0
    found = with_rationales(engine, rows)
    if not (known := sum(row.rationale is not None for row in found)):
        return found, 0
    chat = load_chat(config.train.base_model, unsaid=config.train.unsaid)
    short = short_enough(chat, found, max_tokens=config.train.max_tokens)
    return short, known - sum(row.rationale is not None for row in short)


def _told(engine: sa.Engine, rows: Sequence[TrainingRow], config: RunConfig) -> Aligned:
    """What the teacher has said of the tokens of its answers, where anybody wants to know."""
    if config.pattern not in ("auto", "logit"):
        return NOTHING_TOLD
    said = recorded(engine, [row.exchange_id for row in rows])
    first = next(said, None)
    if first is None:
        return nothing_of(rows)
    chat = load_chat(config.train.base_model, unsaid=config.train.unsaid)
    return align(chat, rows, chain([first], said))


def _lessons(engine: sa.Engine, found: Harvest, config: RunConfig, *, progress: Progress) -> Lessons:
    if config.reuse is None:
        asked = second(
            engine, _gateway(config), task=config.task, teacher=config.teacher, bounds=config.again, watch=progress
        )
        lessons = divide(
            found.older,
            synthetic=found.synthetic,
            shares=config.shares,
            progress=progress.advance,
            rules=Rules(config.labels, asked, by=config.measure),
        )
    else:
        lessons = _untaught(engine, found, config, reuse=config.reuse)
    if len(lessons.fit) < MIN_ROWS:
        untold = f" have not taught {config.reuse}" if config.reuse else ", in the share distill.fit_share,"
        raise TooFewRows(
            f"{len(lessons.fit)} references before the data cut{untold} are there to fit a calibrator, and {MIN_ROWS} "
            "are needed: wait for more requests"
        )
    return lessons


def _untaught(engine: sa.Engine, found: Harvest, config: RunConfig, *, reuse: str) -> Lessons:
    release = releases.get(engine, reuse)
    if release.gone:
        raise CannotReuse(f"{release.name} cannot be certified anew: {release.gone}")
    if release.base_model != config.train.base_model:
        raise CannotReuse(f"{release.name} is an adapter of {release.base_model}, not of {config.train.base_model}")
    if not is_there(engine, release):
        raise CannotReuse(f"{release.name} cannot be certified anew: what taught it is not kept as it was certified")
    taught = rows_that_taught(engine, release.adapter_digest)
    most = min(FIT_ROWS, config.max_references) if config.anew else config.max_references
    return untaught(found, taught=taught, most=most)
