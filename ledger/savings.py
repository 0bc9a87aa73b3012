"""What was saved: what the same requests would have cost at the teacher alone, less everything that was spent.

Where the teacher has answered the client, that is what it cost. Where the student has, it is estimated from references:
requests drawn before any routing, which the teacher has answered as well. Their cost y is nearly in proportion to the
tokens x of the draft, prompt included, and the ratio of their sums, times the tokens of all answers, is the estimate
(Cochran 1977, chapter 6: the ratio estimator, and its variance from the residuals y - R x).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Literal

import sqlalchemy as sa

from ledger import totals
from ledger.schema import keys
from ledger.totals import Of, Sums

Part = Literal["task", "key", "release"]
Parts = dict[str, dict[str, dict[str, Sums]]]  # by name, task and origin

DAY_S = 24 * totals.HOUR_S
FEWEST = 30  # references that an interval is told from
NORMAL = 1.96  # of a normal distribution, 95 % lie within so many standard deviations
COMPONENTS = (
    "teacher",
    "draft",
    "reference",
    "probe",
    "recertify",
    "judge",
    "writer",
    "synthetic",
    "curate",
    "training",
    "upkeep",
    "machine",
)


@dataclass(frozen=True)
class Estimate:
    """US dollars that the student's answers would have cost at the teacher, with a 95 % interval. Of few references
    none is `told`: then `low` is 0, since nothing is claimed that is not known, and `high` is no bound."""

    usd: float = 0.0
    low: float = 0.0
    high: float = 0.0
    told: bool = True


@dataclass(frozen=True)
class Savings:
    """Of a task, or of all, in a period: counts, and US dollars. `measured_usd`: what the teacher took for clients'
    answers, `estimated`: what it would have taken for the student's; `costs` by component, all that was spent."""

    requests: int = 0
    student_answers: int = 0
    measured_usd: float = 0.0
    estimated: Estimate = Estimate()
    costs: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(COMPONENTS, 0.0))
    draft_prompt_tokens: int = 0
    draft_completion_tokens: int = 0
    teacher_prompt_tokens: int = 0
    teacher_cached_tokens: int = 0
    teacher_completion_tokens: int = 0

    @property
    def baseline_usd(self) -> float:
        """The teacher alone."""
        return self.measured_usd + self.estimated.usd

    @property
    def spent_usd(self) -> float:
        """Everything."""
        return sum(self.costs.values())

    @property
    def saved_usd(self) -> float:
        """Below 0 where it has cost more than the teacher alone."""
        return self.baseline_usd - self.spent_usd

    @property
    def saved_low_usd(self) -> float:
        """At the lower end of the estimate."""
        return self.measured_usd + self.estimated.low - self.spent_usd

    @property
    def saved_high_usd(self) -> float:
        """At its upper end."""
        return self.measured_usd + self.estimated.high - self.spent_usd

    @property
    def saved_share(self) -> float:
        """Of the baseline; 0 where there is none."""
        return self.saved_usd / self.baseline_usd if self.baseline_usd else 0.0


def savings(engine: sa.Engine, *, task: str | None = None, since: float = 0.0, until: float = math.inf) -> Savings:
    """Of the whole hours that `since` and `until` lie in, in seconds since the epoch."""
    return together(by_task(engine, task=task, since=since, until=until).values())


def by_task(
    engine: sa.Engine, *, task: str | None = None, since: float = 0.0, until: float = math.inf
) -> dict[str, Savings]:
    """As `savings`, of each task; "" is what belongs to none."""
    return by_part(engine, "task", task=task, since=since, until=until)


def by_part(
    engine: sa.Engine, part: Part, *, task: str | None = None, since: float = 0.0, until: float = math.inf
) -> dict[str, Savings]:
    """As `savings`, of each task, key (all that it was rotated to) or release. "" is what belongs to none: of a key or
    a release that is also what is paid for all of a task together. What a part's answers would have cost is told by
    its own references where there are enough; else by those of its task, whose requests may be longer or shorter, so
    that no interval is told, and the parts add up to the whole only roughly."""
    whole = since <= 0.0 and until == math.inf
    with engine.connect() as connection:
        name = _namer(connection, part)
        ever = _parts(totals.read(connection, task=task), name)
        found = ever if whole else _parts(totals.read(connection, task=task, **_ends(since, until)), name)
    return _all(found, ever)


def by_day(
    engine: sa.Engine, part: Part = "task", *, since: float, until: float = math.inf, task: str | None = None
) -> list[tuple[float, dict[str, Savings]]]:
    """Each day's beginning (UTC), and what was saved in it, by part; days without anything are absent. Days of one part
    are estimated by much the same references: of several of them ask `by_part`, since their intervals do not add up."""
    with engine.connect() as connection:
        name = _namer(connection, part)
        ever = _parts(totals.read(connection, task=task), name)
        rows = totals.read(connection, task=task, **_ends(since, until))
    days: dict[int, list[tuple[int, Of, Sums]]] = defaultdict(list)
    for row in rows:
        days[row[0] // DAY_S * DAY_S].append(row)
    return [(float(day), dict(sorted(_all(_parts(found, name), ever).items()))) for day, found in sorted(days.items())]


def answer_usd(engine: sa.Engine, task: str, tokens: int) -> float:
    """What an answer of the student of so many tokens, prompt included, would have cost at the task's teacher, roughly;
    0 where nothing tells."""
    with engine.connect() as connection:
        sums = (found for _, of, found in totals.read(connection, task=task) if of.origin == "client")
        return tokens * _usd_per_token(sum(sums, Sums()))


def together(parts: Iterable[Savings]) -> Savings:
    """Of several tasks. Their estimates are independent, so that what is told of them adds up as variances do; of what
    is not told the lower ends add up as they are."""
    parts = list(parts)
    numbers = {
        name: sum(getattr(part, name) for part in parts)
        for name in Savings.__dataclass_fields__
        if name not in ("estimated", "costs")
    }
    costs = {name: sum(part.costs[name] for part in parts) for name in COMPONENTS}
    return Savings(**numbers, estimated=_sum([part.estimated for part in parts]), costs=costs)


def _sum(parts: Sequence[Estimate]) -> Estimate:
    usd = sum(part.usd for part in parts)
    told = [part for part in parts if part.told]
    below, above = (math.sqrt(sum((part.usd - getattr(part, end)) ** 2 for part in told)) for end in ("low", "high"))
    untold = sum(part.usd - part.low for part in parts if not part.told)
    return Estimate(usd, max(0.0, usd - below - untold), usd + above, told=len(told) == len(parts))


def _ends(since: float, until: float) -> dict[str, float | None]:
    return {"since": max(0.0, since), "until": None if until == math.inf else until}


def _namer(connection: sa.Connection, part: Part) -> Callable[[Of], str]:
    """Which part sums are of."""
    if part != "key":
        return attrgetter(part)
    accounts = {row.id: row.account for row in connection.execute(sa.select(keys.c.id, keys.c.account))}
    return lambda of: accounts.get(of.key, of.key) if of.origin == "client" else ""


def _parts(rows: Iterable[tuple[int, Of, Sums]], name: Callable[[Of], str]) -> Parts:
    """By part, task and origin."""
    found: Parts = defaultdict(lambda: defaultdict(lambda: defaultdict(Sums)))
    for _, of, sums in rows:
        found[name(of)][of.task][of.origin] += sums
    return found


def _all(found: Parts, ever: Parts) -> dict[str, Savings]:
    """`ever`: the same of all time."""
    tasks: dict[str, Sums] = defaultdict(Sums)
    for of_part in ever.values():
        for task, by_origin in of_part.items():
            tasks[task] += by_origin.get("client", Sums())
    return {
        name: together(_savings(sums, ever[name][task], of_task=tasks[task]) for task, sums in of_part.items())
        for name, of_part in found.items()
    }


def _savings(by_origin: Mapping[str, Sums], ever: Mapping[str, Sums], *, of_task: Sums) -> Savings:
    clients, all_of_it = by_origin.get("client", Sums()), sum(by_origin.values(), Sums())
    own = {origin: sums.paid_usd for origin, sums in by_origin.items() if origin != "client"}
    of_clients = {"teacher": clients.paid_usd, "draft": clients.draft_usd, "reference": clients.label_usd}
    return Savings(
        requests=clients.requests,
        student_answers=clients.student_answers,
        measured_usd=clients.paid_usd,
        estimated=_estimate(clients, ever.get("client", Sums()), of_task=of_task),
        costs={**dict.fromkeys(COMPONENTS, 0.0), **own, **of_clients},
        draft_prompt_tokens=all_of_it.draft_prompt_tokens,
        draft_completion_tokens=all_of_it.draft_completion_tokens,
        teacher_prompt_tokens=all_of_it.teacher_prompt_tokens,
        teacher_cached_tokens=all_of_it.teacher_cached_tokens,
        teacher_completion_tokens=all_of_it.teacher_completion_tokens,
    )


def _estimate(asked: Sums, ever: Sums, *, of_task: Sums) -> Estimate:
    """By the period's references where there are enough, else by all of the part's, else by what its task knows."""
    if asked.answer_tokens == 0:
        return Estimate()
    told = next((sums for sums in (asked, ever) if sums.pairs >= FEWEST and sums.pair_x > 0.0), None)
    if told is None:
        usd = asked.answer_tokens * _usd_per_token(of_task)
        return Estimate(usd, 0.0, usd, told=False)
    ratio = told.pair_y / told.pair_x
    squares = told.pair_yy - 2.0 * ratio * told.pair_xy + ratio**2 * told.pair_xx
    deviation = math.sqrt(max(0.0, squares) / (told.pairs - 1) / told.pairs) * told.pairs / told.pair_x
    usd, half = asked.answer_tokens * ratio, NORMAL * asked.answer_tokens * deviation
    return Estimate(usd, max(0.0, usd - half), usd + half)


def _usd_per_token(told: Sums) -> float:
    """Of the teacher, by a task's references, with escalated requests where these are few."""
    few = told.pairs < FEWEST
    x, y = told.pair_x + few * told.near_x, told.pair_y + few * told.near_y
    return y / x if x else 0.0
