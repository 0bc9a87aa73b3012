"""A task's judge beside people: pairs of answers written to be labelled, and labelled ones put to the judge."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import sqlalchemy as sa

from calibration.certificate import JudgeRates, Refusal
from calibration.judged import Labelled, level, rates
from calibration.question import Judge, Pair, settled
from calibration.words import percent
from distill.judge import AskJudge, Requests, ask_patiently
from ledger import verdicts
from ledger.releases import history
from ledger.texts import variable_text
from router.settings import ConfigError, Settings
from tutelage.distilling import gateway_client

SHAPE = '{"prompt": text, "student": text, "teacher": text, "same": true or false}'
OWN_PAIRS = (
    "Write pairs of your own, one JSON object a line, for instance another model's answers beside the teacher's: "
    f"{SHAPE}, and give them to `tutelage judge check`"
)


class BadPairs(ConfigError):
    """There are no pairs, or the file holds something else; the message names the line and what to do. Nothing was
    changed."""


class _Line(msgspec.Struct):
    prompt: str
    student: str
    teacher: str
    same: bool | None


def judge_of(settings: Settings, task: str) -> Judge:
    """Raises ConfigError where the task is compared by a rule."""
    by = settings.compares_by(task)
    if not isinstance(by, Judge):
        raise ConfigError(f"{task} is compared by {by}, not by a judge: set tasks.{task}.measure: judge, and judge:")
    return by


def through_gateway(settings: Settings, task: str) -> AskJudge:
    """Ask the running gateway, which pays and records."""
    client = gateway_client(settings)

    def ask(judge: Judge, requests: Requests) -> list[str | None]:
        return client.answers(task, requests, origin="judge", teacher=judge.name)

    return ask


def sample(engine: sa.Engine, task: str, *, most: int) -> list[Pair]:
    """A random part of the accepted drafts of the newest release that has any, beside the teacher's answers.

    Without equal ones: no judge is asked about these. Raises BadPairs where there are none.
    """
    for release in reversed(history(engine, task)):
        found = verdicts.accepted(engine, release.name)
        pairs = [Pair(variable_text(messages), draft, teacher) for messages, draft, teacher in found]
        if differing := [pair for pair in pairs if settled(pair) is None]:
            return random.Random(release.name).sample(differing, min(most, len(differing)))
        if pairs:
            raise BadPairs(
                f"all {len(pairs)} references that {release.name} has answered equal the teacher's answer. {OWN_PAIRS}"
            )
    raise BadPairs(f"no release of {task} has answered a reference yet, so there is no draft to label. {OWN_PAIRS}")


def write(pairs: Sequence[Pair], path: Path) -> None:
    """One line a pair, to be labelled. Raises BadPairs rather than overwrite a file."""
    lines = [msgspec.json.encode(_Line(each.prompt, each.student or "", each.teacher or "", None)) for each in pairs]
    try:
        with path.open("xb") as file:
            file.write(b"".join(line + b"\n" for line in lines))
    except FileExistsError as error:
        raise BadPairs(f"{path} exists; it is not overwritten") from error
    except OSError as error:
        raise BadPairs(f"{path}: {error.strerror}") from error


def read(path: Path) -> dict[Pair, bool]:
    """Labelled pairs, and whether people call them the same. Raises BadPairs."""
    found: dict[Pair, bool] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BadPairs(f"{path}: {error.strerror}") from error
    for where, (pair, same) in _labelled(path, lines):
        if found.setdefault(pair, same) != same:
            raise BadPairs(f"{where}: the same pair is labelled otherwise further up")
    if not found:
        raise BadPairs(f"{path}: no pairs; each line is {SHAPE}")
    return found


def _labelled(path: Path, lines: Sequence[bytes]) -> Iterator[tuple[str, tuple[Pair, bool]]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield f"{path}:{number}", _one(line, where=f"{path}:{number}")


def _one(line: bytes, *, where: str) -> tuple[Pair, bool]:
    try:
        found = msgspec.json.decode(line, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadPairs(f"{where}: {error}; each line is {SHAPE}") from error
    if found.same is None:
        raise BadPairs(f"{where}: not labelled yet: same is true where both answers say the same, and false otherwise")
    pair = Pair(found.prompt, found.student, found.teacher)
    if settled(pair) is False and not found.same:
        raise BadPairs(
            f"{where}: labelled as different, and but for case, white space and quotes the answers are equal: such a "
            "pair agrees without a judge, so this job cannot be judged as it is labelled"
        )
    return pair, found.same


@dataclass(frozen=True)
class Checked:
    """`asked` pairs were put to the judge, `unread` of them without a verdict; `equal` ones need none. `known`: all
    labelled pairs of the task by now, and the `outcome` they allow."""

    asked: int
    unread: int
    equal: int
    known: Labelled
    outcome: JudgeRates | Refusal

    def in_words(self, *, alpha: float) -> Iterator[str]:
        """What the judge is known to do, and what follows for a contract."""
        yield (
            f"asked about {self.asked} pairs, {self.unread} of them without a readable verdict, which are left out; "
            f"{self.equal} more are equal and need no judge"
        )
        known, found = self.known, self.outcome
        if isinstance(found, Refusal):
            yield f"this judge cannot be used: {found.reason}"
            return
        yield (
            f"q1: of {known.different} pairs that people call different it calls {known.caught} different, "
            f"{known.caught / known.different:.1%}, and at least {found.caught:.1%}"
        )
        spared = f"{known.spared} the same, {known.spared / known.same:.1%}" if known.same else "none the same"
        yield f"q0: of {known.same} pairs that people call the same it calls {spared}, and at most {found.spared:.1%}"
        yield (
            f"alpha {percent(alpha)} is tested at a share of {percent(level(found, alpha))} that the judge calls "
            f"different where it is asked about every answer, and down to {percent(level(found, alpha, asked=0.0))} "
            "the more answers are equal; a release counts these itself"
        )


def check(
    settings: Settings,
    engine: sa.Engine,
    task: str,
    *,
    labels: dict[Pair, bool],
    ask: AskJudge,
    progress: Callable[[int, int], None],
) -> Checked:
    """Put labelled pairs to the task's judge and keep what it says.

    Raises JudgeMute and GatewayUnavailable, and then nothing was kept.
    """
    judge, pairs = judge_of(settings, task), [pair for pair in labels if settled(pair) is None]
    said = dict(zip(pairs, ask_patiently(pairs, judge=judge, ask=ask, progress=progress), strict=True))
    kept = [verdicts.JudgedLabel(pair, labels[pair], flag) for pair, flag in said.items() if flag is not None]
    verdicts.label(engine, task, judge=judge.fingerprint, labels=kept, now=time.time())
    known = verdicts.labelled(engine, task, judge=judge.fingerprint)
    outcome = rates(known, delta=settings.task(task).delta)
    return Checked(len(pairs), len(pairs) - len(kept), len(labels) - len(pairs), known, outcome)
