"""Opening the ledger: SQLite by default, PostgreSQL by URL, always at the newest schema."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
UPGRADE_LOCK = 7_230_411  # an arbitrary constant that names our advisory lock on PostgreSQL


class LedgerError(RuntimeError):
    """The ledger cannot be opened; the message names the URL (password masked) and the reason."""


def connect(url: str) -> sa.Engine:
    """An engine on a ledger whose schema is current; creates the database file where it is missing.

    Safe when several processes start at once. Raises LedgerError.
    """
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(parsed, json_serializer=_dumps)
        if parsed.get_backend_name() == "sqlite":
            sa.event.listen(engine, "connect", _tune_sqlite)
        with _upgrade_lock(engine):
            _upgrade(engine)
    except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
        shown = url if "@" not in url else url.split("://")[0] + "://***@" + url.rsplit("@", 1)[1]
        raise LedgerError(f"ledger {shown}: {error}. Check ledger.url and that the folder is writable.") from error
    return engine


def _dumps(value: Any) -> str:
    import orjson

    return orjson.dumps(value).decode()


def _tune_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    # Readers never wait for the writer; a process crash loses nothing (a power cut is the spool's matter).
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextmanager
def _upgrade_lock(engine: sa.Engine) -> Iterator[None]:
    """One process upgrades, the others wait for it."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_lock(UPGRADE_LOCK)))
            yield
        return
    if not engine.url.database:
        yield
        return
    with Path(f"{engine.url.database}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _upgrade(engine: sa.Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
