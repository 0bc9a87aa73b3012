"""`pytest -p tests.postgres`: the ledgers of these tests are databases of a real PostgreSQL instead of files of SQLite.

What a test says of SQLite alone has the mark `sqlite`, and is not run.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ledger import database
from tests.wire.rig import free_port

TEMPLATE = "newest"  # a ledger of the newest schema, of which the others are copies


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server of its own, which refuses to run as root: its programs are run as `nobody` then."""
    with tempfile.TemporaryDirectory(prefix="tutelage-pg-") as name:
        folder, port = Path(name), free_port()
        user = _unprivileged(folder)
        data = folder / "data"
        _program("initdb", "-D", str(data), "-U", "tutelage", "--auth=trust", "-E", "UTF8", "--locale=C", **user)
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=500"
        _program("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start", **user)
        try:
            yield f"postgresql+psycopg://tutelage@127.0.0.1:{port}/postgres"
        finally:
            _program("pg_ctl", "-D", str(data), "-m", "immediate", "stop", **user)


def _unprivileged(folder: Path) -> dict[str, Any]:
    if os.getuid() != 0:
        return {}
    shutil.chown(folder, "nobody")
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}


def program(name: str) -> str | None:
    """The path of one of PostgreSQL's; Debian keeps them out of the way, a folder for each version."""
    folders = [os.environ.get("PATH", ""), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    return shutil.which(name, path=os.pathsep.join(folders))


def _program(name: str, *arguments: str, **user: Any) -> None:
    found = program(name)
    assert found, f"{name} comes with initdb"
    subprocess.run([found, *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60, **user)


class Databases:
    """A database for each file that a test names."""

    def __init__(self, url: str) -> None:
        self._url, self._made = sa.make_url(url), set[str]()
        self._engine = database._engine
        database.connect(self._make(TEMPLATE)).dispose()

    def engine(self, url: sa.URL) -> sa.Engine:
        """In the place of `ledger.database._engine`."""
        file = database._sqlite_file(url)
        if file is None:
            return self._engine(url)
        name = f"ledger_{sha256(str(file.resolve()).encode()).hexdigest()[:20]}"
        found = self._url.set(database=name) if name in self._made else sa.make_url(self._make(name, TEMPLATE))
        return self._engine(found)

    def _make(self, name: str, template: str | None = None) -> str:
        self._made.add(name)
        admin = sa.create_engine(self._url, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}{f' TEMPLATE {template}' if template else ''}"))
        admin.dispose()
        return self._url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session", autouse=True)
def _on_postgres() -> Iterator[None]:
    with server() as url, pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_engine", Databases(url).engine)
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without those that say something of SQLite."""
    of_files = [item for item in items if item.get_closest_marker("sqlite")]
    config.hook.pytest_deselected(items=of_files)
    items[:] = [item for item in items if item not in of_files]
