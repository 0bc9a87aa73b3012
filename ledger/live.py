"""What the references of a release have shown: computed by the worker, published for whoever shows it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from ledger.database import writing
from ledger.schema import live as table
from ledger.schema import releases

DAY_S = 86_400.0
TELLING, SETTLED_S = 10, 3600.0  # fewer references, or a shorter time, tell no pace


@dataclass(frozen=True)
class Live:
    """Of `answers` that a release has given since then (seconds since the epoch), `references` were labelled, and
    `errors` of these disagree. `agreement` of all answers, in [0, 1], with an interval that holds at all times; `alarm`
    is how much of its bound the alarm has reached, `exposure` how many answers that are wrong beyond the contract would
    pass before it sounds, if twice as many came to differ as it allows; None where that was not counted."""

    since: float
    answers: int
    references: int
    errors: int
    agreement: float
    low: float
    high: float
    alarm: float
    exposure: float | None = None

    def pace(self, *, now: float) -> float | None:
        """References a day since then, None where that is not known yet."""
        return pace(self.references, since=self.since, until=now)


def pace(references: int, *, since: float, until: float) -> float | None:
    """So many references between two times, in seconds, as references a day; None where they tell no pace yet."""
    told = references >= TELLING and until - since >= SETTLED_S
    return references / (until - since) * DAY_S if told else None


def alarm_days(paces: Mapping[str, float], bounds: Mapping[str, float]) -> float | None:
    """B of all these tasks together in days: a false alarm of any of them within d days has a probability of at most d
    over it, since for each it is its references in d days over its B, and a sum bounds what happens to any. None
    without a task. `paces`: references a day, `bounds`: B in references.
    """
    rate = sum(found / bounds[task] for task, found in paces.items())
    return 1.0 / rate if rate else None


_COLUMNS = [table.c[name] for name in Live.__dataclass_fields__]


def publish(engine: sa.Engine, release: str, live: Live) -> None:
    """Replace what was published of the release."""
    with writing(engine) as connection:
        connection.execute(table.delete().where(table.c.release == release))
        connection.execute(table.insert().values(release=release, **asdict(live)))


def published(engine: sa.Engine) -> dict[str, Live]:
    """Task -> what its champion's references have shown, where a worker has counted any."""
    query = sa.select(releases.c.task, *_COLUMNS).join(releases, releases.c.name == table.c.release)
    with engine.connect() as connection:
        rows = connection.execute(query.where(releases.c.status == "champion"))
        return {task: Live(*values) for task, *values in rows}


def of_releases(engine: sa.Engine, task: str) -> dict[str, Live]:
    """Release -> what its references have shown by the last look, of all of a task's that were in force."""
    query = sa.select(table.c.release, *_COLUMNS).join(releases, releases.c.name == table.c.release)
    with engine.connect() as connection:
        return {name: Live(*values) for name, *values in connection.execute(query.where(releases.c.task == task))}
