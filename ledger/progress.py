"""How far a task is from its next release: computed by the worker, published in the ledger for whoever shows it."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from ledger.database import writing
from ledger.schema import progress as table
from ledger.standing import Standing


@dataclass(frozen=True)
class Progress:
    """Rows before the cut and unused references behind it, gathered and needed. `expected_at`: when both will be
    there at the pace so far, in seconds since the epoch; None where they are, or where there is no pace yet."""

    rows: int
    rows_needed: int
    references: int
    references_needed: int
    expected_at: float | None

    @property
    def complete(self) -> bool:
        """Whether a run can begin."""
        return self.rows >= self.rows_needed and self.references >= self.references_needed


def measure(found: Standing, *, min_rows: int, min_references: int, max_references: int, now: float) -> Progress:
    """A refusal may have asked for more references than the settings do, of which a run draws so many at most."""
    needed = min(max(min_references, found.references_needed or 0), max_references)
    share = min(found.rows / min_rows, found.references / needed)
    expected_at = None
    if found.first_at is not None and 0 < share < 1:
        lacking = (1 / share - 1) / found.live_share  # in terms of what clients have sent so far: a log sends no more
        expected_at = now + (now - found.first_at) * lacking
    return Progress(found.rows, min_rows, found.references, needed, expected_at)


def publish(engine: sa.Engine, task: str, progress: Progress, *, now: float) -> None:
    """Replace what was published of the task."""
    with writing(engine) as connection:
        connection.execute(table.delete().where(table.c.task == task))
        connection.execute(table.insert().values(task=task, at=now, **asdict(progress)))


def published(engine: sa.Engine) -> dict[str, Progress]:
    """Task -> its progress at the worker's last look."""
    columns = [table.c[name] for name in Progress.__dataclass_fields__]
    with engine.connect() as connection:
        return {task: Progress(*values) for task, *values in connection.execute(sa.select(table.c.task, *columns))}
