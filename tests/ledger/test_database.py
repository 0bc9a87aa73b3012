"""The schema is what the migrations make, however many open it at once."""

import multiprocessing

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


def open_it(url: str) -> int:
    with connect(url).connect() as connection:
        return int(connection.execute(sa.text("select count(*) from releases")).scalar_one())


def test_four_processes_may_open_it_at_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.map(open_it, [f"sqlite:///{tmp_path}/ledger.db"] * 4) == [0] * 4


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////proc/no/ledger.db", "postgresql://u:secret@127.0.0.1:1/x"])
def test_what_cannot_be_opened_is_named_without_its_password(url):
    with pytest.raises(LedgerError, match="ledger") as caught:
        connect(url)
    assert "secret" not in str(caught.value)
