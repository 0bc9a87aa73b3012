"""The life of a release: candidate -> champion -> retired | rolled_back, or candidate -> refused.

A promotion or a rollback is one transaction: readers see the old champion or the new one, never both or neither.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger.schema import releases

ALLOCATE_TRIES = 5


class ReleaseError(Exception):
    """A release cannot take the step; the message says why. Nothing was changed."""


@dataclass(frozen=True)
class Release:
    """A row of the table; the JSON columns are what `calibration` exported."""

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


def add_candidate(engine: sa.Engine, *, task: str, cut_at: float, base_model: str, now: float) -> Release:
    """A new candidate under a name never used before; its adapter follows with `set_adapter`."""
    for _ in range(ALLOCATE_TRIES):
        try:
            with engine.begin() as connection:
                last = connection.execute(
                    sa.select(sa.func.max(releases.c.number)).where(releases.c.task == task)
                ).scalar()
                number = (last or 0) + 1
                name = f"{task}--v{number:06d}"
                connection.execute(
                    releases.insert().values(
                        name=name,
                        task=task,
                        number=number,
                        status="candidate",
                        created_at=now,
                        changed_at=now,
                        cut_at=cut_at,
                        base_model=base_model,
                        adapter_path="",
                        adapter_digest="",
                    )
                )
            return get(engine, name)
        except sa.exc.IntegrityError:
            continue  # another run took the number
    raise ReleaseError(f"no release number for {task} after {ALLOCATE_TRIES} tries")


def set_adapter(engine: sa.Engine, name: str, *, path: str, digest: str) -> None:
    """Bind the trained adapter to its candidate."""
    _change(engine, name, allowed=("candidate",), values={"adapter_path": path, "adapter_digest": digest})


def promote(engine: sa.Engine, name: str, *, values: dict[str, Any], now: float) -> None:
    """Make a candidate its task's champion; the old champion retires. `values`: fingerprint, calibrator, certificate,
    report. Raises ReleaseError unless it is a candidate with a certificate."""
    if not values.get("certificate"):
        raise ReleaseError(f"{name} has no certificate and cannot be promoted")
    _crown(engine, name, dethroned="retired", allowed=("candidate",), values=values, now=now)


def refuse(engine: sa.Engine, name: str, *, refusal: dict[str, Any], report: dict[str, Any], now: float) -> None:
    """End a candidate's life with the reason."""
    values = {"status": "refused", "refusal": refusal, "report": report, "changed_at": now}
    _change(engine, name, allowed=("candidate",), values=values)


def rollback(engine: sa.Engine, task: str, *, now: float) -> Release | None:
    """Put the champion before the present one back in force; None, and no champion, where there is none."""
    before = [row for row in history(engine, task) if row.status == "retired" and row.certificate]
    if before:
        _crown(engine, before[-1].name, dethroned="rolled_back", allowed=("retired",), values={}, now=now)
        return get(engine, before[-1].name)
    with engine.begin() as connection:
        connection.execute(_dethrone(task, "rolled_back", now))
    return None


def champions(engine: sa.Engine) -> dict[str, Release]:
    """Each task's champion."""
    return {row.task: row for row in _select(engine, releases.c.status == "champion")}


def history(engine: sa.Engine, task: str) -> list[Release]:
    """All releases of a task, oldest first."""
    return _select(engine, releases.c.task == task)


def get(engine: sa.Engine, name: str) -> Release:
    """One release. Raises ReleaseError where there is none of that name."""
    found = _select(engine, releases.c.name == name)
    if not found:
        raise ReleaseError(f"no release named {name!r}")
    return found[0]


def _crown(
    engine: sa.Engine, name: str, *, dethroned: str, allowed: tuple[str, ...], values: dict[str, Any], now: float
) -> None:
    task = get(engine, name).task
    crowned = {**values, "status": "champion", "changed_at": now}
    try:
        with engine.begin() as connection:
            connection.execute(_dethrone(task, dethroned, now))
            _require_one(connection.execute(_step(name, allowed, crowned)), name, allowed)
    except sa.exc.IntegrityError as error:
        raise ReleaseError(f"{name}: another release became champion at the same moment") from error


def _dethrone(task: str, status: str, now: float) -> sa.Update:
    champion = sa.and_(releases.c.task == task, releases.c.status == "champion")
    return releases.update().where(champion).values(status=status, changed_at=now)


def _change(engine: sa.Engine, name: str, *, allowed: tuple[str, ...], values: dict[str, Any]) -> None:
    with engine.begin() as connection:
        _require_one(connection.execute(_step(name, allowed, values)), name, allowed)


def _step(name: str, allowed: tuple[str, ...], values: dict[str, Any]) -> sa.Update:
    return releases.update().where(releases.c.name == name, releases.c.status.in_(allowed)).values(values)


def _require_one(result: sa.CursorResult[Any], name: str, allowed: tuple[str, ...]) -> None:
    if result.rowcount != 1:
        raise ReleaseError(f"{name} is not {' or '.join(allowed)}: the step is refused")


def _select(engine: sa.Engine, condition: sa.ColumnElement[bool]) -> list[Release]:
    columns = [releases.c[name] for name in Release.__dataclass_fields__]
    query = sa.select(*columns).where(condition).order_by(releases.c.task, releases.c.number)
    with engine.connect() as connection:
        return [Release(*row) for row in connection.execute(query)]
