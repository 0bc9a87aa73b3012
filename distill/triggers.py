"""When to make the next release: facts in, a decision with its reason out. Knows no database and no clock.

In order: what forbids training, what waits for more rows, then what asks for it, the most urgent first.
"""

from dataclasses import dataclass
from typing import Literal

Trigger = Literal[
    "forbidden", "judge", "rows", "first", "forgotten", "voided", "escalations", "age", "price", "settled"
]
DAY_S = 86_400.0
MOST_DOUBLED = 5


@dataclass(frozen=True)
class TriggerConfig:
    """`min_rows`: rows before the cut, `min_references`: unused references after it, without which nothing begins;
    `max_references`: more than these a run does not draft; `new_rows`: rows since the last attempt that make another
    one worth it, twice as many with every one in a row that was refused or failed its trial; `escalation_rate`: share
    of requests that the teacher answers beyond which a champion is retrained; `age_s`: how old a champion may grow."""

    min_rows: int
    min_references: int
    max_references: int
    new_rows: int
    escalation_rate: float
    age_s: float


@dataclass(frozen=True)
class Facts:
    """A task as the ledger has it.

    `references` are unused ones after the cut that a run would make now, `references_wanted` is what the last refusal
    asked for, or 0; `new_rows` came since the last attempt began; so many `refusals` in a row came last. The escalation
    rate is of the champion's recent requests, None while there are too few; `champion_age_s` is None without a
    champion; `unchecked`: why the task's judge cannot be used yet, None where it can or where there is none;
    `forgotten`: the release that is to be trained again without what was forgotten, which waits for no new rows.
    """

    may_train: bool
    rows: int
    references: int
    references_wanted: int
    new_rows: int
    attempts: int
    refusals: int
    champion_age_s: float | None
    voided: bool
    escalation_rate: float | None
    unchecked: str | None = None
    forgotten: str | None = None


@dataclass(frozen=True)
class Verdict:
    """Train or wait; `trigger` names the rule, `reason` says it with its numbers."""

    train: bool
    trigger: Trigger
    reason: str


def weigh(facts: Facts, config: TriggerConfig) -> Verdict:
    """The decision for one task."""
    if not facts.may_train:
        return Verdict(False, "forbidden", "the teacher's terms are not known to allow training (may_train: false)")
    if facts.unchecked:
        return Verdict(False, "judge", facts.unchecked)
    if lacking := _lacking(facts, config):
        again = f"{facts.forgotten} is to be trained again without what is forgotten: " if facts.forgotten else ""
        return Verdict(False, "forgotten" if facts.forgotten else "rows", again + lacking)
    return _urgent(facts, config) or Verdict(False, "settled", "nothing asks for another release")


def _lacking(facts: Facts, config: TriggerConfig) -> str | None:
    if facts.rows < config.min_rows:
        return f"{facts.rows} of {config.min_rows} rows before the cut"
    # A refusal for want of references asks for what its student would need; one of more rows may need fewer.
    wanted = min(max(config.min_references, facts.references_wanted), config.max_references)
    if facts.references < wanted:
        return f"{facts.references} of {wanted} unused references after the cut"
    if not facts.forgotten and facts.new_rows < (needed := _rows_worth_it(facts, config)):
        refused = f", the last {facts.refusals} came to nothing" if facts.refusals > 1 else ""
        return f"{facts.new_rows} of {needed} new rows since the last attempt{refused}"
    return None


def _rows_worth_it(facts: Facts, config: TriggerConfig) -> int:
    """A student learns by orders of magnitude: what was refused is tried again after twice as many rows each time."""
    if facts.attempts == 0:
        return 1
    return int(config.new_rows * 2 ** min(max(0, facts.refusals - 1), MOST_DOUBLED))


def _urgent(facts: Facts, config: TriggerConfig) -> Verdict | None:
    if facts.attempts == 0:
        return Verdict(True, "first", f"{facts.rows} rows are enough for a first student")
    if facts.forgotten:
        why = f"{facts.forgotten} had learned from what is forgotten: another is made of {facts.rows} other rows"
        return Verdict(True, "forgotten", why)
    if facts.champion_age_s is None:
        why = "the last release was voided" if facts.voided else "no release is in force"
        return Verdict(True, "voided" if facts.voided else "rows", f"{why}, and there are {facts.new_rows} new rows")
    rate = facts.escalation_rate
    if rate is not None and rate > config.escalation_rate:
        return Verdict(True, "escalations", f"{rate:.0%} of requests escalate, more than {config.escalation_rate:.0%}")
    if facts.champion_age_s > config.age_s:
        return Verdict(True, "age", f"the champion is {facts.champion_age_s / DAY_S:.1f} days old")
    return None
