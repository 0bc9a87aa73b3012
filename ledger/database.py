"""Opening the ledger: SQLite by default, PostgreSQL by URL, always at the newest schema.

Reads are plain `engine.connect()`; whatever writes goes through `writing`, so that a check and the write that
depends on it are one step.
"""

import fcntl
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = max(path.stem[1:5] for path in (MIGRATIONS / "versions").glob("m[0-9]*.py"))
WRITE_LOCK = 7_230_411  # an arbitrary constant that names our advisory lock on PostgreSQL
NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # not what is a backslash and five characters
KEYS_AT_ONCE = 500  # SQLite takes no unbounded list of them


class LedgerError(RuntimeError):
    """The ledger cannot be used; the message names it (a password is masked), the reason and what to do."""


def connect(url: str) -> sa.Engine:
    """An engine on a ledger whose schema is current; creates the database file where it is missing.

    Safe when several processes start at once. Raises LedgerError.
    """
    try:
        engine = _engine(sa.make_url(url))
        with _alone_on_file(engine.url):
            if not _is_current(engine):
                _upgrade(engine)
    except (sa.exc.SQLAlchemyError, _Newer, OSError, ImportError) as error:
        reason = getattr(error, "orig", None) or error  # the database's own words, without the library's
        raise LedgerError(f"ledger {_masked(url)}: {reason}. {_remedy(error)}") from error
    return engine


class _Newer(Exception):
    """A ledger of a revision that is not known here."""


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that is the only writing one from its first statement on; commits unless the block raises.

    SQLite waits up to ten seconds for its write lock, then raises OperationalError.
    """
    with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITE_LOCK)))
        yield connection


def parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many of them at once as a query takes."""
    return (keys[start : start + KEYS_AT_ONCE] for start in range(0, len(keys), KEYS_AT_ONCE))


def _engine(url: sa.URL) -> sa.Engine:
    file = _sqlite_file(url)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    # Parameters are texts of requests, and errors would quote them.
    engine = sa.create_engine(url, json_serializer=_as_json, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _tune_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _as_json(value: Any) -> str:
    """Without NUL, as `ledger.schema.Whole`: PostgreSQL keeps one in JSON, and then fails whoever asks for a field."""
    text = msgspec.json.encode(value).decode()
    return NUL.sub(r"\1\\ufffd", text) if r"\u0000" in text else text  # the pattern alone looks at every character


def _sqlite_file(url: sa.URL) -> Path | None:
    on_disk = url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}
    return Path(str(url.database)) if on_disk else None


def _tune_sqlite(connection: Any, _: Any) -> None:
    # Readers never wait for the writer; a process crash loses nothing (a power cut is the spool's matter).
    # What is deleted is overwritten (`ledger.forgetting`).
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # The driver's own BEGIN comes late, and never for DDL: a migration killed half-way would stay half done. And a
    # reader that turns into a writer is refused without waiting, so a writer takes the lock at once.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _alone_on_file(url: sa.URL) -> Iterator[None]:
    """One process at a time makes and upgrades a SQLite file: the switch to WAL does not wait for locks."""
    file = _sqlite_file(url)
    if file is None:
        yield
        return
    with Path(f"{file}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_current(engine: sa.Engine) -> bool:
    """Asked without Alembic, which takes ten megabytes of each process that opens the ledger."""
    try:
        with engine.connect() as connection:
            return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == NEWEST
    except sa.exc.DatabaseError:  # it is new; or whatever it is, the upgrade says it
        return False


def _upgrade(engine: sa.Engine) -> None:
    """To the newest revision in one transaction; without a configuration file Alembic leaves logging alone.

    Raises _Newer.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise _Newer(str(error)) from error


def _masked(url: str) -> str:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        return "(no URL)"  # what cannot be parsed may hold a password anywhere
    return parsed.difference_update_query(["password"]).render_as_string(hide_password=True)


def _remedy(error: Exception) -> str:
    if isinstance(error, _Newer):
        return "The ledger was written by a newer Tutelage: install that version or name another ledger.url."
    if isinstance(error, ImportError):
        return "Install this database's driver, for instance `pip install 'psycopg[binary]'`."
    return "Check ledger.url, that the server answers and that the folder is writable."
