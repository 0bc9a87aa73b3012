"""The life of a release: candidate -> canary -> champion -> retired | rolled_back | voided | forgotten, or -> refused.

A canary answers a share of the conversations beside the champion, or without one; it is rolled back or voided too. One
that is certified for settings to come is `ready` first, until they have. A promotion, a cut-over or a rollback is one
transaction: readers see the old champion or the new one, never both or neither.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from calibration.certificate import Certificate, fingerprint
from calibration.code import CODE, under
from ledger.database import writing
from ledger.ended import GONE
from ledger.modes import FREE
from ledger.schema import releases

FORMER = ("champion", "canary", "retired", "rolled_back", "voided", "forgotten")
SERVED = ("champion", "canary")
TAUGHT = ("train", "validate")  # uses of a row by which an adapter has learned from it
BEFORE = {"student_prompt": "full"}  # how all were certified before there was another way
CERTIFIED = {"calibrator", "certificate", "report"}


class ReleaseError(Exception):
    """A release cannot take the step; the message says why. Nothing was changed."""


class Overtaken(ReleaseError):
    """A release was voided behind the candidate's data cut: part of what it was certified on is traffic from before."""


@dataclass(frozen=True)
class Release:
    """A row of the table; the JSON columns are what `calibration` exported.

    A retired release has been champion, so it has a certificate. `cut_at`: only rows before it have taught it.
    `adapter_path` is empty before there is an adapter.
    """

    name: str
    task: str
    number: int
    status: str
    created_at: float
    changed_at: float
    cut_at: float
    base_model: str
    adapter_path: str
    adapter_digest: str
    fingerprint: str | None
    calibrator: dict[str, Any] | None
    certificate: dict[str, Any] | None
    refusal: dict[str, Any] | None
    report: dict[str, Any] | None

    @property
    def gone(self) -> str:
        """Why it has no adapter any more, in words, "" where none was deleted: nothing brings one back."""
        return GONE.get(self.adapter_path, "")

    def valid(self, binding: Mapping[str, str]) -> Certificate:
        """Its certificate, where it holds for all of the `binding`; whether it has expired is not asked.

        Raises ValueError where it has none or does not hold, and where certificate, calibrator, adapter or what it is
        bound to were altered, or are another release's. The fingerprint is no signature: it finds accidents, not
        forgers.
        """
        if self.certificate is None or self.calibrator is None:
            raise ValueError(f"{self.name} has no certificate")
        if self.fingerprint != self.seal():
            raise ValueError("it is not what was certified: its fingerprint differs")
        if words := self.mismatch(binding):
            raise ValueError(words)
        return Certificate.from_dict(self.certificate)

    def seal(self) -> str:
        """The fingerprint that everything a release is served with must have. Raises ValueError for no JSON values."""
        bound = (self.report or {}).get("bound_to")
        return fingerprint([self.name, self.adapter_digest, self.calibrator, self.certificate, bound])

    @property
    def modes(self) -> frozenset[str]:
        """How requests were decoded that it was certified on; those from before modes were kept are free ones."""
        return frozenset(((self.report or {}).get("bound_to") or {}).get("modes", FREE).split())

    def mismatch(self, binding: Mapping[str, str]) -> str | None:
        """What was otherwise when it was certified, in words; None where it holds for all of the `binding`."""
        held = under(CODE, {**BEFORE, **((self.report or {}).get("bound_to") or {})})
        for name, now in binding.items():
            if held.get(name) != now:
                return f"certified with {name} {held.get(name)!r}, and now it is {now!r}"
        return None


def add_candidate(engine: sa.Engine, *, task: str, cut_at: float, base_model: str, now: float) -> Release:
    """A new candidate under a name never used before; its adapter follows with `set_adapter`."""
    with writing(engine) as connection:
        last = connection.execute(sa.select(sa.func.max(releases.c.number)).where(releases.c.task == task)).scalar()
        number = (last or 0) + 1
        name = f"{task}--v{number:06d}"
        known = {"name": name, "task": task, "number": number, "cut_at": cut_at, "base_model": base_model}
        begun = {"status": "candidate", "created_at": now, "changed_at": now, "adapter_path": "", "adapter_digest": ""}
        connection.execute(releases.insert().values({**known, **begun}))
    return get(engine, name)


def note(engine: sa.Engine, name: str, **values: Any) -> None:
    """Keep what is known by now of a candidate, in columns of that name. Raises ReleaseError where it is none."""
    with writing(engine) as connection:
        _take_step(connection, name, from_status="candidate", values=values)


def set_adapter(engine: sa.Engine, name: str, *, path: str, digest: str, report: dict[str, Any] | None = None) -> None:
    """Bind the trained adapter to its candidate, with what is known by then of how it was made."""
    note(engine, name, adapter_path=path, adapter_digest=digest, report=report)


def promote(engine: sa.Engine, name: str, *, values: dict[str, Any], now: float) -> None:
    """Make a candidate its task's champion; the old champion retires.

    `values`: calibrator, certificate, report; from here on they are what `Release.valid` compares. Raises
    ReleaseError unless it is a candidate that comes with a certificate, Overtaken where a release was voided behind its
    data cut.
    """
    _certified(engine, name, values={**values, **_crowned(now)})


def try_out(engine: sa.Engine, name: str, *, values: dict[str, Any], now: float) -> None:
    """Make a candidate its task's canary, in the place of one that is there. Arguments and errors as of `promote`."""
    _certified(engine, name, values={**values, "status": "canary", "changed_at": now})


def crown(engine: sa.Engine, name: str, *, now: float) -> None:
    """Make the canary champion; the old champion retires. Raises ReleaseError unless it is canary."""
    with writing(engine) as connection:
        if (release := _one(connection, name)).status == "canary":
            connection.execute(_dethrone(release.task, "retired", now))
        _take_step(connection, name, from_status="canary", values=_crowned(now))


def hold(engine: sa.Engine, name: str, *, values: dict[str, Any], now: float) -> None:
    """Keep a candidate, certified for settings to come, ready for `take_up`. Arguments and errors as of `promote`."""
    _certified(engine, name, values={**values, "status": "ready", "changed_at": now})


def take_up(engine: sa.Engine, task: str, *, binding: Mapping[str, str], now: float) -> Release | None:
    """The cut-over: put the newest release in force that is ready for all of the `binding`.

    The champion is voided, since its settings are gone, and so is the traffic before as far as the next release is
    concerned, and a canary; others that are ready for the same settings retire. None where there is no such
    release: one that has expired, or was certified before a release was voided, is none.
    """
    with writing(engine) as connection:
        voided_at = last_voided(connection, task)
        usable = [
            row for row in _of(connection, task, "ready") if row.cut_at >= voided_at and _holds(row, binding, now=now)
        ]
        if not usable:
            return None
        *older, newest = usable
        gone = {"reason": f"its settings are gone: {newest.name} was certified for those of now"}
        connection.execute(_dethrone(task, "voided", now).values(refusal=gone))
        _end_canary(connection, task, gone["reason"], now=now, status="voided")
        for row in older:
            _take_step(connection, row.name, from_status="ready", values={"status": "retired", "changed_at": now})
        _take_step(connection, newest.name, from_status="ready", values=_crowned(now))
        return _one(connection, newest.name)


def _certified(engine: sa.Engine, name: str, *, values: dict[str, Any]) -> None:
    """A candidate's next step, with what was found of it, its status from now on and the time."""
    assert values.keys() == {*CERTIFIED, "status", "changed_at"}, (
        f"a promotion sets {sorted(CERTIFIED)}, not {sorted(values)}"
    )
    status, now = values["status"], values["changed_at"]
    with writing(engine) as connection:
        candidate = _one(connection, name)
        if not values["certificate"]:
            raise ReleaseError(f"{name} has no certificate and cannot be promoted")
        if last_voided(connection, candidate.task) > candidate.cut_at:
            raise Overtaken(f"{name} cannot be promoted: it was certified on traffic from before the last was voided")
        if status == "champion":
            connection.execute(_dethrone(candidate.task, "retired", now))
        if status == "canary":
            _end_canary(connection, candidate.task, f"{name} is tried in its place", now=now)
        seal = replace(candidate, **values).seal()
        _take_step(connection, name, from_status="candidate", values={**values, "fingerprint": seal})


def _holds(release: Release, binding: Mapping[str, str], *, now: float) -> bool:
    try:
        return not release.gone and release.valid(binding).holds(now)
    except ValueError:
        return False


def refuse(engine: sa.Engine, name: str, *, refusal: dict[str, Any], report: dict[str, Any], now: float) -> None:
    """End a candidate's life with the reason; `verdict` False in it: nothing was found out about the student."""
    note(engine, name, status="refused", refusal=refusal, report=report, changed_at=now)


def void(engine: sa.Engine, name: str, *, reason: str, now: float) -> None:
    """End the certificate of a champion, whose task is the teacher's until another release is promoted, or of a canary.
    Never undone. A canary beside the champion is voided with it: it was certified on traffic from before.

    Raises ReleaseError unless it is champion or canary.
    """
    values = {"status": "voided", "changed_at": now, "refusal": {"reason": reason}}
    with writing(engine) as connection:
        release = _one(connection, name)
        if release.status == "champion":
            _end_canary(connection, release.task, f"with {name}: {reason}", now=now, status="voided")
        _take_step(
            connection, name, from_status=release.status if release.status in SERVED else "champion", values=values
        )


def abandon(engine: sa.Engine, task: str, *, now: float) -> list[str]:
    """Refuse every candidate of a task, when none can be under way; returns their names."""
    left = [release for release in history(engine, task) if release.status == "candidate"]
    reason = "abandoned: the run that made it ended before it was done"
    refusal = {"reason": reason, "n": 0, "rows_needed": None, "labels_seen": False, "verdict": False}
    for release in left:
        refuse(engine, release.name, refusal=refusal, report=release.report or {}, now=now)
    return [release.name for release in left]


def rollback(
    engine: sa.Engine, task: str, *, binding: Mapping[str, str], now: float, of: str | None = None, reason: str = ""
) -> Release | None:
    """End the newest release in force, the canary or else the champion, or the one `of` that name. Returns the champion
    from now on; None where there is none.

    A champion's place takes the one before it, but none that retired before one was voided, since its certificate is of
    traffic from before, or does not hold for all of the `binding`. Raises ReleaseError where it is not in force.
    """
    with writing(engine) as connection:
        meant = {row.status: row for row in _of(connection, task, *SERVED) if of in (None, row.name)}
        newest = meant.get("canary") or meant.get("champion")
        if newest is None:
            raise ReleaseError(f"no release of {task} is in force, or another: there is nothing to roll back")
        ended: dict[str, Any] = {"status": "rolled_back", "changed_at": now}
        because = {"refusal": {"reason": reason}} if reason else {}
        _take_step(connection, newest.name, from_status=newest.status, values=ended | because)
        if newest.status == "canary":
            return next(iter(_of(connection, task, "champion")), None)
        for row in _of(connection, task, "ready"):
            if row.mismatch(binding) is None:  # it would be taken up at once
                _take_step(connection, row.name, from_status="ready", values=ended)
        last = in_line(connection, task, binding=binding, now=now)
        if last is None:
            return None
        _take_step(connection, last.name, from_status="retired", values=_crowned(now))
        return _one(connection, last.name)


def in_line(
    connection: sa.Connection, task: str, *, binding: Mapping[str, str], now: float, but: Collection[str] = ()
) -> Release | None:
    """Which release takes a champion's place when that ends, as `rollback` has it; none of those `but`."""
    voided_at = last_voided(connection, task)
    before = [row for row in _of(connection, task, "retired") if row.changed_at > voided_at and row.name not in but]
    before = [row for row in before if _holds(row, binding, now=now)]
    return max(before, key=lambda row: (row.changed_at, row.number), default=None)


def reinstate(engine: sa.Engine, name: str, *, binding: Mapping[str, str], now: float) -> Release:
    """Put a release in force by its name: one that was before, is tried, or waits; the champion retires.

    Raises ReleaseError, with the reason, where it has no certificate that holds now for all of the `binding`, or is of
    traffic from before a release was voided.
    """
    with writing(engine) as connection:
        release = _one(connection, name)
        if release.status not in ("retired", "rolled_back", "ready", "canary"):
            raise ReleaseError(f"{name} is {release.status}: what was in force before, or waits, can be promoted")
        voided_at = last_voided(connection, release.task)
        if (release.cut_at if release.status == "ready" else release.changed_at) < voided_at:
            raise ReleaseError(f"{name} was certified on traffic from before a release was voided: it says nothing now")
        try:
            why = release.gone or ("" if release.valid(binding).holds(now) else "its certificate has expired")
        except ValueError as error:
            why = str(error)
        if why:
            raise ReleaseError(f"{name} cannot be promoted: {why}")
        connection.execute(_dethrone(release.task, "retired", now))
        _take_step(connection, name, from_status=release.status, values={**_crowned(now), "refusal": None})
        return _one(connection, name)


def last_voided(connection: sa.Connection, task: str) -> float:
    """When a release of the task was last voided, in seconds since the epoch; -inf where none was."""
    voided = sa.select(sa.func.max(releases.c.changed_at)).where(releases.c.task == task, releases.c.status == "voided")
    found = connection.execute(voided).scalar()
    return -math.inf if found is None else float(found)


def champions(engine: sa.Engine) -> dict[str, Release]:
    """Each task's champion."""
    return {row.task: row for row in served(engine) if row.status == "champion"}


def canaries(engine: sa.Engine) -> dict[str, Release]:
    """Each task's canary."""
    return {row.task: row for row in served(engine) if row.status == "canary"}


def served(engine: sa.Engine) -> list[Release]:
    """What answers clients: champions and canaries, read at once."""
    with engine.connect() as connection:
        return _select(connection, releases.c.status.in_(SERVED))


def ready(engine: sa.Engine, task: str) -> list[Release]:
    """What waits for its settings, oldest first."""
    with engine.connect() as connection:
        return _of(connection, task, "ready")


def history(engine: sa.Engine, task: str) -> list[Release]:
    """All releases of a task, oldest first."""
    with engine.connect() as connection:
        return _select(connection, releases.c.task == task)


def of_adapter(digest: Any) -> sa.Select[tuple[str]]:
    """The names under which an adapter is known: its digest, or an expression for one."""
    return sa.select(releases.c.name).where(releases.c.adapter_digest == digest)


def last_in_force(engine: sa.Engine, task: str) -> Release | None:
    """The champion, or else the one that was it last; None where none ever was."""
    were = [release for release in history(engine, task) if release.status in FORMER]
    return max(were, key=lambda release: (release.status == "champion", release.changed_at), default=None)


def newest_certified(engine: sa.Engine, task: str) -> Release:
    """The champion, or else the last release that was one. Raises ReleaseError where none was ever certified."""
    known = history(engine, task)
    certified = [each for each in known if each.certificate and each.status != "ready" and not each.gone]
    if not certified:
        raise ReleaseError(f"no release of {task} has been certified yet: `tutelage status` says how far it is")
    return next((release for release in certified if release.status == "champion"), certified[-1])


def statuses(engine: sa.Engine) -> dict[str, tuple[str, str | None]]:
    """Name -> (status, why it was refused or voided) of every release."""
    query = sa.select(releases.c.name, releases.c.status, releases.c.refusal).order_by(releases.c.changed_at)
    with engine.connect() as connection:
        return {row.name: (row.status, (row.refusal or {}).get("reason")) for row in connection.execute(query)}


def get(engine: sa.Engine, name: str) -> Release:
    """One release. Raises ReleaseError where there is none of that name."""
    with engine.connect() as connection:
        return _one(connection, name)


def _of(connection: sa.Connection, task: str, *statuses: str) -> list[Release]:
    return _select(connection, sa.and_(releases.c.task == task, releases.c.status.in_(statuses)))


def _crowned(now: float) -> dict[str, Any]:
    return {"status": "champion", "changed_at": now}


def _dethrone(task: str, status: str, now: float) -> sa.Update:
    champion = sa.and_(releases.c.task == task, releases.c.status == "champion")
    return releases.update().where(champion).values(status=status, changed_at=now)


def _end_canary(connection: sa.Connection, task: str, reason: str, *, now: float, status: str = "rolled_back") -> None:
    canary = sa.and_(releases.c.task == task, releases.c.status == "canary")
    ended = {"status": status, "changed_at": now, "refusal": {"reason": reason}}
    connection.execute(releases.update().where(canary).values(ended))


def _take_step(connection: sa.Connection, name: str, *, from_status: str, values: dict[str, Any]) -> None:
    step = releases.update().where(releases.c.name == name, releases.c.status == from_status).values(values)
    if connection.execute(step).rowcount != 1:
        raise ReleaseError(f"{name} is {_one(connection, name).status}, not {from_status}: the step is refused")


def _one(connection: sa.Connection, name: str) -> Release:
    found = _select(connection, releases.c.name == name)
    if not found:
        raise ReleaseError(f"no release named {name!r}")
    return found[0]


def _select(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[Release]:
    columns = [releases.c[name] for name in Release.__dataclass_fields__]
    query = sa.select(*columns).where(condition).order_by(releases.c.task, releases.c.number)
    return [Release(*row) for row in connection.execute(query)]
