"""The schema is what the migrations make, however many open it at once."""

import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from ledger.database import LedgerError, connect
from ledger.schema import metadata


def test_migrations_make_exactly_the_tables(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/a/b/ledger.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"


def test_four_processes_may_open_it_at_once(tmp_path):
    script = "import sys; from ledger.database import connect; connect(sys.argv[1]).connect().close()"
    command = [sys.executable, "-c", script, f"sqlite:///{tmp_path}/ledger.db"]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in started] == [(b"", 0)] * 4


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////proc/no/ledger.db", "postgresql://u:secret@127.0.0.1:1/x"])
def test_what_cannot_be_opened_is_named_without_its_password(url):
    with pytest.raises(LedgerError, match="ledger") as caught:
        connect(url)
    assert "secret" not in str(caught.value)
