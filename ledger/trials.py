"""What a release has been asked for, how that went, and what answered others meanwhile: the canary is judged by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger.schema import exchanges

# Of requests that a release was asked for a draft; a prompt that is too long, or of another mode, is no draft of its.
FAILED = ("student_unavailable", "no_evidence")
LEFT = "client_left"
DRAFTED = ("accepted", "unsure", "truncated", *FAILED, LEFT)
OK, CLIENT_LEFT = 200, 499


@dataclass(frozen=True)
class Asked:
    """A request that a release was asked to draft. `failed`: there is no draft that could be judged, or an answer broke
    off behind its beginning; `left`: its client did before there was a draft. `latency_s`: from the request to the end
    of an answer that was given whole, None where there is none; it arrived `at`, in seconds since the epoch."""

    seq: int
    at: float
    failed: bool
    left: bool
    latency_s: float | None


def asked(
    engine: sa.Engine, release: str, *, since: float = 0.0, seqs: tuple[int, int | None] = (0, None), limit: int | None
) -> list[Asked]:
    """The first `limit` requests of a release that arrived at `since` or later, in seconds since the epoch, in the
    order of their recording; `seqs`: numbers from the first to the last, both included."""
    within = exchanges.c.seq >= seqs[0] if seqs[1] is None else exchanges.c.seq.between(*seqs)
    query = _of(release, since).where(within).order_by(exchanges.c.seq).limit(limit)
    return _read(engine, query)


def first(engine: sa.Engine, release: str, *, since: float, limit: int) -> list[Asked]:
    """The first `limit` requests of a release that arrived at `since` or later, in the order of their arrival: what
    fails is often recorded long after what does not."""
    return _read(engine, _of(release, since).order_by(exchanges.c.at, exchanges.c.seq).limit(limit))


def count(engine: sa.Engine, release: str, *, since: float) -> int:
    """How many requests of a release have arrived since then."""
    with engine.connect() as connection:
        query = sa.select(sa.func.count()).select_from(_of(release, since).subquery())
        return int(connection.execute(query).scalar_one())


def teachers_latencies(engine: sa.Engine, task: str, *, seqs: tuple[int, int]) -> list[float]:
    """Seconds that clients of a task waited for whole answers of the teacher where no release was in force."""
    query = sa.select(exchanges.c.latency_s).where(_taught(task), exchanges.c.seq.between(*seqs))
    return _latencies(engine, query)


def latencies_before(engine: sa.Engine, task: str, *, but: str, until: float, limit: int) -> list[float]:
    """The same of the newest answers of other releases before a time, or of the teacher where there are none."""
    others = sa.and_(exchanges.c.task == task, exchanges.c.route == "student", exchanges.c.release != but)
    for condition in (others, _taught(task)):
        query = sa.select(exchanges.c.latency_s).where(condition, exchanges.c.status == OK, exchanges.c.at < until)
        if found := _latencies(engine, query.order_by(exchanges.c.at.desc()).limit(limit)):
            return found
    return []


def _taught(task: str) -> sa.ColumnElement[bool]:
    answered = sa.and_(exchanges.c.route == "teacher", exchanges.c.status == OK, exchanges.c.reason == "no_release")
    return sa.and_(exchanges.c.task == task, exchanges.c.origin == "client", answered)


def _of(release: str, since: float) -> sa.Select[Any]:
    columns = (exchanges.c.seq, exchanges.c.at, exchanges.c.reason, exchanges.c.status, exchanges.c.latency_s)
    mine = (exchanges.c.release == release, exchanges.c.reason.in_(DRAFTED), exchanges.c.at >= since)
    return sa.select(*columns).where(*mine)


def _read(engine: sa.Engine, query: sa.Select[Any]) -> list[Asked]:
    with engine.connect() as connection:
        found = connection.execute(query)
        return [Asked(seq, at, *_went(reason, status, took_s)) for seq, at, reason, status, took_s in found]


def _went(reason: str, status: int, latency_s: float) -> tuple[bool, bool, float | None]:
    accepted = reason == "accepted"
    failed = reason in FAILED or (accepted and status not in (OK, CLIENT_LEFT))
    return failed, reason == LEFT, latency_s if accepted and status == OK else None


def _latencies(engine: sa.Engine, query: sa.Select[Any]) -> list[float]:
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def latencies(requests: Sequence[Asked]) -> list[float]:
    """Of the answers among them."""
    return [each.latency_s for each in requests if each.latency_s is not None]
