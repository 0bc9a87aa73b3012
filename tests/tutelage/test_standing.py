import math
import re
from dataclasses import replace

import pytest

from calibration.teacher import Repeats
from ledger import live, probes
from ledger.database import connect
from ledger.ingest import ingest_once
from ledger.progress import Progress
from ledger.releases import add_candidate, promote
from ledger.spool import SpoolWriter
from router.settings import Settings, Task
from tests.ledger.make import certified, exchange, student_exchange
from tutelage.standing import Pace, describe, exposed, headroom, in_words

DAY = 86_400.0


def test_progress_is_told_in_words():
    found = Progress(rows=500, rows_needed=1000, references=50, references_needed=200, expected_at=4 * DAY)
    have = "500 of 1000 rows, 50 of 200 references"
    assert in_words(found) == f"{have}; at this rate on Mon 05 Jan 00:00 UTC"
    assert in_words(replace(found, expected_at=None)) == have
    assert in_words(replace(found, rows=1000, references=200, expected_at=None)).endswith("enough for a run")


def test_what_would_pass_before_the_alarm_is_told_in_answers():
    words = exposed(Task(teacher="big"), alpha=0.05)
    found = re.search(r"if 10% .* not 5%, .* some (\d+) references, (\d+) answers, (\d+) of them", words)
    references, answers, wrong = map(int, found.groups())
    assert 150 <= references <= 230  # of which CALIBRATION.md has 190
    assert answers == pytest.approx(references * 20, abs=20) and wrong == pytest.approx(answers * 0.05, abs=1)


def test_a_contract_is_not_rounded_to_another():
    assert "if 5% of its answers differed at once, not 2.5%," in exposed(Task(teacher="big"), alpha=0.025)


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


def test_a_release_that_was_certified_with_another_teacher_is_not_in_force(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    name = add_candidate(engine, task="desk", cut_at=0.0, base_model="m", now=1.0).name
    values = certified(bound_to={"teacher": "openai/former", "base_model": "m"})
    promote(engine, name, values=values, now=2.0)
    told = next(describe(settings(), engine, now=3.0))
    assert told == f"desk: {name} is not in force: certified with teacher 'openai/former', and now it is 'openai/big'"


def test_a_release_whose_certificate_has_expired_is_not_in_force(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    name = add_candidate(engine, task="desk", cut_at=0.0, base_model="m", now=1.0).name
    values = certified(bound_to=settings().binding("desk"), expires_at=9.0)
    promote(engine, name, values=values, now=2.0)
    assert next(describe(settings(), engine, now=8.9)).startswith(f"desk: {name} in force since")
    out_of_time = f"desk: {name} is not in force: its certificate has expired, or this clock is behind it"
    assert next(describe(settings(), engine, now=9.0)) == out_of_time


@pytest.mark.parametrize(
    ("agreed", "words"),
    [
        (29, "  asked again, the teacher repeats 29 of 30 answers$"),
        (
            15,
            r"  WARNING: .* repeats 15 of 30 answers: no student can differ on less than 1\d\.\d%, and alpha is 5%$",
        ),
    ],
)
def test_a_teacher_that_does_not_repeat_itself_is_told_with_what_that_means(tmp_path, agreed, words):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    for at, found in ((1.0, Repeats(30, agreed)), (2.0, Repeats(30, 30))):
        probes.add(engine, "desk", teacher="openai/big", found=probes.Round(at, found))
    assert any(re.match(words, line) for line in describe(settings(), engine, now=3.0))


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


@pytest.fixture
def in_force(tmp_path):
    """Releases of desk and mail: since two days, references of each as given."""

    def made(**references):
        engine, chosen = connect(f"sqlite:///{tmp_path}/ledger.db"), settings(tasks=tuple(references))
        for task, count in references.items():
            name = add_candidate(engine, task=task, cut_at=0.0, base_model="m", now=1.0).name
            promote(engine, name, values=certified(bound_to=chosen.binding(task)), now=2.0)
            found = live.Live(2.0, 20 * count, count, 0, agreement=0.98, low=0.95, high=1.0, alarm=0.0)
            live.publish(engine, name, found)
        return list(describe(chosen, engine, now=2.0 + 2 * DAY))

    return made


def test_b_is_told_in_references_and_days(in_force):
    told = in_force(desk=200)
    assert "  B = 5,000 references, some 50 days at the pace so far: a false alarm within m references" in "\n".join(
        told
    )
    assert not told[-1].startswith("all tasks")  # it is the only one


def test_the_rates_of_all_tasks_add(in_force):
    assert in_force(desk=200, mail=600)[-1] == "all tasks: at most one false alarm in some 12 days"


def test_a_pace_that_is_not_known_yet_is_said_to_be_so(in_force):
    told = in_force(desk=200, mail=3)
    assert any("5,000 references, how many days that is cannot be told yet: a false alarm" in line for line in told)
    assert told[-1] == "all tasks: at most one false alarm in some 50 days, without mail, whose pace is not known yet"


def test_of_no_known_pace_nothing_is_said_of_all_tasks_but_that(in_force):
    told = in_force(desk=2, mail=3)[-1]
    assert told == "all tasks: how many days there are between false alarms is not known yet (desk, mail)"
