import math
from dataclasses import replace

from ledger.database import connect
from ledger.ingest import ingest_once
from ledger.spool import SpoolWriter
from ledger.standing import Standing
from router.settings import DistillSettings, Settings
from tests.ledger.make import exchange, student_exchange
from tutelage.standing import Pace, describe, headroom, progress

EMPTY = Standing(
    total=0,
    rows=0,
    references=0,
    new_rows=0,
    attempts=0,
    champion=None,
    champion_since=None,
    voided=False,
    escalation_rate=None,
    references_needed=None,
    first_at=None,
)
CHOSEN = DistillSettings(min_rows=1000, min_references=200)
DAY = 86_400.0


def test_without_rows_there_is_no_date():
    assert progress(EMPTY, CHOSEN, now=DAY) == "0 of 1000 rows, 0 of 200 references"


def test_the_scarcer_kind_sets_the_date():
    found = replace(EMPTY, rows=500, references=50, first_at=0.0)
    assert progress(found, CHOSEN, now=DAY) == (
        "500 of 1000 rows, 50 of 200 references; at this rate on Mon 05 Jan 00:00 UTC"
    )


def test_a_refusals_needs_are_heeded():
    found = replace(EMPTY, rows=1000, references=300, references_needed=600, first_at=0.0)
    assert progress(found, CHOSEN, now=DAY).startswith("1000 of 1000 rows, 300 of 600 references; at this rate")
    assert progress(replace(found, references=600), CHOSEN, now=DAY).endswith("enough for a run")


def settings(*, tasks=("desk",), **capacity) -> Settings:
    price = {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.2}
    return Settings(
        teachers={"big": {"model": "openai/big", **capacity}},
        student={"base_model": "m", "price": price},
        tasks={task: {"teacher": "big"} for task in tasks},
    )


PACES = {"desk": Pace(requests=40.0, answered=10.0, tokens=4000.0), "mail": Pace(30.0, 30.0, 3000.0)}


def test_headroom_is_told_where_there_is_a_capacity():
    assert headroom(settings(), PACES, task="desk") is None
    assert headroom(settings(capacity_rpm=80, capacity_tpm=100_000), PACES, task="desk") == (
        "big answers 10.0 of 40.0 requests a minute (last hour); if the student closed, all 40.0: "
        "50% of capacity_rpm 80 and 4% of capacity_tpm 100000"
    )


def test_too_little_of_it_is_a_warning_counted_over_all_tasks_of_the_teacher():
    assert headroom(settings(capacity_tpm=3999), PACES, task="desk").startswith("WARNING: big answers")
    both = settings(tasks=("desk", "mail"), capacity_rpm=56)
    words = headroom(both, PACES, task="mail")
    assert words.startswith("WARNING: big answers 30.0 of 30.0 ")
    assert words.endswith("if the student closed, all 30.0: with its other tasks 125% of capacity_rpm 56")


def test_status_reads_the_headroom_of_the_last_hour_from_the_ledger(tmp_path):
    engine, spool = connect(f"sqlite:///{tmp_path}/ledger.db"), SpoolWriter(tmp_path / "spool")
    for number in range(120):
        spool.append(
            student_exchange(number, at=4000.0 + number) if number % 4 else exchange(number, at=4000.0 + number)
        )
    spool.close()
    ingest_once(engine, tmp_path / "spool")

    def told(now: float) -> str:
        _, words, *_ = describe(settings(capacity_rpm=10), engine, now=now)
        return words

    assert told(4120.0).startswith("  WARNING: big answers 15.0 of 60.0 requests a minute")
    assert told(4000.0 + 3600.0).startswith("  big answers 0.5 of 2.0 requests a minute")
    assert told(math.nextafter(9000.0, math.inf)).startswith("  big answers 0.0 of 0.0 requests a minute")
