"""Which rows may teach the student; a rejected row keeps its reason.

Curation touches training rows only, never the rows that certify: leaving out what looks wrong there would flatter the
certificate (CALIBRATION.md).
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from calibration.agreement import FORMS, normalised
from calibration.question import By, Judge
from distill.again import Again, Second, Suspect, ask_again
from distill.clusters import normalise
from distill.formats import Misfit, misfit
from distill.rows import TrainingRow
from distill.suspicion import Noise, NoLabels, suspect
from ledger.redaction import holds_placeholder, was_private

Reason = (
    Misfit
    | Literal[
        "marked as wrong",
        "empty answer",
        "redacted",
        "truncated",
        "refusal",
        "no label of the task",
        "people say otherwise",
        "conflicting labels",
        "near-duplicate",
        "suspected teacher error",
    ]
)

UNCOMPARED = "answers to one prompt were not compared, since no judge is asked about rows that teach"
DUPLICATES_KEPT = 3  # rows per (cluster, answer): a few wordings teach, a flood of one outvotes the rest

# A refusal is a first sentence that declines *to do something*. The verb is asked for so that a label or a quotation
# ("unable_to_verify_identity", "I cannot log in") is not one.
REFUSAL = re.compile(
    r"""(?: i'm | i\ am | sorry | unfortunately | apologies | but | very | so | , | \. | \s )*
        (?: i\ (?: can't | cannot | can\ not | won't | will\ not ) | (?: i'm | i\ am )\ (?: unable | not\ able )\ to )
        \ (?: help | assist | comply | provide | answer | fulfill? | create | generate | engage | continue | respond
            | support | share | discuss | do\ that )\b
      | as\ an?\ (?: ai | artificial\ intelligence | (?: large\ )? language\ model )\b""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Rules:
    """Of a task: the `labels` that its answers may be, none where they may be anything; whom to ask a `second` time
    about suspected errors, None: nobody; `by` what answers are compared."""

    labels: tuple[str, ...] = ()
    second: Second | None = None
    by: By = "exact"


NO_RULES = Rules()


@dataclass(frozen=True)
class Rejected:
    """A row that does not teach, and why."""

    exchange_id: str
    reason: Reason


@dataclass(frozen=True)
class Curated:
    """The rows that teach, in their old order, and those that do not, by step; how often the teacher errs among what
    the steps before suspicion have left; what its teacher said again, where it was asked; why answers to one prompt
    are `uncompared`, where they are."""

    kept: tuple[TrainingRow, ...]
    rejected: tuple[Rejected, ...]
    noise: Noise | NoLabels
    again: Again | None = None
    uncompared: str | None = None


def by_reason(rejected: Iterable[Rejected]) -> dict[str, int]:
    """How many rows were rejected for each reason; reasons that did not occur are absent."""
    return dict(Counter(row.reason for row in rejected))


Verdicts = list[Reason | None]  # one per row; None keeps it


def curate(
    rows: Sequence[TrainingRow],
    *,
    clusters: Sequence[int],
    seed: int,
    progress: Callable[[int, int], None],
    rules: Rules = NO_RULES,
) -> Curated:
    """Keep the rows that teach; people's corrections stand in them already (`TrainingRow.corrected`). `clusters`: of
    near-duplicates, aligned with the rows.

    In turn: answers that are unusable by themselves; then, of equal prompts, the answers in the minority (all of them
    where no answer has the most), by the task's measure, and by people alone where they have said what is right; where
    a judge is the measure they are not compared. Then repetitions of a row, and near-duplicates beyond 3 per (cluster,
    answer); what people vouch for stays first. There answers are compared after `clusters.normalise`, as prompts are.
    Then, where answers are labels, suspected teacher errors: `seed` and `progress` are for that (`suspicion.suspect`).
    What people vouch for is never suspected. What is, is put to its teacher again where the `rules` say so
    (`again.ask_again`).
    """
    where = {row.exchange_id: number for row, number in zip(rows, clusters, strict=True)}
    labels = frozenset(map(normalised, rules.labels))
    steps: tuple[Callable[[Sequence[TrainingRow]], Verdicts], ...] = (
        partial(_unusable, labels=labels),
        partial(_conflicts, by=rules.by, people=_said(rows, labels=labels)),
        partial(_duplicates, where=where),
    )
    kept, rejected = list(rows), list[Rejected]()
    for step in steps:
        kept, out = _sifted(kept, step(kept))
        rejected += out
    noise = suspect(
        [row.variable_text for row in kept],
        [normalise(row.completion) for row in kept],
        clusters=[where[row.exchange_id] for row in kept],
        sure={i for i, row in enumerate(kept) if row.vouched},
        seed=seed,
        progress=progress,
    )
    stay, again = _asked_again(kept, noise, rules.second)
    suspected = _believed(noise) - {i for i, row in enumerate(kept) if row.exchange_id in stay}
    kept, out = _sifted(kept, ["suspected teacher error" if i in suspected else None for i in range(len(kept))])
    return Curated(
        tuple(stay.get(row.exchange_id, row) for row in kept),
        (*rejected, *out),
        noise,
        again,
        uncompared=UNCOMPARED if isinstance(rules.by, Judge) else None,
    )


def _believed(noise: Noise | NoLabels) -> frozenset[int]:
    return noise.suspected if isinstance(noise, Noise) and noise.doubt is None else frozenset()


def _asked_again(
    rows: Sequence[TrainingRow], noise: Noise | NoLabels, second: Second | None
) -> tuple[dict[str, TrainingRow], Again | None]:
    if second is None or not isinstance(noise, Noise) or not _believed(noise):
        return {}, None
    return ask_again([Suspect(rows[i], label) for i, label in noise.expected.items()], second)


def _sifted(rows: Sequence[TrainingRow], verdicts: Verdicts) -> tuple[list[TrainingRow], list[Rejected]]:
    pairs = list(zip(rows, verdicts, strict=True))
    rejected = [Rejected(row.exchange_id, reason) for row, reason in pairs if reason is not None]
    return [row for row, reason in pairs if reason is None], rejected


@dataclass(frozen=True)
class _Said:
    """What people say of each prompt: which answers are right, as often as they say it, and which are wrong."""

    right: Mapping[str, Sequence[str]]
    wrong: Mapping[str, Sequence[str]]


def _said(rows: Sequence[TrainingRow], *, labels: Set[str]) -> _Said:
    """Of all rows, those too that do not teach themselves; what could not teach has no say."""
    right, wrong = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for row in rows:
        if row.disowned is not None:
            wrong[_prompt_key(row)].append(row.disowned)
        if row.truth is None:
            continue
        told = replace(row, completion=row.truth, finish_reason="stop", disowned=None)
        if (_unusable_alone(told) or _no_label(told, labels)) is None:
            right[_prompt_key(row)].append(row.truth)
    return _Said(right, wrong)


def _unusable(rows: Sequence[TrainingRow], *, labels: Set[str]) -> Verdicts:
    return [_unusable_alone(row) or _no_label(row, labels) for row in rows]


def _no_label(row: TrainingRow, labels: Set[str]) -> Reason | None:
    """As the measure `exact` reads them: that is who certifies."""
    return "no label of the task" if labels and normalised(row.completion) not in labels else None


def _unusable_alone(row: TrainingRow) -> Reason | None:
    if row.wrong:
        return "marked as wrong"
    if not row.completion.strip():
        return "empty answer"
    if row.finish_reason != "stop":
        return "truncated"
    asked = {**row.params, "messages": row.messages}
    if holds_placeholder(row.completion) or was_private(asked):  # the student would learn placeholders
        return "redacted"
    if REFUSAL.match(normalise(row.completion)):
        return "refusal"
    return misfit(row.params, row.completion)


def _conflicts(rows: Sequence[TrainingRow], *, by: By, people: _Said) -> Verdicts:
    """Answers are counted by the form in which the measure compares them. So agreement is an equivalence here as it is
    there: no order of the rows decides which belong together, and what stays agrees with all else that stays."""
    if isinstance(by, Judge):
        return [None] * len(rows)
    form, prompts = FORMS[by], [_prompt_key(row) for row in rows]
    # One error that a teacher repeats is no five witnesses against the one who has looked.
    truths, wrong = (
        {prompt: left for prompt, said in these.items() if (left := _outvoting(said, others.get(prompt, ()), form))}
        for these, others in ((people.right, people.wrong), (people.wrong, people.right))
    )
    answers: dict[str, Counter[Hashable]] = defaultdict(Counter)
    for row, prompt in zip(rows, prompts, strict=True):
        if (mine := form(row.completion)) not in wrong.get(prompt, ()):
            answers[prompt][mine] += 1
    right = {prompt: _majority(truths.get(prompt, answers[prompt])) for prompt in set(prompts)}

    def verdict(row: TrainingRow, prompt: str) -> Reason | None:
        if (mine := form(row.completion)) == right[prompt]:
            return None
        settled = mine in wrong.get(prompt, ()) or (prompt in truths and right[prompt] is not None)
        return "people say otherwise" if settled and not row.vouched else "conflicting labels"

    return [verdict(row, prompt) for row, prompt in zip(rows, prompts, strict=True)]


def _outvoting(said: Sequence[str], others: Sequence[str], form: Callable[[str], Hashable]) -> Counter[Hashable]:
    """What people say more often than that it is otherwise."""
    return Counter(map(form, said)) - Counter(map(form, others))


def _prompt_key(row: TrainingRow) -> str:
    """Equal for rows that ask the same: the same other messages and, normalised, the same variable text."""
    speakers = [message["role"] for message in row.messages]
    variable = len(speakers) - 1 - speakers[::-1].index("user") if "user" in speakers else None
    constant = [message for index, message in enumerate(row.messages) if index != variable]
    return json.dumps([constant, normalise(row.variable_text)], sort_keys=True)


def _majority(answers: Counter[Hashable]) -> Hashable | None:
    """The most frequent answer, None where several are equally frequent, or there is none."""
    (first, votes), *others = answers.most_common(2) or [(None, 0)]
    return first if all(votes > fewer for _, fewer in others) else None


def _duplicates(rows: Sequence[TrainingRow], *, where: Mapping[str, int]) -> Verdicts:
    order = sorted(range(len(rows)), key=lambda i: not rows[i].vouched)  # of repetitions that of people stays
    repeats = _beyond(1, (_prompt_key(rows[i]) for i in order))
    first = [i for i, repeat in zip(order, repeats, strict=True) if not repeat]
    answers = ((where[rows[i].exchange_id], normalise(rows[i].completion)) for i in first)
    kept = {i for i, crowded in zip(first, _beyond(DUPLICATES_KEPT, answers), strict=True) if not crowded}
    return [None if i in kept else "near-duplicate" for i in range(len(rows))]


def _beyond(limit: int, keys: Iterable[object]) -> list[bool]:
    """For each key, whether it has already occurred `limit` times."""
    seen: Counter[object] = Counter()
    verdicts = []
    for key in keys:
        seen[key] += 1
        verdicts.append(seen[key] > limit)
    return verdicts
