"""What the references of a release have shown: computed by the worker, published for whoever shows it."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from ledger.database import writing
from ledger.schema import live as table
from ledger.schema import releases


@dataclass(frozen=True)
class Live:
    """Of `answers` that a release has given since then (seconds since the epoch), `references` were labelled, and
    `errors` of these disagree. `agreement` of all answers, in [0, 1], with an interval that holds at all times; `alarm`
    is how much of its bound the alarm has reached."""

    since: float
    answers: int
    references: int
    errors: int
    agreement: float
    low: float
    high: float
    alarm: float


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
