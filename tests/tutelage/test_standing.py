from dataclasses import replace

from ledger.standing import Standing
from router.settings import DistillSettings
from tutelage.standing import progress

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
