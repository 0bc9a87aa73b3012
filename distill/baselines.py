"""What the base model does without an adapter: as it is, and with examples before the question. Told, and decides
nothing: a job that examples alone teach needs no training."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calibration.agreement import Measure
from distill.candidate import Candidate
from distill.evaluate import agreement, judge
from distill.gateway import GatewayUnavailable
from distill.rows import TrainingRow

ROWS = 100  # an estimate within ten points
EXAMPLES = 8
Request = Mapping[str, Any]


@dataclass(frozen=True)
class Baselines:
    """Shares of `rows` on which the base model agrees with the teacher; None where it drafts nothing at all."""

    rows: int
    untrained: float | None
    with_examples: float | None

    @property
    def words(self) -> str:
        """Both, in a line."""
        plain, shown = (
            "drafts nothing" if share is None else f"agrees on {share:.0%}"
            for share in (self.untrained, self.with_examples)
        )
        return f"of {self.rows} rows the base model {plain} as it is, and {shown} with {EXAMPLES} examples"


def baselines(
    made: Candidate,
    rows: Sequence[TrainingRow],
    requests: Sequence[Request],
    *,
    examples: Sequence[TrainingRow],
    by: Measure,
) -> Baselines:
    """Ask the base model for the first hundred of these `requests`, through the gateway as the candidate is asked.

    `examples`: rows that teach, of which eight stand before each question as turns of the conversation. Raises
    AdapterError where the engine does not answer.
    """
    rows, requests = rows[:ROWS], requests[:ROWS]
    turns = _turns(examples)
    shown = [{**request, "messages": _with(turns, request["messages"])} for request in requests]
    return Baselines(len(rows), *(_agreement(made, rows, each, by=by) for each in (requests, shown)))


def _agreement(
    made: Candidate, rows: Sequence[TrainingRow], requests: Sequence[Request], *, by: Measure
) -> float | None:
    try:
        drafts = made.base_drafts(requests)
    except GatewayUnavailable:
        return None  # of none: eight examples may be more than its context holds
    return agreement(judge([row.exchange_id for row in rows], drafts, [row.completion for row in rows], measure=by))


def _turns(rows: Sequence[TrainingRow]) -> list[dict[str, Any]]:
    """Examples of as many answers as there are, the same ones each time."""
    shuffled = random.Random(0).sample(list(rows), len(rows))
    by_answer = {row.completion: row for row in shuffled}
    chosen = [*by_answer.values(), *(row for row in shuffled if row is not by_answer[row.completion])][:EXAMPLES]
    return [
        turn
        for row in chosen
        for turn in ({"role": "user", "content": row.variable_text}, {"role": "assistant", "content": row.completion})
    ]


def _with(turns: Sequence[Mapping[str, Any]], messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The turns behind the system message, before the conversation itself."""
    systems = [said for said in messages if said["role"] in ("system", "developer")]
    return [*systems, *turns, *(said for said in messages if said not in systems)]
