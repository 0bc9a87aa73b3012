"""What the student's machine costs by the hour, whoever it drafts for: counted while it is meant to run, and shared.

The worker looks every few seconds while the student is meant to run, as they are started and ended together. The time
between two looks is time of the machine; where they are further apart it was off, but for whole hours in which drafts
were recorded: then only the worker was away. What an hour has come to is charged once that is over and its records are
stored, in the transaction that says so: killed anywhere, and by several workers, no second is charged twice.

Who has drafted pays, by tokens: they are what takes a machine's time. An hour without drafts is kept ready for the
tasks with a release in force or on trial, which share it equally. Before there is one nobody's student costs anything,
so it belongs to no task, and to the sum of all.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from ledger import totals
from ledger.database import writing
from ledger.releases import SERVED
from ledger.schema import releases, settings
from ledger.totals import HOUR_S

KEY = "machine"  # of our row in the table of small facts
ORIGIN = "machine"
LOOK_S = 60.0  # looks that are closer to the last are none: each is a write
OFF_S = 900.0
STORED_S = 300.0  # behind the end of an hour its drafts are in the ledger, or their spool waits


@dataclass(frozen=True)
class _Counted:
    """Looked at last `at`; US dollars of hours that are not charged yet, by the hour's beginning."""

    at: float
    hours: Mapping[int, float]


def charge(engine: sa.Engine, tasks: Collection[str], *, usd_per_hour: float, now: float) -> float:
    """Count the time since the last look and charge the hours that are over; returns that in US dollars. `tasks` may
    have a student. The first look begins; at 0 an hour nothing is counted, and what was is charged."""
    with engine.connect() as connection:  # it is asked every few seconds, and the ingester writes meanwhile
        if not _due(_read(connection), usd_per_hour=usd_per_hour, now=now):
            return 0.0
    with writing(engine) as connection:
        before = _read(connection)
        hours = dict(before.hours) if before else {}
        for hour, seconds in _ran(connection, before, now=now) if before and usd_per_hour else ():
            hours[hour] = hours.get(hour, 0.0) + usd_per_hour * seconds / HOUR_S
        over = {hour: hours.pop(hour) for hour in sorted(hours) if now >= hour + HOUR_S + STORED_S}
        for hour, usd in over.items():
            for task, share in _shares(connection, hour, tasks).items():
                totals.charge(connection, task, origin=ORIGIN, usd=usd * share, at=hour)
        at = max(now, before.at) if before else now
        _write(connection, _Counted(at, hours) if usd_per_hour or hours else None)
    return sum(over.values())


def _due(before: _Counted | None, *, usd_per_hour: float, now: float) -> bool:
    if before is None:
        return usd_per_hour > 0.0
    return now - before.at >= LOOK_S or (not usd_per_hour and not before.hours)


def _ran(connection: sa.Connection, before: _Counted, *, now: float) -> Iterator[tuple[int, float]]:
    """Hours that the machine has run in since then, and for how many seconds."""
    away = now - before.at > OFF_S
    hour = _hour(before.at)
    while hour < now:
        seconds = min(now, hour + HOUR_S) - max(before.at, hour)
        if seconds > 0.0 and (not away or (seconds == HOUR_S and _drafted(connection, hour))):
            yield hour, seconds
        hour += HOUR_S


def _shares(connection: sa.Connection, hour: int, tasks: Collection[str]) -> Mapping[str, float]:
    """Of an hour's price, by task; "" is none. They add up to 1."""
    if tokens := _drafted(connection, hour):
        return {task: count / sum(tokens.values()) for task, count in tokens.items()}
    query = sa.select(releases.c.task).where(releases.c.status.in_(SERVED)).distinct()
    ready = [task for task in connection.execute(query).scalars() if task in tasks]
    return dict.fromkeys(ready, 1 / len(ready)) if ready else {"": 1.0}


def _drafted(connection: sa.Connection, hour: int) -> dict[str, int]:
    """Tokens of the drafts of an hour, prompts included, by task."""
    tokens: dict[str, int] = {}
    for _, of, sums in totals.read(connection, since=hour, until=hour + HOUR_S):
        if count := sums.draft_prompt_tokens + sums.draft_completion_tokens:
            tokens[of.task] = tokens.get(of.task, 0) + count
    return tokens


def _hour(at: float) -> int:
    return int(at // HOUR_S) * HOUR_S


def _read(connection: sa.Connection) -> _Counted | None:
    found = connection.execute(sa.select(settings.c.value).where(settings.c.key == KEY)).scalar()
    if found is None:
        return None
    said = json.loads(found)
    return _Counted(said["at"], {int(hour): usd for hour, usd in said["hours"].items()})


def _write(connection: sa.Connection, counted: _Counted | None) -> None:
    connection.execute(settings.delete().where(settings.c.key == KEY))
    if counted is not None:
        value = json.dumps({"at": counted.at, "hours": counted.hours})
        connection.execute(settings.insert().values(key=KEY, value=value))
