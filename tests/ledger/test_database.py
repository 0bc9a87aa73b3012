"""The schema is what the migrations make, however many open it at once."""

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from ledger.database import MIGRATIONS, LedgerError, connect, writing
from ledger.rows import exchange_row
from ledger.schema import exchanges, metadata, settings
from tests.ledger.make import exchange


@pytest.mark.sqlite
def test_migrations_make_exactly_the_tables(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/a/b/ledger.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"


@pytest.mark.sqlite
def test_four_processes_may_open_it_at_once(tmp_path):
    script = "import sys; from ledger.database import connect; connect(sys.argv[1]).connect().close()"
    command = [sys.executable, "-c", script, f"sqlite:///{tmp_path}/ledger.db"]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in started] == [(b"", 0)] * 4


@pytest.mark.sqlite
def test_a_ledger_that_is_current_is_opened_without_alembic(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    connect(url)
    script = "import sys; from ledger.database import connect; connect(sys.argv[1]); print('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script, url], capture_output=True).stdout.strip() == b"False"


@pytest.mark.sqlite
@pytest.mark.parametrize("url", ["nonsense", "sqlite:////proc/no/ledger.db", "postgresql://u:secret@127.0.0.1:1/x"])
def test_what_cannot_be_opened_is_named_without_its_password(url):
    with pytest.raises(LedgerError, match="ledger") as caught:
        connect(url)
    assert "secret" not in str(caught.value)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////proc/a@b/ledger.db", "sqlite:////proc/a%40b/ledger.db"),
        ("postgresql://127.0.0.1:1/x?user=u&password=secret", "postgresql://127.0.0.1:1/x?user=u"),
    ],
)
def test_the_url_is_shown_without_its_password(url, shown):
    with pytest.raises(LedgerError) as caught:
        connect(url)
    assert f"ledger {shown}: " in str(caught.value)


@pytest.mark.sqlite
def test_a_migration_that_is_cut_off_leaves_nothing(tmp_path):
    (tmp_path / "ledger.db").touch()
    url = f"sqlite:///{tmp_path}/ledger.db"

    def cut_off(_, __, statement, *rest):
        if "CREATE TABLE row_uses" in statement:
            raise OSError("cut off")

    sa.event.listen(sa.Engine, "before_cursor_execute", cut_off)
    try:
        with pytest.raises(LedgerError, match="cut off"):
            connect(url)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", cut_off)
    assert sa.inspect(sa.create_engine(url)).get_table_names() == []
    connect(url)


def test_what_an_earlier_version_recorded_is_numbered_in_the_order_of_its_arrival(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0005")
    later = {"seq", "key", "teaches"}
    columns = [column for column in exchanges.columns if column.name not in later]
    before = sa.table("exchanges", *(sa.column(column.name, column.type) for column in columns))
    rows = [exchange_row(exchange(number)) for number in (7, 2, 9)]
    with writing(engine) as connection:
        connection.execute(before.insert(), [{c.name: row[c.name] for c in columns} for row in rows])
    with connect(str(engine.url)).connect() as connection:
        found = connection.execute(sa.select(exchanges.c.seq, exchanges.c.at).order_by(exchanges.c.seq)).all()
    assert found == [(1, 2.0), (2, 7.0), (3, 9.0)]


def test_a_ledger_of_a_newer_version_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    with writing(connect(url)) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerError, match="newer Tutelage"):
        connect(url)


def test_the_process_keeps_its_logging(tmp_path, caplog):
    ours = logging.getLogger("ours")
    before = (logging.getLogger().handlers[:], logging.getLogger().level, ours.disabled)
    connect(f"sqlite:///{tmp_path}/ledger.db")
    assert (logging.getLogger().handlers, logging.getLogger().level, ours.disabled) == before


def test_no_error_quotes_what_was_to_be_written(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    row = exchange_row(exchange(1, answer="a client's own words")) | {"seq": 1}
    with writing(engine) as connection:
        connection.execute(exchanges.insert().values(row))
    with pytest.raises(sa.exc.IntegrityError) as twice, writing(engine) as connection:
        connection.execute(exchanges.insert().values(row))
    assert "unique" in str(twice.value).lower() and "own words" not in str(twice.value)


def test_no_writer_comes_between_a_check_and_its_write(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    with writing(engine) as connection:
        connection.execute(settings.insert().values(key="count", value="0"))

    def count_up(_: int) -> None:
        with writing(engine) as connection:
            now = int(connection.execute(sa.select(settings.c.value)).scalar_one())
            connection.execute(settings.update().values(value=str(now + 1)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count_up, range(40)))
    with engine.connect() as connection:
        assert connection.execute(sa.select(settings.c.value)).scalar() == "40"
