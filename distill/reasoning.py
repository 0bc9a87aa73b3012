"""The teacher's rationale as a second target beside its answer, so that what is served pays for no chain of thought.

Distilling step-by-step (Hsieh et al. 2023, 2305.02301): a row is taught twice, the request as it is served with the
answer, and the request with a question for the reasons with the rationale; L = L_answer + lambda L_rationale
(docs/decisions/0033).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from datasets import Dataset

from distill.render import Chat, Rendered, Unspeakable, render_pair
from distill.rows import TrainingRow
from distill.student import Batch, collate, token_shares
from ledger.texts import message_text

WEIGHT = 1.0  # lambda: a rationale, however long, counts as much as its answer
QUESTION = "Do not answer yet: explain step by step how the answer is found."
SECOND = "second_"  # before the names of tensors of second targets in a batch


@dataclass(frozen=True)
class ReasonsReport:
    """How many `rationales` taught, of how many `tokens`; `too_long` were left out, their rows taught answers alone."""

    rationales: int
    tokens: int
    too_long: int

    def in_words(self) -> str:
        """For whoever watches, and for who asks later."""
        left_out = f", {self.too_long} were too long" if self.too_long else ""
        return f"{self.rationales} rationales taught{left_out}"


@dataclass(frozen=True)
class Reasons:
    """The second targets of rows that teach, None where one has none; the `rows` have only the rationales that teach.
    `report` is None where no row has one."""

    rows: tuple[TrainingRow, ...]
    targets: tuple[Rendered | None, ...]
    report: ReasonsReport | None


def reasons(chat: Chat, rows: Sequence[TrainingRow], answers: Sequence[Rendered], *, max_tokens: int) -> Reasons:
    """The rationales of the rows as targets of `max_tokens` at most, prompt and rationale together. `answers`: the rows
    as they are taught, whose weights the rationales share."""
    found = [_target(chat, row, answer) for row, answer in zip(rows, answers, strict=True)]
    targets = tuple(each if each and len(each.input_ids) <= max_tokens else None for each in found)
    taught = [each for each in targets if each]
    told = sum(each is not None for each in found)
    report = ReasonsReport(len(taught), sum(map(_length, taught)), told - len(taught)) if told else None
    kept = (row if each else replace(row, rationale=None) for row, each in zip(rows, targets, strict=True))
    return Reasons(tuple(kept), targets, report)


def short_enough(chat: Chat, rows: Sequence[TrainingRow], *, max_tokens: int) -> tuple[TrainingRow, ...]:
    """The rows without the rationales that have more than so many tokens, prompt and rationale together. Rows that the
    student cannot read stay as they are: none of them is trained on."""
    return tuple(row if _fits(chat, row, max_tokens) else replace(row, rationale=None) for row in rows)


def _fits(chat: Chat, row: TrainingRow, max_tokens: int) -> bool:
    if row.rationale is None:
        return True
    try:
        made = render_pair(chat, with_question(row.messages), row.rationale)
    except (Unspeakable, ValueError):
        return True
    return len(made.input_ids) <= max_tokens


def with_question(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The request, its last user message (the last one, where none is a user's) asking for the reasons instead."""
    asked = [dict(message) for message in messages]
    users = [message for message in asked if message["role"] == "user"]
    last = (users or asked)[-1]
    last["content"] = f"{message_text(last)}\n\n{QUESTION}"
    return asked


def _target(chat: Chat, row: TrainingRow, answer: Rendered) -> Rendered | None:
    if row.rationale is None:
        return None
    made = render_pair(chat, with_question(row.messages), row.rationale)
    return replace(made, weight=answer.weight, share=WEIGHT * _length(answer) / _length(made))


def _length(target: Rendered) -> int:
    """Tokens that the student is to produce."""
    return sum(target.completion_mask)


def examples(answers: Sequence[Rendered], targets: Sequence[Rendered | None]) -> Dataset:
    """What is trained on: a row with both its targets, so that each step has as much of the one as of the other."""
    return Dataset.from_list(
        [
            {
                "answer": vars(answer),
                "second": vars(target) if target else None,
                "length": len(answer.input_ids) + (len(target.input_ids) if target else 0),  # by which it is grouped
            }
            for answer, target in zip(answers, targets, strict=True)
        ]
    )


def collate_examples(found: Sequence[Mapping[str, Any]]) -> Batch:
    """The answers of some examples as a batch, and their second targets, where there are any, beside them.

    They are padded apart: in one tensor every answer would be as long as the longest rationale.
    """
    batch = collate([Rendered(**each["answer"]) for each in found])
    second = [Rendered(**each["second"]) for each in found if each["second"]]
    return {**batch, **{SECOND + name: each for name, each in collate(second).items()}} if second else batch


def targets_of(batch: Batch) -> list[Batch]:
    """The answers, and the rationales where there are any."""
    second = {name.removeprefix(SECOND): each for name, each in batch.items() if name.startswith(SECOND)}
    return [batch, second] if second else [batch]


def divisor(batches: Sequence[Batch]) -> torch.Tensor:
    """What the weighted sum of the losses of a step is divided by: its tokens, each as its share. Without rationales
    that is the number of tokens, and with them the loss is as large: a step is no longer for having two targets."""
    return torch.stack([token_shares(each).sum() for batch in batches for each in targets_of(batch)]).sum()
