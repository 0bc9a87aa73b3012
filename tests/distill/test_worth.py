"""What a student saves and costs, and whether it pays."""

from dataclasses import replace

import pytest

from distill import worth
from distill.outlook import UNKNOWN, Outlook
from distill.worth import DAY_S, FEWEST_REQUESTS, TOO_FEW, Costs, Machine, Terms, Worth, appraise, in_words
from ledger import releases
from ledger.database import connect
from ledger.ingest import store
from ledger.prices import Price
from ledger.standing import traffic
from tests.ledger.make import certified, exchange, student_exchange

PAYS = {"training_usd": 100.0, "upkeep_usd": 50.0, "within_months": 2.0}
TERMS = Terms(Price(1e-6, 1e-6), rho=0.05, alpha=0.05, max_rows=20_000, base_model="b", **PAYS)
WORTH = Worth(TERMS, Costs(0.01, 0.001, draftable=0.8, rho=0.05), monthly=10_000.0, days=30.0)
HALF = Outlook(0.5, "as one")


def test_what_it_saves_is_what_the_teacher_is_not_asked_less_drafts_and_upkeep():
    assert WORTH.spent_usd == pytest.approx(100.0)
    assert WORTH.saved_usd == pytest.approx(100.0 * 0.8 * 0.95 - 10_000 * 0.8 * 0.001 - 50.0)
    half = replace(WORTH, outlook=HALF)
    assert half.saved_usd == pytest.approx(100.0 * 0.8 * 0.95 * 0.5 - 8.0 - 50.0)


def test_where_nothing_is_known_it_is_called_the_most_that_it_may_be():
    assert WORTH.words == (
        "the teacher alone costs $100 a month at the pace of 30.0 days; what a student takes is not known (none was "
        "tested): one that took all it may would save $18.00 of it, at most; training is $100, upkeep $50.00 a month, "
        "earned in 5.6 months of 2; assumed: traffic as it was, drafts as long as answers"
    )


def test_where_something_is_known_it_says_by_what():
    assert (
        "a student that took 50% of what it may (as one) would cost $20.00 more" in replace(WORTH, outlook=HALF).words
    )
    assert replace(WORTH, outlook=HALF).words.endswith(
        "never earned; assumed: traffic as it was, drafts as long as answers"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training_usd": 0.0}, "training is free (distill.training_usd)"),
        ({"upkeep_usd": 0.0}, "upkeep is free (distill.upkeep_usd_per_month)"),
        ({"training_usd": 0.0, "training_usd_per_hour": 2.0}, "the hours of a first training are free"),
    ],
)
def test_what_nobody_has_set_a_price_for_is_assumed_aloud(changes, words):
    told = replace(WORTH, terms=replace(TERMS, **changes)).words
    assert told.endswith(f"drafts as long as answers, {words}")


def test_a_training_costs_what_the_last_one_took():
    by_hour = replace(TERMS, training_usd=1.0, training_usd_per_hour=2.0)
    assert replace(WORTH, terms=by_hour, hours=1.5).training_usd == pytest.approx(4.0)
    assert "training is $4.00" in replace(WORTH, terms=by_hour, hours=1.5).words


@pytest.mark.parametrize(
    ("changes", "pays"),
    [
        ({}, False),  # $18 a month are not $100 within two
        ({"within_months": 6.0}, True),
        ({"within_months": None}, True),
        ({"training_usd": 0.0}, True),
        ({"training_usd": 0.0, "upkeep_usd": 69.0}, False),
        ({"training_usd": 0.0, "upkeep_usd": 67.0}, True),
    ],
)
def test_training_and_upkeep_have_to_be_earned_in_time(changes, pays):
    assert replace(WORTH, terms=replace(TERMS, **changes)).pays is pays


def test_what_decides_is_what_it_is_expected_to_take():
    terms = replace(TERMS, within_months=6.0)
    assert replace(WORTH, terms=terms).pays and not replace(WORTH, terms=terms, outlook=HALF).pays


def test_a_task_that_costs_nothing_is_free_to_train():
    free = Terms(Price(0.0, 0.0), rho=0.05, alpha=0.05, max_rows=1000, base_model="b", within_months=3.0)
    assert replace(WORTH, terms=free, costs=Costs(0.0, 0.0, draftable=1.0, rho=0.05)).pays


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "distill.pays_within_months: 6 or a cheaper training would do"),
        ({"terms": replace(TERMS, upkeep_usd=99.0)}, "upkeep and machine take all of the $68.00 that it spares"),
        ({"costs": Costs(0.01, 0.02, draftable=0.8, rho=0.05)}, "a lower student.price changes that"),
        ({"outlook": Outlook(0.05, "as one")}, "a lower student.price, a larger alpha or more rows changes that"),
    ],
)
def test_it_says_what_to_change(changes, words):
    found = replace(WORTH, **changes)
    assert not found.pays and words in found.advice and "null" in found.advice


@pytest.fixture
def ledger(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")

    def add(*exchanges):
        store(engine, exchanges)
        return engine

    return add


def ask(engine, *, terms=TERMS, rows=1000, now=4 * DAY_S):
    return appraise(engine, "desk", teacher="big", terms=terms, rows=rows, now=now)


def test_the_pace_and_the_means_are_of_answered_requests_of_clients(ledger):
    asked = [exchange(n, at=2 * DAY_S, eligible=n % 4 > 0) for n in range(200)]
    apart = [exchange(300, at=0.0, origin="import"), exchange(301, status=502, at=0.0), exchange(302, task="x", at=0.0)]
    found = ask(ledger(*asked, *apart))
    assert (found.days, found.monthly) == (pytest.approx(2.0), pytest.approx(200 / 2 * 30))
    assert found.costs.teacher_usd == pytest.approx(0.01) and found.costs.draft_usd == pytest.approx(11e-6)
    assert (found.costs.draftable, found.costs.rho, found.outlook) == (0.75, 0.05, UNKNOWN)


def test_what_the_student_answers_counts_for_the_pace_and_a_certified_release_says_how_much_it_takes(ledger):
    asked = [exchange(n, at=2 * DAY_S) for n in range(100)]
    engine = ledger(*asked, *(student_exchange(n, at=3 * DAY_S) for n in range(100, 300)))
    name = releases.add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=0.0).name
    values = certified(coverage=0.6)
    values["report"] |= {"rows": {"train": 900}, "rejected": {}, "training": {"seconds": 7200.0}, "alpha": 0.05}
    releases.promote(engine, name, values=values, now=1.0)
    found = ask(engine)
    assert (found.monthly, found.outlook.coverage) == (pytest.approx(300 / 2 * 30), pytest.approx(0.6))
    assert found.hours == pytest.approx(2.0)
    assert ask(engine, rows=5000).outlook.coverage is None  # more than twice as many
    assert ask(engine, rows=5000, terms=replace(TERMS, max_rows=1000)).outlook == found.outlook
    larger = ask(engine, terms=replace(TERMS, base_model="larger"))
    assert larger.outlook == UNKNOWN and larger.hours is None  # what one base takes says nothing of another
    assert found.costs.teacher_usd == pytest.approx(0.01)


def test_of_too_little_traffic_nothing_is_said(ledger):
    engine = ledger(*(exchange(n, at=3 * DAY_S) for n in range(FEWEST_REQUESTS - 1)))
    assert ask(engine) is None and in_words(None) == TOO_FEW
    assert ask(ledger(exchange(FEWEST_REQUESTS, at=3 * DAY_S))) is not None
    assert ask(engine, now=40 * DAY_S) is None  # a month later


def test_a_machine_is_shared_by_the_tokens_that_students_would_draft(ledger):
    """Eleven tokens a request, 200 and 100 of them a day; half of the others' may be drafted; one has no student."""
    mine = [exchange(n, at=2 * DAY_S) for n in range(200)]
    theirs = [exchange(n, at=2 * DAY_S, task="till", eligible=n % 2 == 0) for n in range(300, 500)]
    strange = [exchange(n, at=2 * DAY_S, task="shelf") for n in range(600, 800)]
    engine = ledger(*mine, *theirs, *strange)
    shared = Machine(720.0, {"desk": "big", "till": "big", "never asked": "big"})
    terms = replace(TERMS, machine=shared)
    found = appraise(engine, "desk", teacher="big", terms=terms, rows=1000, now=4 * DAY_S)
    assert found.machine_usd == pytest.approx(720.0 * 200 / (200 + 100))
    assert found.saved_usd == pytest.approx(ask(engine).saved_usd - 480.0)
    assert "its share of the machine $480 a month" in found.words and "machine" not in ask(engine).words
    other = appraise(
        engine, "shelf", teacher="big", terms=terms, rows=1000, now=4 * DAY_S
    )  # in none's list: it comes on top
    assert other.machine_usd == pytest.approx(720.0 * 200 / (200 + 200 + 100))


def test_the_only_student_bears_it_all(ledger):
    engine = ledger(*(exchange(n, at=2 * DAY_S) for n in range(200)))
    alone = replace(TERMS, machine=Machine(720.0, {"desk": "big"}), training_usd=0.0)
    found = appraise(engine, "desk", teacher="big", terms=alone, rows=1000, now=4 * DAY_S)
    assert found.machine_usd == pytest.approx(720.0) and not found.pays


def test_what_others_ask_is_read_once_in_ten_minutes_however_many_are_weighed(ledger, monkeypatch):
    tasks = ("desk", "till", "shelf")
    engine = ledger(*(exchange(n, at=2 * DAY_S, task=tasks[n % 3]) for n in range(600)))
    terms, read = replace(TERMS, machine=Machine(720.0, dict.fromkeys(tasks, "big"))), []

    def counting(*args, **named):
        read.append(args[1])
        return traffic(*args, **named)

    monkeypatch.setattr(worth, "traffic", counting)
    shares = [
        appraise(engine, task, teacher="big", terms=terms, rows=1000, now=4 * DAY_S + at).machine_usd
        for at in (0.0, 300.0)
        for task in tasks
    ]
    assert shares == pytest.approx([240.0] * 6)
    assert len(read) == 6 + 3  # each by itself as it is now, and each once as another's other
    appraise(engine, "desk", teacher="big", terms=terms, rows=1000, now=4 * DAY_S + 600.0)
    assert len(read) == 6 + 3 + 3
