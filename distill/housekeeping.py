"""What a worker does of all tasks together: it pays for the student's machine, and gives up texts and
adapters that were kept long enough."""

import logging
import math
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from distill.clearing import Clear, Clearing
from ledger import machine
from ledger.forgetting import expire
from ledger.releases import ReleaseError

EXPIRE_EVERY_S = 3600.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class House:
    """`keep_s`: so long the ledger keeps texts, None: for ever; `usd_per_hour`: of the student's machine; `clear`:
    which folders of adapters go, None: none."""

    keep_s: float | None = None
    usd_per_hour: float = 0.0
    clear: Clear | None = None


class Housekeeping:
    """Call `charge`, `expire` and `clear` with every look."""

    def __init__(self, engine: sa.Engine, tasks: Collection[str], house: House, *, holder: str) -> None:
        self._engine, self._tasks, self._house = engine, tasks, house
        self._expires_at = -math.inf
        self._clearing = Clearing(engine, house.clear, holder=holder) if house.clear else None

    def charge(self, *, now: float) -> None:
        """The machine's time since the last look."""
        machine.charge(self._engine, self._tasks, usd_per_hour=self._house.usd_per_hour, now=now)

    def expire(self, *, now: float, steady: float) -> None:
        """A batch a look, so that the ingester never waits long; then not again for an hour. `steady`: seconds that no
        clock set back makes fewer."""
        if self._house.keep_s is None or steady < self._expires_at:
            return
        if gone := expire(self._engine, before=now - self._house.keep_s):
            log.info("the texts of %d exchanges have been kept long enough, and have left the ledger", gone)
        else:
            self._expires_at = steady + EXPIRE_EVERY_S

    def clear(self, *, now: float, steady: float, but: str | None) -> None:
        """Folders of adapters; `but`: a task that a run has begun for."""
        if self._clearing is None:
            return
        try:
            self._clearing.look(now=now, steady=steady, but=but)
        except (OSError, ReleaseError) as error:
            log.error("folders of adapters are not looked through: %s", error)
