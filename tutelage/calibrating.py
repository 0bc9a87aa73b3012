"""Drafts for `tutelage calibrate`: from a file of student's and teacher's answers, or from a champion's references."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import msgspec
import sqlalchemy as sa

from calibration.agreement import Measure, disagreement
from calibration.certificate import Contract
from calibration.evidence import Alternative, TokenLogprob, evidence
from calibration.study import Drafted, Study, study
from distill.clusters import cluster
from ledger.database import connect
from ledger.queries import newest_at, references_of
from ledger.records import Draft
from ledger.releases import newest_certified
from ledger.studies import record_study
from ledger.texts import variable_text
from router.settings import ConfigError, Settings, load
from tutelage.distilling import label_due_s

ALPHAS = (0.01, 0.02, 0.05, 0.1, 0.15)
Prompted = tuple[Drafted, str | None]  # a draft, and the part of its prompt that changes, where that is known


class _Token(TokenLogprob):
    """In a file a token without its alternatives is a mistake, and not a draft that nothing can be said of."""

    top_logprobs: list[Alternative]


class _Line(msgspec.Struct):
    student: str | None
    teacher: str | None
    logprobs: list[_Token]
    prompt: str | None = None
    prompt_tokens: int = 0


class BadDrafts(ConfigError):
    """The file holds something else; the message names the line and what a line has to be."""


SHAPE = (
    'each line is {"student": text, "teacher": text, "logprobs": choices[0].logprobs.content of the student\'s '
    'completion, "prompt": the part of the request that changes, "prompt_tokens": number}; the last two may be missing'
)


def read(source: str, config: Path, *, alphas: Sequence[float] | None, delta: float, measure: str | None) -> Study:
    """A study of a file's drafts, or of a task's newest certified release, at several contracts.

    Raises BadDrafts, and what reading the settings and the ledger raises.
    """
    if measure not in (None, *get_args(Measure)):
        raise BadDrafts(f"measure is one of {', '.join(get_args(Measure))}, not {measure!r}")
    try:
        contracts = [Contract(alpha, delta) for alpha in alphas or ALPHAS]
        drafts = _drafts(source, config, measure=cast(Measure | None, measure))
        texts = [text for _, text in drafts if text is not None]
        clusters = cluster(texts) if len(texts) == len(drafts) else None
        return study([draft for draft, _ in drafts], contracts, clusters=clusters)
    except ValueError as error:
        raise BadDrafts(f"{source}: {error}") from error


def _drafts(source: str, config: Path, *, measure: Measure | None) -> list[Prompted]:
    """Of a configured task; of a file where there is none of that name."""
    try:
        settings = load(config)
        if source in settings.tasks:
            return _of_task(source, settings, measure=measure)
        tasks = f"{config} has the tasks {', '.join(settings.tasks) or 'none'}"
    except ConfigError as error:
        if isinstance(error, BadDrafts):
            raise
        tasks = str(error)  # a file can be studied without settings
    path = Path(source)
    if not path.exists():
        raise BadDrafts(f"{source} is neither a task nor a file: {tasks}")
    return of_file(path, measure=measure or "exact")


def _of_task(source: str, settings: Settings, *, measure: Measure | None) -> list[Prompted]:
    if measure is not None:
        raise BadDrafts(f"{source} is a task, which is compared by its own measure: leave --measure out")
    task, engine = settings.task(source), connect(settings.ledger.url)
    if task.measure == "judge":
        raise BadDrafts(
            f"the answers of {source} are compared by a judge, who is asked about answers that clients got and not "
            "about the drafts that were turned down: what other thresholds would come to is not known"
        )
    due = min(time.time(), newest_at(engine, source)) - label_due_s(settings, source)
    rule = Rule(task.measure, task.prefix)
    return of_release(engine, newest_certified(engine, source).name, rule=rule, due=due)


def of_file(path: Path, *, measure: Measure) -> list[Prompted]:
    """One draft a line, in order. Raises BadDrafts."""
    return list(_rows(path, measure=measure))


def _rows(path: Path, *, measure: Measure) -> Iterator[Prompted]:
    decoder = msgspec.json.Decoder(_Line)
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _row(decoder, line, where=f"{path}:{number}", measure=measure)
    except OSError as error:
        raise BadDrafts(f"{path}: {error.strerror}") from error


def _row(decoder: msgspec.json.Decoder[_Line], line: bytes, *, where: str, measure: Measure) -> Prompted:
    try:
        found = decoder.decode(line)
    except msgspec.DecodeError as error:
        raise BadDrafts(f"{where}: {error}; {SHAPE}") from error
    facts = evidence(found.logprobs, prompt_tokens=found.prompt_tokens)
    return Drafted(facts, disagreement(found.student, found.teacher, measure=measure)), found.prompt


@dataclass(frozen=True)
class Rule:
    """How a task compares answers, and by how much of a draft it judges."""

    measure: Measure
    prefix: int | None = None

    def of(self, draft: Draft | None, answer: str | None) -> Drafted:
        """A draft beside the teacher's answer."""
        d = disagreement(draft.text if draft else None, answer, measure=self.measure)
        return Drafted(draft.evidence if draft and draft.can_be_accepted(self.prefix) else None, d)


def of_release(engine: sa.Engine, release: str, *, rule: Rule, due: float) -> list[Prompted]:
    """The references that a release was asked, accepted or not, in order; `due`: as `references_of` has it.

    They are studied by it: its adapter will not be certified on them.
    """
    rows = references_of(engine, release, due=due)
    record_study(engine, release=release, rows=[row.exchange_id for row in rows])
    return [(rule.of(row.draft, row.teacher_text), variable_text(row.messages)) for row in rows]
