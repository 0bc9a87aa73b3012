"""What is told of a candidate beside its certificate: what people say is right, seconds, tokens and dollars.

It becomes part of the release's report once the test is over. Nothing here decides a promotion (docs/decisions/0044).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from distill.anchor import Seen
from distill.effort import effort, expected
from distill.gateway import GatewayUnavailable
from distill.judge import JudgeMute
from distill.people import Compare, agreement_as_corrected, errors, verdicts
from distill.plan import RunConfig
from distill.rows import TrainingRow
from ledger.prices import current_prices
from ledger.queries import Row
from ledger.records import Draft
from ledger.replies import Reply, replies

Facts = dict[str, Any]


def of_fit(
    engine: sa.Engine, config: RunConfig, *, rows: Sequence[TrainingRow], drafts: Sequence[Draft | None]
) -> Facts:
    """What is known before the window is looked at, also of a candidate that never gets there."""
    recorded = _recorded(engine, config, rows)
    return {"effort": asdict(effort("fit rows", _aligned(rows, drafts), recorded))}


def of_window(
    engine: sa.Engine,
    config: RunConfig,
    *,
    seen: Seen,
    threshold: float | None,
    compare: Compare,
    say: Callable[[str], None],
) -> Facts:
    """What the window says, with the certified threshold where there is one. Asks a judge, where the task has one,
    about what people have said; one that is away is no reason to fail."""
    recorded = _recorded(engine, config, seen.window)
    found: Facts = {"effort": asdict(effort("window", _aligned(seen.window, seen.drafts), recorded))}
    if threshold is not None:
        price = None if config.anew else current_prices(engine).get(config.teacher)
        found["expected"] = asdict(expected(seen, threshold=threshold, replies=recorded, price=price, rho=config.rho))
    try:
        return {**found, **_of_people(config, seen, threshold=threshold, compare=compare)}
    except (JudgeMute, GatewayUnavailable) as error:
        say(f"drafts are not compared with what people say is right: {error}")
        return found


def _of_people(config: RunConfig, seen: Seen, *, threshold: float | None, compare: Compare) -> Facts:
    """What they said of answers recorded from another teacher, or to another prompt, says nothing of those to come."""
    known = [] if config.anew else verdicts(seen, compare=compare)
    answers = None if threshold is None else asdict(errors(known, seen, threshold=threshold))
    found: Facts = {"people": {"drafts": asdict(errors(known, seen)), "answers": answers}}
    if corrected := agreement_as_corrected(known, seen):
        found["corrections"], found["window_agreement_corrected"] = corrected
    return found


def _recorded(engine: sa.Engine, config: RunConfig, rows: Sequence[TrainingRow | Row]) -> dict[str, Reply]:
    """Nothing where the recorded replies are another teacher's, or to another prompt."""
    return {} if config.anew else replies(engine, [row.exchange_id for row in rows])


def _aligned(rows: Sequence[TrainingRow | Row], drafts: Sequence[Draft | None]) -> list[tuple[str, Draft]]:
    """Those that were drafted."""
    return [(row.exchange_id, draft) for row, draft in zip(rows, drafts, strict=True) if draft is not None]
