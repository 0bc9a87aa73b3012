"""What the ledger knows of every task at the moment, for whoever shows it: counts and last words, no row of traffic.

Every question is about tasks, releases or decisions, of which there are few; none grows with the requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from calibration.certificate import Certificate
from ledger import live, progress
from ledger.decisions import Decided, counted, noticed, standing_now
from ledger.leases import run_lease
from ledger.live import Live
from ledger.progress import Progress
from ledger.savings import Savings, by_task
from ledger.schema import leases, releases, spool_offsets


@dataclass(frozen=True)
class Certified:
    """A champion and its certificate, in force or not; `taught`: rows that its adapter has learned from, None where
    nobody has said."""

    release: str
    certificate: Certificate
    taught: int | None


@dataclass(frozen=True)
class Seen:
    """By task: how far the next release is, how often each signal has shifted under the champion, what the champion's
    references say, its certificate, releases by (status, whether they came to a verdict), what was saved ("": by what
    belongs to no task), what was decided how often, and what stands. `held`: leases that somebody holds; `offsets`: how
    far each spool segment is here; `fresh`: whether it could be read just now."""

    progress: Mapping[str, Progress] = field(default_factory=dict)
    noticed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    live: Mapping[str, Live] = field(default_factory=dict)
    certified: Mapping[str, Certified] = field(default_factory=dict)
    releases: Mapping[str, Mapping[tuple[str, bool], int]] = field(default_factory=dict)
    saved: Mapping[str, Savings] = field(default_factory=dict)
    decided: Mapping[str, Mapping[Decided, int]] = field(default_factory=dict)
    stands: Mapping[str, Decided] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    offsets: Mapping[str, int] = field(default_factory=dict)
    fresh: bool = True

    def runs(self, task: str) -> bool:
        """Whether a run of the task is under way."""
        return run_lease(task) in self.held


def read(engine: sa.Engine, *, now: float) -> Seen:
    """Everything as it is at `now`, seconds since the epoch."""
    with engine.connect() as connection:
        held = connection.execute(sa.select(leases.c.name).where(leases.c.until > now)).scalars().all()
        offsets = {name: offset for name, offset in connection.execute(sa.select(spool_offsets))}
        certified, made = _certified(connection), _releases(connection)
    return Seen(
        progress=progress.published(engine),
        noticed=noticed(engine),
        live=live.published(engine),
        certified=certified,
        releases=made,
        saved=by_task(engine),
        decided=counted(engine),
        stands=standing_now(engine),
        held=frozenset(held),
        offsets=offsets,
    )


def _certified(connection: sa.Connection) -> dict[str, Certified]:
    champions = sa.select(releases.c.task, releases.c.name, releases.c.certificate, releases.c.report)
    found = {}
    for task, name, certificate, report in connection.execute(champions.where(releases.c.status == "champion")):
        try:
            held = Certificate.from_dict(certificate or {})
        except ValueError:  # it is not in force either
            continue
        found[task] = Certified(name, held, ((report or {}).get("training") or {}).get("rows"))
    return found


def _releases(connection: sa.Connection) -> dict[str, dict[tuple[str, bool], int]]:
    """One that was refused without a verdict, its run having failed, says so in its refusal."""
    refused = sa.case((releases.c.status == "refused", releases.c.refusal), else_=sa.null())
    found: dict[str, dict[tuple[str, bool], int]] = {}
    for task, status, refusal in connection.execute(sa.select(releases.c.task, releases.c.status, refused)):
        kind = status, bool((refusal or {}).get("verdict", True))
        counts = found.setdefault(task, {})
        counts[kind] = counts.get(kind, 0) + 1
    return found
