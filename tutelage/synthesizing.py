"""`tutelage synthesize`: what the examples are, what it would cost, and the teacher asked through the gateway."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from distill.clusters import normalise
from distill.gateway import GatewayClient
from distill.harvest import permit
from distill.rows import TrainingRow, as_student_reads
from distill.synthesis import (
    FEWEST_SEEDS,
    SEEDS_SHOWN,
    WRITTEN_AT_ONCE,
    Writing,
    as_asked,
    brief,
    requests_needed,
    write,
)
from ledger.prices import Price, current_prices, dollars
from ledger.queries import Row, task_rows
from ledger.redaction import Redactor, holds_placeholder
from ledger.texts import message_text
from router.settings import ConfigError, Settings

CHARACTERS = 4  # a token, roughly


@dataclass(frozen=True)
class Plan:
    """What is to be written: `rows` new messages like the `seeds`, none like a `known` one, asked as the `patterns`
    were; `usd`: what the teacher will ask for that, roughly, None where its price is not known yet. `redactor`: what
    takes out of records what is personal, None where all is kept."""

    task: str
    rows: int
    seeds: tuple[str, ...]
    known: tuple[str, ...]
    patterns: tuple[TrainingRow, ...]
    usd: float | None
    redactor: Redactor | None = None

    def is_private(self, text: str) -> bool:
        """Whether a message would be recorded otherwise than it is asked, and so teach nothing."""
        return holds_placeholder(text) or (self.redactor is not None and self.redactor.text(text) != text)

    @property
    def prompt(self) -> str | None:
        """The system message of the newest recorded request."""
        first = self.patterns[-1].messages[0]
        return message_text(first) if first["role"] == "system" else None

    def words(self) -> Iterator[str]:
        """What it will be."""
        price = "at a price that is not known yet: start the teacher first" if self.usd is None else dollars(self.usd)
        yield (
            f"{self.rows} messages for {self.task}, written by its teacher like {len(self.seeds)} that are known, and "
            f"then answered by it: roughly {price}, on the task's budget"
        )
        yield "they teach the student, and are in no window, calibrator or count of traffic"


def plan(settings: Settings, engine: sa.Engine, task: str, *, rows: int, seeds_file: Path | None) -> Plan:
    """Raises ConfigError and HarvestError where it may not, or cannot, be done. Nothing is asked yet."""
    chosen = settings.task(task)
    permit(teacher=chosen.teacher, may_train=settings.teachers[chosen.teacher].may_train)
    recorded = [row for row in task_rows(engine, task) if row.eligible and row.teaches and _one_question(row)]
    patterns = tuple(_pattern(row) for row in recorded if row.teacher_text is not None)
    if not patterns:
        raise ConfigError(
            f"no request of {task} that its teacher has answered is recorded, of one message of a user: send some"
        )
    real = _distinct([row.variable_text for row in patterns])
    seeds = _distinct([*_lines(seeds_file), *real])
    if len(seeds) < FEWEST_SEEDS:
        raise ConfigError(
            f"{len(seeds)} different messages of {task} are known, and at least {FEWEST_SEEDS} are needed as examples: "
            "wait for more, or give some with --seeds FILE, one a line"
        )
    written = task_rows(engine, task, origins=("synthetic",))
    known = [*seeds, *(_pattern(row).variable_text for row in written)]
    usd = _price(engine, chosen.teacher, patterns, rows=rows)
    return Plan(task, rows, seeds, _distinct(known), patterns, usd, settings.redactor(engine))


@dataclass(frozen=True)
class Done:
    """What was written, and how many of these messages the teacher has answered; `why` not the others, as it was told
    last."""

    writing: Writing
    answered: int
    why: str = ""

    def words(self) -> Iterator[str]:
        """What became of it."""
        yield from self.writing.words()
        yield f"{self.answered} of them are answered and recorded; they teach the next release"
        lacking = self.answered < len(self.writing.texts) or self.writing.unanswered
        if lacking and self.why and self.why not in (self.writing.ended or ""):
            yield f"why not the others: {self.why}"


def carry(
    found: Plan, gateway: GatewayClient, *, seed: int, step: Callable[[str], None], progress: Callable[[int, int], None]
) -> Done:
    """Have them written and answered. Raises GatewayUnavailable; what is answered by then is recorded and stays."""
    step("writing")
    writing = write(
        found.seeds,
        known=found.known,
        most=found.rows,
        prompt=found.prompt,
        ask=partial(gateway.answers_patiently, found.task, origin="writer", progress=lambda *_: None),
        seed=seed,
        progress=progress,
        is_private=found.is_private,
    )
    if not writing.texts:
        return Done(writing, 0, gateway.why)
    step(f"{len(writing.texts)} are written; answering")
    requests = _requests(found, writing.texts, seed=seed)
    answers = gateway.answers_patiently(found.task, requests, origin="synthetic", progress=progress)
    return Done(writing, sum(text is not None for text in answers), gateway.why)


def _requests(found: Plan, texts: Sequence[str], *, seed: int) -> list[Mapping[str, Any]]:
    """Each as one of the recorded requests was asked, drawn at random."""
    draw = random.Random(seed)
    return [as_asked(draw.choice(found.patterns), text) for text in texts]


def _one_question(row: Row) -> bool:
    """Of a conversation a new last message says nothing sensible."""
    return [said["role"] for said in row.messages if said["role"] in ("user", "assistant")] == ["user"]


def _pattern(row: Row) -> TrainingRow:
    return TrainingRow(
        exchange_id=row.exchange_id,
        messages=as_student_reads(row.messages),
        completion=row.teacher_text or "",
        finish_reason=row.teacher_finish_reason,
        params=row.params,
    )


def _distinct(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple({normalise(text): text for text in texts if text.strip()}.values())


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as text, one message a line: {error}") from error


def _price(engine: sa.Engine, teacher: str, patterns: Sequence[TrainingRow], *, rows: int) -> float | None:
    """By the length of what is recorded, a token every four characters."""
    price = current_prices(engine).get(teacher)
    if price is None:
        return None
    seeds = [row.variable_text for row in patterns]
    order = brief(seeds[:SEEDS_SHOWN], prompt=None)
    written = sum(map(len, seeds)) / len(seeds)
    asked = sum(len(message_text(said)) for row in patterns for said in row.messages) / len(patterns)
    answered = sum(len(row.completion) for row in patterns) / len(patterns)
    ordered = sum(len(said["content"]) for said in order["messages"])
    return requests_needed(rows) * _usd(price, ordered, WRITTEN_AT_ONCE * written) + rows * _usd(price, asked, answered)


def _usd(price: Price, asked: float, answered: float) -> float:
    return (asked * price.input_usd_per_token + answered * price.output_usd_per_token) / CHARACTERS
