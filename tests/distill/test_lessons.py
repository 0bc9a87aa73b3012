from dataclasses import replace
from hashlib import sha256

from distill.harvest import Harvest
from distill.lessons import Shares, divide, untaught
from distill.rows import TrainingRow

SHARES = Shares(fit=0.2, validate=0.1, seed=0)


def row(number: int, *, reference: bool = True) -> TrainingRow:
    text = sha256(str(number).encode()).hexdigest()  # near-duplicate of no other
    return TrainingRow(str(number), ({"role": "user", "content": text},), "refund", "stop", reference)


def numbers(rows):
    return [int(each.exchange_id) for each in rows]


def test_the_newest_rows_fit_where_all_are_references():
    lessons = divide([row(n) for n in range(100)], window=10, shares=SHARES)
    assert numbers(lessons.fit) == list(range(80, 100))
    assert max(numbers(lessons.train) + numbers(lessons.validate)) < 80


def test_what_a_champion_was_unsure_of_teaches_and_forecasts_nothing():
    # Under a champion the newest rows are escalations, but for every tenth.
    older = [row(n, reference=n < 60 or n % 10 == 0) for n in range(100)]
    lessons = divide(older, window=10, shares=SHARES)
    assert numbers(lessons.fit) == [*range(44, 60), 60, 70, 80, 90]
    taught = {*numbers(lessons.train), *numbers(lessons.validate)}
    assert taught.isdisjoint(numbers(lessons.fit))
    assert {99, 98, 97} <= taught


def test_an_adapter_that_exists_is_fitted_on_references_that_have_not_taught_it():
    older = tuple(row(n, reference=n % 2 == 0) for n in range(40))
    found = Harvest(cut_at=1.0, older=older, window=(), window_span=(0.0, 1.0))
    lessons = untaught(found, taught={"38", "36"}, most=5)
    assert numbers(lessons.fit) == [26, 28, 30, 32, 34] and not lessons.train


def test_people_have_the_last_word_on_what_teaches_and_the_teacher_on_what_fits():
    older = [
        replace(row(n), correction="delivery" if n % 2 else None, disowned=None if n % 3 else "refund")
        for n in range(100)
    ]
    lessons = divide(older, window=10, shares=SHARES)
    taught = {int(each.exchange_id): each.completion for each in (*lessons.train, *lessons.validate)}
    assert all(taught[n] == ("delivery" if n % 2 else "refund") for n in taught)
    assert {each.completion for each in lessons.fit} == {"refund"}
    marked = {int(each.exchange_id) for each in lessons.rejected if each.reason == "marked as wrong"}
    assert marked == {n for n in range(80) if n % 3 == 0 and n % 2 == 0}
