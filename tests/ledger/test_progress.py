from dataclasses import replace

from ledger.database import connect
from ledger.progress import measure, publish, published
from ledger.standing import Standing

EMPTY = Standing(
    rows=0,
    references=0,
    new_rows=0,
    attempts=0,
    refusals=0,
    champion=None,
    champion_since=None,
    voided=False,
    forgotten=None,
    escalation_rate=None,
    references_needed=None,
    first_at=None,
    live_share=1.0,
)


def ask(found):
    return measure(found, min_rows=1000, min_references=200, max_references=300, now=100.0)


def test_without_rows_there_is_no_date():
    found = ask(EMPTY)
    assert (found.rows_needed, found.references_needed, found.expected_at, found.complete) == (1000, 200, None, False)


def test_the_scarcer_kind_sets_the_date():
    assert ask(replace(EMPTY, rows=500, references=50, first_at=0.0)).expected_at == 400.0
    assert ask(replace(EMPTY, rows=100, references=200, first_at=60.0)).expected_at == 460.0


def test_an_imported_log_sends_no_more():
    found = replace(EMPTY, rows=500, references=100, first_at=90.0, live_share=0.1)
    assert ask(found).expected_at == 200.0  # ten seconds have brought a tenth of what is there, and as much is lacking


def test_a_refusals_needs_are_heeded_as_far_as_a_run_draws_references():
    found = replace(EMPTY, rows=1000, references=150, references_needed=600, first_at=0.0)
    assert (ask(found).references_needed, ask(found).expected_at, ask(found).complete) == (300, 200.0, False)
    enough = ask(replace(found, references=600))
    assert (enough.expected_at, enough.complete) == (None, True)


def test_what_is_published_is_the_last_word(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    assert published(engine) == {}
    for rows in (500, 600):
        found = ask(replace(EMPTY, rows=rows, references=50, first_at=0.0))
        publish(engine, "desk", found, now=100.0)
    assert published(engine) == {"desk": found}
