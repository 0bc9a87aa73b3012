"""Tasks that nobody has named: what is found among recorded requests without one, and what a student of it could save.

A task is one system message to one teacher, exactly: what gateways know it by. Reads the ledger; changes nothing.
"""

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from calibration.agreement import NUMBER, Measure
from distill.worth import DAY_S, FEWEST_REQUESTS, MONTH_DAYS, Costs, Worth, drafted, share_usd
from ledger import unclaimed
from ledger.redaction import holds_placeholder
from ledger.texts import variable_text
from ledger.unclaimed import Unclaimed, Volume
from router.settings import ConfigError, Settings, Task
from router.wire import ChatRequest
from tutelage.distilling import machine, terms
from tutelage.replay.money import usd_a_request
from tutelage.replay.narrowness import Narrowness, narrowness
from tutelage.unmatched import ALIKE, Nearest, known_texts, nearest_task, text_id

MOST_KINDS = 300  # of prompts that are read, the dearest ones
MOST_FOUND = 20  # of tasks that are looked at more closely
LOOKED_AT = 500  # newest requests of a task from which its narrowness is read
ALMOST_ALL = 0.98  # of the answers
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Found:
    """Requests to one `teacher` with one system message (None: they have none) that belong to no task.

    `requests` were answered since `first_at`; `worth`: what a student could save at most, None where there are too few
    to tell; `eligible`: the share of them that a student could be asked; `measure` and `max_tokens` are what their
    answers look like; `nearest`: the task that this is probably the edited system message of.
    """

    id: str
    teacher: str
    system_prompt: str | None
    requests: int
    first_at: float
    last_at: float
    eligible: float
    worth: Worth | None
    narrowness: Narrowness
    measure: Measure
    max_tokens: int
    nearest: Nearest | None

    @property
    def name(self) -> str:
        """Its system message, short, on one line."""
        line = " ".join((self.system_prompt or "(no system message)").split())
        return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}\u2026"

    @property
    def saving_usd(self) -> float:
        """A month at most, in US dollars; 0 where there is nothing to save, or too little traffic to tell."""
        return max(0.0, self.worth.saved_usd) if self.worth else 0.0

    @property
    def command(self) -> str:
        """What to do to have it answered by a student."""
        if self.system_prompt is None:
            return "have clients send a task's name as model, or in x-tutelage-task"
        if self.nearest:
            return f"tutelage alias add {self.nearest.task} --prompt {self.id}"
        return f"tutelage tasks adopt {self.id} --name NAME"


def found(engine: sa.Engine, settings: Settings, *, now: float | None = None, days: float = MONTH_DAYS) -> list[Found]:
    """The tasks found in the requests of so many days, the largest saving first, then the dearest."""
    now = time.time() if now is None else now
    since = now - DAY_S * days
    kinds = [kind for kind in unclaimed.volumes(engine, since=since)[:MOST_KINDS] if kind.model in settings.teachers]
    known = known_texts(settings, engine, since=since) if kinds else {}
    own = {(task.teacher, task.system_prompt) for task in settings.tasks.values() if task.system_prompt is not None}
    strange = [
        item for item in _by_text(engine, kinds).items() if item[0] not in own
    ]  # recorded before it was a task's
    dearest = sorted(strange, key=lambda item: -sum(kind.usd for kind in item[1]))[:MOST_FOUND]
    others = drafted(engine, machine(settings), now=now) if dearest else 0.0
    tasks = []
    for (model, text), of_text in dearest:
        fingerprints = [kind.fingerprint for kind in of_text]
        sample = unclaimed.rows(engine, model, fingerprints, since=since, limit=LOOKED_AT)
        answered = [row for row in sample if row.text is not None]
        if answered:
            near = None if text is None else nearest_task(text, known, settings, model=model)
            is_edited = near is not None and near.alike >= ALIKE and settings.tasks[near.task].teacher == model
            described = _described(settings, of_text, answered, text=text, others=others, now=now)
            tasks.append(replace(described, nearest=near if is_edited else None))
    return sorted(tasks, key=lambda task: (-task.saving_usd, -(task.worth.spent_usd if task.worth else 0.0)))


def chosen(tasks: Sequence[Found], wanted: str, *, teacher: str | None = None) -> Found:
    """The one of that id, among those of a teacher where two have one system message. Raises ConfigError where that is
    none or several, or where it cannot be known by its system message."""
    matching = [task for task in tasks if task.id == wanted and teacher in (None, task.teacher)]
    if not matching:
        raise ConfigError(f"no task {wanted!r} was found: `tutelage tasks` shows their ids")
    if len(matching) > 1:
        raise ConfigError(f"{wanted} is asked of {' and of '.join(task.teacher for task in matching)}: add --teacher")
    if matching[0].system_prompt is None:
        raise ConfigError(f"{wanted} has no system message to know it by: {matching[0].command}")
    if holds_placeholder(matching[0].system_prompt):
        raise ConfigError(f"{wanted} is recorded with placeholders (ledger.redact): write it into the file by hand")
    return matching[0]


def in_a_line(tasks: Sequence[Found]) -> str | None:
    """For `tutelage status`: what could be saved by tasks that nobody has named; None where nothing could."""
    saving = [task for task in tasks if task.saving_usd > 0 and task.system_prompt is not None]
    if not saving:
        return None
    what = "one task without a name" if len(saving) == 1 else f"{len(saving)} tasks without names"
    total = sum(task.saving_usd for task in saving)
    return f"students of {what} would save up to ${total:,.2f} a month: `tutelage tasks` shows them"


def request_of(model: str, row: Unclaimed) -> ChatRequest:
    """What the client asked."""
    return ChatRequest({**row.params, "model": model, "messages": row.messages}, model, False, False, None)


def text_of(model: str, messages: list[dict[str, Any]]) -> str | None:
    """The system message."""
    return ChatRequest({"messages": messages}, model, False, False, None).system_prompt


def _by_text(engine: sa.Engine, kinds: Sequence[Volume]) -> Mapping[tuple[str, str | None], list[Volume]]:
    """Requests with one system message may differ in their tools or response format."""
    by_key = {(kind.model, kind.fingerprint): kind for kind in kinds}
    grouped = defaultdict[tuple[str, str | None], list[Volume]](list)
    for model in {kind.model for kind in kinds}:
        mine = [kind.fingerprint for kind in kinds if kind.model == model]
        for fingerprint, messages in unclaimed.prompts(engine, model, fingerprints=mine):
            grouped[model, text_of(model, messages)].append(by_key[model, fingerprint])
    return grouped


def _described(
    settings: Settings,
    kinds: Sequence[Volume],
    answered: Sequence[Unclaimed],
    *,
    text: str | None,
    others: float,
    now: float,
) -> Found:
    """`others`: tokens a month that students of the tasks that there are would draft."""
    model, answers = kinds[0].model, [row.text or "" for row in answered]
    eligible = sum(request_of(model, row).beyond_student() is None for row in answered) / len(answered)
    return Found(
        id=text_id(text),
        teacher=model,
        system_prompt=text,
        requests=sum(kind.requests for kind in kinds),
        first_at=min(kind.first_at for kind in kinds),
        last_at=max(kind.last_at for kind in kinds),
        eligible=eligible,
        worth=_worth(settings, kinds, eligible=eligible, others=others, now=now),
        narrowness=narrowness([_changing(row) for row in answered], answers),
        measure=_measure(answers),
        max_tokens=_longest([row.answer_tokens or 0 for row in answered]),
        nearest=None,
    )


def _worth(settings: Settings, kinds: Sequence[Volume], *, eligible: float, others: float, now: float) -> Worth | None:
    """As `distill.worth.appraise` has it of a task without a release."""
    requests, days = sum(kind.requests for kind in kinds), max(now - min(kind.first_at for kind in kinds), 1.0) / DAY_S
    if requests < FEWEST_REQUESTS:
        return None
    earns, monthly = terms(settings, Task(teacher=kinds[0].model)), requests / days * MONTH_DAYS
    read, written = (
        sum(getattr(kind, name) for kind in kinds) / requests for name in ("prompt_tokens", "answer_tokens")
    )
    draft_usd = usd_a_request(earns.draft, prompt_tokens=read, answer_tokens=written)
    costs = Costs(sum(kind.usd for kind in kinds) / requests, draft_usd, draftable=eligible, rho=earns.rho)
    share = share_usd(earns.machine, tokens=monthly * eligible * (read + written), others=others)
    return Worth(earns, costs, monthly, days, machine_usd=share)


def _changing(row: Unclaimed) -> str:
    """The part of the prompt that changes; "" where it is no text."""
    try:
        return variable_text(row.messages)
    except ValueError:
        return ""


def _measure(answers: Sequence[str]) -> Measure:
    """What almost all answers are."""
    if _almost_all(answers, _is_json):
        return "json"
    return "number" if _almost_all(answers, lambda text: NUMBER.fullmatch(text.strip()) is not None) else "exact"


def _almost_all(answers: Sequence[str], is_so: Callable[[str], bool]) -> bool:
    return sum(map(is_so, answers)) >= ALMOST_ALL * len(answers)


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False


def _longest(tokens: Sequence[int]) -> int:
    """Room for almost all answers, as a power of two: 64 at least, a task's default."""
    almost = sorted(tokens)[int(ALMOST_ALL * (len(tokens) - 1))]
    return int(max(64, 2 ** math.ceil(math.log2(max(1, almost)))))
