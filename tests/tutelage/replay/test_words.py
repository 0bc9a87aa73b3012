"""What a replay says of a log and of its money, beyond what `test_run` reads on the console."""

import json
import random

import pytest

from calibration.certificate import Contract
from calibration.evidence import SHORT
from calibration.study import study
from ledger.prices import Price
from ledger.records import Usage
from tests.tutelage.replay.lines import DAY, entry
from tutelage.replay import words
from tutelage.replay.facts import Judged, Prices, Replay, Seen
from tutelage.replay.figures import figures
from tutelage.replay.traffic import read
from tutelage.replay.trial import DraftedRow, Trial

PRICES = Prices(Price(2.5e-6, 1e-5), Price(2e-8, 5e-8), {"mini": Price(1e-7, 4e-7)}, machine_usd_per_hour=0.1)


def trial(rows, *, wrong, usage=(100, 2)):
    """Unsure where it is wrong."""
    rng = random.Random(1)
    ds = [float(rng.random() < wrong) for _ in range(rows)]
    drafted = [
        DraftedRow(dict.fromkeys(SHORT, 1 - d + rng.random() / 9), d, n, Usage(*usage)) for n, d in enumerate(ds)
    ]
    return Trial(100, {"truncated": 2}, 1800.0, 1800.0, 3, drafted)


@pytest.fixture
def replay(tmp_path):
    """The facts of a log of these entries, with a student where there is a trial."""

    def make(entries, *, made=None, shown=20):
        path = tmp_path / "log.jsonl"
        path.write_text("\n".join(json.dumps(each) for each in entries))
        log = read(path, rows=500, skip_broken=False, now=1e12, progress=lambda *_: None)
        seen = [Seen(n + 1, task, task.narrowness(), PRICES.teacher) for n, task in enumerate(log.tasks[:shown])]
        judged = None
        if made is not None:
            found = study([row.drafted() for row in made.rows], [Contract(alpha, 0.05, 0.2) for alpha in (0.01, 0.1)])
            judged = Judged(made, found)
        return Replay(log, tuple(seen), seen[0], PRICES, "exact", judged, why_not="" if judged else "nothing yet")

    return make


def test_a_short_log_and_hidden_tasks_are_told(replay):
    others = [entry(n, system=f"Today is day {n}.") for n in range(1, 4)]
    said = " ".join(words.of_log(replay([*map(entry, range(10, 30)), *others], shown=2)))
    assert "spans 2.8 days: too short to say much about a month" in said
    assert "2 smaller tasks are not shown" in said


def test_what_no_student_is_asked_stays_with_the_teacher_and_in_the_sums(replay):
    sampled = [entry(n) for n in range(1, 11)]
    for each in sampled[:5]:
        each["request"]["temperature"] = 0.7
    facts = replay(sampled, made=trial(600, wrong=0.05))
    assert "5 of them ask for sampling (a temperature above 0): no student is asked these" in " ".join(
        words.of_chosen(facts)
    )
    assert facts.draftable == 0.5
    (way,) = (way for way in facts.ways if way.name == "student at 10%")
    assert way.taken == pytest.approx(0.5 * facts.judged.coverages[0.1])


def test_a_students_drafts_cost_what_they_took_and_before_that_the_teachers_tokens(replay):
    entries = list(map(entry, range(1, 20)))
    assert replay(entries).costs.draft_usd == pytest.approx(400 * 2e-8 + 5 * 5e-8)
    facts = replay(entries, made=trial(600, wrong=0.05))
    assert facts.costs.draft_usd == pytest.approx(100 * 2e-8 + 2 * 5e-8)
    assert facts.training_usd == pytest.approx(0.1)  # an hour
    assert "took 3600 s of this machine: $0.10 at $0.10 an hour" in " ".join(words.of_money(facts))


def test_the_student_is_told_with_what_it_could_not_read_and_how_it_was_tested(replay):
    said = " ".join(words.of_student(replay(map(entry, range(1, 20)), made=trial(600, wrong=0.05))))
    assert "taught a student (100 rows, 1800 s)" in said and "3 of these are longer than its context" in said
    assert "passes a test with a chance of at most 5%" in said and "leaves 20% of alpha free" in said


def test_a_refusal_says_why_and_what_would_do(replay):
    facts = replay(map(entry, range(1, 20)), made=trial(300, wrong=0.05))
    strict, wide = words.rows_of_study(facts)
    assert strict[:3] == ["1%", "none", ""] and "200 rows would certify with a chance of" in strict[3]
    assert wide[0] == "10%" and wide[1].endswith("%") and wide[3] == ""


def test_a_teacher_that_is_cheaper_than_drafts_leaves_nothing_to_pay_back(replay):
    facts = replay(map(entry, range(1, 20)))
    dear = Prices(Price(1e-9, 1e-9), PRICES.student, {}, machine_usd_per_hour=0.1)
    cheap = Replay(facts.log, facts.seen, facts.chosen, dear, "exact", None, "nothing yet")
    said = list(words.break_even(cheap))
    assert "no share would pay" in said[0] and "never: drafts and references cost more" in said[-1]


def test_there_is_a_figure_for_everything_that_is_known(replay):
    entries = list(map(entry, range(1, 20)))
    assert [name for name, *_ in figures(replay(entries))] == ["cost"]
    facts = replay(entries, made=trial(300, wrong=0.05))
    assert [name for name, *_ in figures(facts)] == ["share", "risk-coverage", "cost"]
    assert facts.log.span_s == 1.8 * DAY
