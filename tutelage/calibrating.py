"""Drafts for `tutelage calibrate`: from a file of student's and teacher's answers, or from a champion's references."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast, get_args

import msgspec
import sqlalchemy as sa

from calibration.agreement import Measure, disagreement
from calibration.certificate import Contract
from calibration.evidence import TokenLogprob, evidence
from calibration.study import Drafted, Study, study
from ledger.database import connect
from ledger.queries import drafted_references
from ledger.releases import newest_certified
from router.settings import ConfigError, load

ALPHAS = (0.01, 0.02, 0.05, 0.1, 0.15)


class _Alternative(msgspec.Struct):
    logprob: float


class _Token(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list[_Alternative]


class _Line(msgspec.Struct):
    student: str | None
    teacher: str | None
    logprobs: list[_Token]
    prompt_tokens: int = 0


class BadDrafts(ConfigError):
    """The file holds something else; the message names the line and what a line has to be."""


SHAPE = (
    'each line is {"student": text, "teacher": text, "logprobs": choices[0].logprobs.content of the student\'s '
    'completion, "prompt_tokens": number}'
)


def read(source: str, config: Path, *, alphas: Sequence[float] | None, delta: float, measure: str | None) -> Study:
    """A study of a file's drafts, or of a task's newest certified release, at several contracts.

    Raises BadDrafts, and what reading the settings and the ledger raises.
    """
    if measure not in (None, *get_args(Measure)):
        raise BadDrafts(f"measure is one of {', '.join(get_args(Measure))}, not {measure!r}")
    try:
        contracts = [Contract(alpha, delta) for alpha in alphas or ALPHAS]
        return study(_drafts(source, config, measure=cast(Measure | None, measure)), contracts)
    except ValueError as error:
        raise BadDrafts(f"{source}: {error}") from error


def _drafts(source: str, config: Path, *, measure: Measure | None) -> list[Drafted]:
    if Path(source).is_file() or Path(source).suffix:
        return of_file(Path(source), measure=measure or "exact")
    if measure is not None:
        raise BadDrafts(f"{source} is no file, and a task is compared by its own measure: leave --measure out")
    settings = load(config)
    task, engine = settings.task(source), connect(settings.ledger.url)
    return of_release(engine, newest_certified(engine, source).name, measure=task.measure)


def of_file(path: Path, *, measure: Measure) -> list[Drafted]:
    """One row a line, in order. Raises BadDrafts."""
    return list(_rows(path, measure=measure))


def _rows(path: Path, *, measure: Measure) -> Iterator[Drafted]:
    decoder = msgspec.json.Decoder(_Line)
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _row(decoder, line, where=f"{path}:{number}", measure=measure)
    except OSError as error:
        raise BadDrafts(f"{path}: {error.strerror}") from error


def _row(decoder: msgspec.json.Decoder[_Line], line: bytes, *, where: str, measure: Measure) -> Drafted:
    try:
        found = decoder.decode(line)
    except msgspec.DecodeError as error:
        raise BadDrafts(f"{where}: {error}; {SHAPE}") from error
    tokens = [TokenLogprob(t.token, t.logprob, tuple(a.logprob for a in t.top_logprobs)) for t in found.logprobs]
    facts = evidence(tokens, prompt_tokens=found.prompt_tokens)
    return Drafted(facts, disagreement(found.student, found.teacher, measure=measure))


def of_release(engine: sa.Engine, release: str, *, measure: Measure) -> list[Drafted]:
    """The references that a release has drafted, accepted or not, in order."""
    return [
        Drafted(found or None, disagreement(draft, answer, measure=measure))
        for found, draft, answer in drafted_references(engine, release)
    ]
