from dataclasses import replace
from functools import partial
from hashlib import sha256

from calibration.question import Judge
from distill import lessons as lesson_making
from distill.again import Bounds, Second
from distill.curate import UNCOMPARED, Rules
from distill.gateway import Reply
from distill.harvest import Harvest
from distill.lessons import Shares, untaught
from distill.pattern import Pair
from distill.rows import TrainingRow
from distill.suspicion import NoLabels
from tests.distill.tiny import row as tiny_row
from tests.distill.written import WORDS, written

SHARES = Shares(fit=0.2, validate=0.1, seed=0)
divide = partial(lesson_making.divide, progress=lambda done, total: None)


def row(number: int, *, reference: bool = True) -> TrainingRow:
    text = sha256(str(number).encode()).hexdigest()  # near-duplicate of no other
    return TrainingRow(str(number), ({"role": "user", "content": text},), "refund", "stop", reference)


def numbers(rows):
    return [int(each.exchange_id) for each in rows]


def test_the_newest_rows_fit_where_all_are_references():
    lessons = divide([row(n) for n in range(100)], shares=SHARES)
    assert numbers(lessons.fit) == list(range(80, 100))
    assert max(numbers(lessons.train) + numbers(lessons.validate)) < 80


def test_what_a_champion_was_unsure_of_teaches_and_forecasts_nothing():
    # Under a champion the newest rows are escalations, but for every tenth.
    older = [row(n, reference=n < 60 or n % 10 == 0) for n in range(100)]
    lessons = divide(older, shares=SHARES)
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
    lessons = divide(older, shares=SHARES)
    taught = {int(each.exchange_id): each.completion for each in (*lessons.train, *lessons.validate)}
    assert all(taught[n] == ("delivery" if n % 2 else "refund") for n in taught)
    assert {each.completion for each in lessons.fit} == {"refund"}
    marked = {int(each.exchange_id) for each in lessons.rejected if each.reason == "marked as wrong"}
    assert marked == {n for n in range(80) if n % 3 == 0 and n % 2 == 0}


def test_errors_are_looked_for_in_all_that_teaches_or_validates_and_in_no_fit_row():
    right = [list(WORDS)[number % 2] for number in range(400)]
    wrong = {*range(10, 30), 390, 391}
    given = [list(WORDS)[(number + (number in wrong)) % 2] for number in range(400)]
    rows = [tiny_row(text, label, id=str(n)) for n, (text, label) in enumerate(zip(written(right), given, strict=True))]
    lessons = divide(rows, shares=SHARES)
    rejected = {int(each.exchange_id) for each in lessons.rejected}
    assert len(rejected & set(range(10, 30))) >= 17 and len(rejected) <= 22
    assert {each.reason for each in lessons.rejected} == {"suspected teacher error"}
    assert lessons.noise.rows == 320 and {390, 391} <= set(numbers(lessons.fit))
    assert len(lessons.train) + len(lessons.validate) + len(rejected) == 320 and len(lessons.validate) > 25


class Watch:
    def step(self, words):
        pass

    def advance(self, done, total):
        pass


def test_the_teacher_is_asked_again_about_rows_that_teach_and_about_no_others():
    right = [list(WORDS)[number % 2] for number in range(400)]
    given = [list(WORDS)[(number + (number % 11 == 0)) % 2] for number in range(400)]
    texts = written(right)
    of_text = dict(zip(texts, right, strict=True))
    asked = []

    def teacher(requests):
        asked.extend(request["messages"][-1]["content"] for request in requests)
        return [Reply(of_text[request["messages"][-1]["content"]], "stop") for request in requests]

    rows = [tiny_row(text, label, id=str(n)) for n, (text, label) in enumerate(zip(texts, given, strict=True))]
    plain = divide(rows, shares=SHARES)
    lessons = divide(rows, shares=SHARES, rules=Rules(second=Second(teacher, Bounds(100, 1.0), Watch())))
    righted = {each.exchange_id for each in lessons.train if each.put_right}
    assert righted == {str(texts.index(text)) for text in asked} and len(righted) > 15
    assert (lessons.fit, lessons.validate) == (plain.fit, plain.validate)
    assert {each.exchange_id for each in plain.rejected} - {each.exchange_id for each in lessons.rejected} == righted
    assert len(lessons.rejected) > 0  # those that would have validated
    assert {lessons.marks[each] for each in righted} == {"put right"} == set(lessons.marks.values())


def test_a_row_that_teaches_what_people_have_corrected_is_marked_so_before_all_else_and_counted():
    older = [
        replace(row(n), correction="delivery" if n % 4 == 0 else None, confirmed="refund" if n % 4 == 1 else None)
        for n in range(100)
    ]
    lessons = divide(older, shares=SHARES)
    pairs = tuple(Pair(each.exchange_id, each.messages, each.completion, "neither") for each in lessons.train)
    marks = replace(lessons, pairs=pairs).marks
    fours = [n % 4 for n in numbers(lessons.train)]
    assert [marks[each.exchange_id] for each in lessons.train] == ["paired" if n else "corrected" for n in fours]
    told = lessons.curation
    assert (told["corrected"], told["good"]) == (fours.count(0), fours.count(1))
    words = f"{fours.count(0)} rows teach what people have corrected, {fours.count(1)} what they have called good"
    assert told["words"] == words
    judged = divide(older, shares=SHARES, rules=Rules(by=Judge("referee", "m", "")))
    assert judged.curation["words"] == f"{words}; {UNCOMPARED}"


def test_answers_that_are_no_labels_and_lessons_of_nobody_say_so():
    assert isinstance(divide([row(n) for n in range(100)], shares=SHARES).noise, NoLabels)
    found = Harvest(cut_at=1.0, older=tuple(row(n) for n in range(40)), window=(), window_span=(0.0, 1.0))
    assert untaught(found, taught=set(), most=5).noise is None


def test_what_is_written_teaches_and_is_in_no_other_part():
    older, written = [row(n) for n in range(100)], [row(n, reference=False) for n in range(1000, 1050)]
    plain, extended = (divide(older, shares=SHARES, synthetic=extra) for extra in ((), written))
    assert extended.fit == plain.fit and extended.validate == plain.validate
    assert set(numbers(extended.train)) - set(numbers(plain.train)) == set(range(1000, 1050))


def test_of_what_is_written_a_question_that_was_redacted_does_not_teach():
    written = replace(row(1000, reference=False), messages=({"role": "user", "content": "I am <email:3f2a>"},))
    lessons = divide([row(n) for n in range(100)], shares=SHARES, synthetic=[written])
    assert 1000 not in numbers(lessons.train)
    assert [(each.exchange_id, each.reason) for each in lessons.rejected] == [("1000", "redacted")]


def test_what_is_written_like_a_row_that_validates_does_not_teach():
    older = [row(n) for n in range(100)]
    held = divide(older, shares=SHARES).validate[0]
    echo = replace(held, exchange_id="1000", reference=False)
    lessons = divide(older, shares=SHARES, synthetic=[echo])
    assert 1000 not in numbers(lessons.train)
    assert [(each.exchange_id, each.reason) for each in lessons.rejected] == [("1000", "near-duplicate")]
