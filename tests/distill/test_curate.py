from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement import FORMS, disagreement
from calibration.question import Judge
from distill import curate as curation
from distill.again import Bounds, Second
from distill.clusters import cluster
from distill.curate import NO_RULES, UNCOMPARED, Rules, by_reason
from distill.gateway import Reply
from tests.distill.tiny import row
from tests.distill.written import WORDS, written

JUDGED = Rules(by=Judge("referee", "openai/referee", ""))


def curate(rows, rules=NO_RULES):
    clusters = cluster([row.variable_text for row in rows])
    return curation.curate(rows, clusters=clusters, seed=0, progress=lambda done, total: None, rules=rules)


def reasons(rows, rules=NO_RULES):
    return {rejected.exchange_id: rejected.reason for rejected in curate(rows, rules).rejected}


def test_unusable_answers_are_rejected_with_their_reason():
    rows = [
        row("one", "fine", id="good"),
        row("two", " \n", id="empty"),
        row("three", "cut o", id="cut", finish="length"),
        row("four", "called", id="tool", finish="tool_calls"),
        row("six", "write to <email:3f2a>", id="redacted"),
        row("five", "I'm sorry, but I can\u2019t help with that.", id="refused"),
    ]
    assert reasons(rows) == {
        "empty": "empty answer",
        "cut": "truncated",
        "tool": "truncated",
        "redacted": "redacted",
        "refused": "refusal",
    }
    assert [kept.exchange_id for kept in curate(rows).kept] == ["good"]
    assert by_reason(curate(rows).rejected) == {"empty answer": 1, "truncated": 2, "redacted": 1, "refusal": 1}


def test_a_question_of_which_something_was_taken_out_is_no_lesson():
    fields = replace(row("plain", "fine", id="field"), params={"stop": ["<phone:00ff>"]})
    about = replace(row("other", "fine", id="about"), params={"user": "<email:3f2a>"})  # no student reads it
    rows = [row("write to <email:3f2a>", "fine", id="asked"), row("q", "fine", system="of <ip:1a2b>", id="prompt")]
    assert reasons([*rows, fields, about]) == {"asked": "redacted", "prompt": "redacted", "field": "redacted"}


@pytest.mark.parametrize(
    "text",
    [
        "I cannot provide that information.",
        "Sorry, I can't assist with this request.",
        "I am unable to comply.",
        "Unfortunately, I will not create such content",
        "As an AI language model, I have no opinion.",
    ],
)
def test_a_refusal_is_recognised(text):
    assert reasons([row("q", text)]) == {"x": "refusal"}


@pytest.mark.parametrize(
    "text",
    [
        "unable_to_verify_identity",
        "cannot_help",
        "refusal",
        "sorry",
        "I cannot log in",
        "I'm sorry to hear that, and I will help you",
        "As an airline passenger you may cancel.",
        '{"complaint": "I cannot answer the phone"}',
    ],
)
def test_a_label_or_a_quotation_is_no_refusal(text):
    assert reasons([row("q", text)]) == {}


def test_of_conflicting_answers_the_majority_stays():
    rows = [
        row("Where is it?", "card", id="a"),
        row("where  is it?", "order", id="b"),
        row("Where is it?", "card", id="c"),
    ]
    assert reasons(rows) == {"b": "conflicting labels", "c": "near-duplicate"}


def test_a_tie_rejects_all():
    rows = [row("Where is it?", "card", id="a"), row("Where is it?", "order", id="b"), row("Other", "order", id="c")]
    assert reasons(rows) == {"a": "conflicting labels", "b": "conflicting labels"}


def test_the_word_of_people_counts_where_its_own_row_teaches_nothing():
    said = replace(row("Where?", "ca", id="cut"), finish_reason="length", confirmed="order")
    rows = [said, row("Where?", "card", id="b"), row("Where?", "order", id="c"), row("Else?", "card", id="d")]
    assert reasons(rows) == {"cut": "truncated", "b": "people say otherwise"}
    typo = replace(rows[1], correction="odrer", completion="odrer")
    assert reasons([typo, *rows[2:]], Rules(labels=("card", "order"))) == {"b": "no label of the task"}


def test_an_answer_that_people_call_wrong_is_wrong_wherever_it_was_given():
    rows = [replace(row("Where?", "card", id="a"), disowned="card"), *(row("Where?", "card", id=id) for id in "bc")]
    assert reasons(rows) == {"a": "marked as wrong", "b": "people say otherwise", "c": "people say otherwise"}
    assert "d" not in reasons([*rows, row("Where?", "order", id="d")])
    one_says_so = replace(row("Where?", "card", id="e"), confirmed="card")
    assert reasons([one_says_so, *rows]) == {"a": "marked as wrong", "b": "near-duplicate", "c": "near-duplicate"}
    assert "c" in reasons([one_says_so, *(replace(each, disowned="card") for each in rows)])


@pytest.mark.parametrize(
    ("measure", "answers"),
    [
        ("exact", ("Refund", '"refund."')),
        ("number", ("Two and two: 4", "It is 4.")),
        ("json", ('{"x": 1, "y": "b"}', '{"y":"B","x":1.0}')),
    ],
)
def test_answers_that_the_measure_calls_the_same_are_no_conflict(measure, answers):
    rows = [row("Which?", answer, id=id) for id, answer in zip("ab", answers, strict=True)]
    assert reasons(rows, Rules(by=measure)) == {"b": "near-duplicate"}
    other = [*rows, row("Which?", "5", id="c")]
    assert reasons(other, Rules(by=measure)) == {"b": "near-duplicate", "c": "conflicting labels"}


ANSWERS = ("4", "It is 4.", "4.0", "5", '{"a": 4}', '{"A": 4.0}', "four", "Four", '"four."')


@given(st.sampled_from(sorted(FORMS)), st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=8), st.booleans())
def test_of_one_prompt_what_teaches_agrees_with_most_by_the_measure(measure, answers, backwards):
    rows = [row("How many?", answer, id=str(n)) for n, answer in enumerate(answers)]
    found = reasons(rows[::-1] if backwards else rows, Rules(by=measure))
    agree = [sum(not disagreement(one, other, measure=measure) for other in answers) for one in answers]
    most = [n for n, votes in enumerate(agree) if votes == max(agree)]
    tie = any(disagreement(answers[most[0]], answers[n], measure=measure) for n in most)
    stay = set() if tie else set(most)
    conflicting = {int(name) for name, reason in found.items() if reason == "conflicting labels"}
    assert conflicting == set(range(len(rows))) - stay


def test_where_a_judge_is_the_measure_answers_to_one_prompt_are_not_compared_and_it_is_told():
    rows = [row("Where is it?", answer, id=answer) for answer in ("Here.", "It is here.", "There.")]
    outcome = curate(rows, JUDGED)
    assert [each.exchange_id for each in outcome.kept] == ["Here."] and outcome.uncompared == UNCOMPARED
    assert set(by_reason(outcome.rejected)) == {"near-duplicate"} and curate(rows).uncompared is None


def corrected(text, answer, *, id, before="whatever"):
    return replace(row(text, before, id=id), correction=answer).corrected


def good(text, answer, *, id, said=None):
    return replace(row(text, said or answer, id=id), confirmed=answer)


@pytest.mark.parametrize("wrong", [1, 5])
@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("word", [corrected, good])
def test_one_person_outvotes_a_teacher_however_often_it_says_so(wrong, place, word):
    theirs = [row("Where is it?", "card", id=f"wrong{n}") for n in range(wrong)]
    mine = [word("Where is it?", "order", id="right")]
    rows = [*mine, *theirs] if place == "first" else [*theirs, *mine]
    assert reasons(rows) == {each.exchange_id: "people say otherwise" for each in theirs}


def test_a_teachers_answer_that_agrees_with_people_gives_way_to_theirs():
    rows = [
        row("Where is it?", "card", id="a"),
        row("Where is it?", "Order", id="b"),
        corrected("Where is it?", "order", id="c"),
    ]
    assert reasons(rows) == {"a": "people say otherwise", "b": "near-duplicate"}


def test_people_who_contradict_each_other_tie_as_rows_do():
    rows = [
        row("Where is it?", "card", id="a"),
        row("Where is it?", "card", id="b"),
        corrected("Where is it?", "order", id="c"),
        good("Where is it?", "card", id="d"),
    ]
    assert reasons(rows) == dict.fromkeys("abcd", "conflicting labels")
    rows.append(corrected("Where is it?", "order", id="e"))
    says = dict.fromkeys("ab", "people say otherwise")
    assert reasons(rows) == {**says, "d": "conflicting labels", "e": "near-duplicate"}


def test_that_a_students_answer_was_good_speaks_against_another_one_of_its_teacher():
    rows = [
        good("Where is it?", "order", id="a", said="card"),
        good("When is it?", "order", id="b", said="Order."),
        good("Who is it?", "card", id="c"),
    ]
    assert reasons(rows) == {"a": "people say otherwise"}


def test_of_a_judged_task_what_people_vouch_for_teaches_and_not_what_came_before():
    rows = [
        row("Where is it?", "There.", id="a"),
        corrected("Where is it?", "Here.", id="b"),
        row("Where is it?", "There.", id="c"),
    ]
    assert reasons(rows, JUDGED) == dict.fromkeys("ac", "near-duplicate")


def test_another_prompt_or_another_number_is_no_conflict():
    rows = [row("2 + 2", "4", id="a"), row("2 + 3", "5", id="b"), row("2 + 2", "four", id="c", system="In words.")]
    assert reasons(rows) == {}


def test_near_duplicates_are_kept_up_to_three_an_answer():
    late = [row(f"Order {number} is late", "delay", id=f"late{number}") for number in range(10, 15)]
    other = [row("Order 99 is late", "fraud", id="other")]
    assert reasons(late + other) == {"late13": "near-duplicate", "late14": "near-duplicate"}
    vouched = [corrected("Order 15 is late", "delay", id="said")]
    assert set(reasons(late + vouched)) == {"late12", "late13", "late14"}


def test_the_order_of_kept_rows_stays_and_no_row_is_lost():
    rows = [row(f"{word} question", word, id=word) for word in ("delta", "alpha", "charlie")] + [row("x", "", id="no")]
    outcome = curate(rows)
    assert [kept.exchange_id for kept in outcome.kept] == ["delta", "alpha", "charlie"]
    assert len(outcome.kept) + len(outcome.rejected) == len(rows)
    assert curate([]).kept == ()


def test_an_answer_that_is_not_what_was_asked_for_does_not_teach():
    asked = {"response_format": {"type": "json_object"}}
    rows = [replace(row(text, text, id=text), params=asked) for text in ('{"a": 1}', "Sure! {}", "I cannot help.")]
    assert reasons(rows) == {"Sure! {}": "no JSON", "I cannot help.": "refusal"}


def test_an_answer_that_is_no_label_of_the_task_does_not_teach():
    rows = [row(text, text, id=text) for text in ("refund", '"Refund."', "refunds", "delivery", "I cannot help.", "")]
    rows += [row("corrected", "refund", id="corrected"), row("said", "the refund", id="said")]
    rows[-2] = replace(rows[-2], correction="fraud").corrected
    assert reasons(rows, Rules(labels=("Refund", "delivery"))) == {
        "refunds": "no label of the task",
        "I cannot help.": "refusal",
        "": "empty answer",
        "corrected": "no label of the task",
        "said": "no label of the task",
    }
    assert set(reasons(rows)) == {"I cannot help.", ""}


def labelled(*, wrong):
    """200 rows of two labels; those at `wrong` have the other one."""
    first, second, _ = WORDS
    right = [first if number % 2 else second for number in range(200)]
    texts = written(right, seed=0)
    other = {first: second, second: first}
    given = [other[label] if number in wrong else label for number, label in enumerate(right)]
    return [row(text, label, id=str(number)) for number, (text, label) in enumerate(zip(texts, given, strict=True))]


def test_a_suspected_error_does_not_teach():
    rows = labelled(wrong={3, 40, 77})
    outcome = curate(rows)
    assert reasons(rows) == dict.fromkeys(("3", "40", "77"), "suspected teacher error")
    assert (outcome.noise.rows, outcome.noise.suspected) == (200, {3, 40, 77})


def test_what_people_have_corrected_is_not_suspected():
    rows = labelled(wrong={3, 40, 77})
    rows[40] = replace(rows[40], completion="whatever the teacher says", correction=rows[40].completion).corrected
    assert set(reasons(rows)) == {"3", "77"}


def test_what_people_have_called_good_is_not_suspected():
    rows = labelled(wrong={3, 40, 77})
    rows[40] = replace(rows[40], confirmed=rows[40].completion)
    rows[77] = replace(rows[77], disowned="whatever a student has said")
    assert set(reasons(rows)) == {"3", "77"}


def test_too_many_suspicions_are_told_and_nothing_is_left_out(monkeypatch):
    monkeypatch.setattr("distill.suspicion.MOST_NOISE", 0.001)
    outcome = curate(labelled(wrong={3, 40, 77}))
    assert outcome.rejected == () and outcome.noise.doubt


class Teacher:
    """Says the right label, but of the row 40, where it repeats itself, and of 77, of which it says something else."""

    def __init__(self, rows):
        self.right = {each.variable_text: each.completion for each in rows}
        self.wrong = {rows[40].variable_text: labelled(wrong={40})[40].completion, rows[77].variable_text: "login"}
        self.asked = []

    def step(self, words):
        pass

    def advance(self, done, total):
        pass

    def __call__(self, requests):
        texts = [request["messages"][-1]["content"] for request in requests]
        self.asked += texts
        return [Reply(self.wrong.get(text, self.right[text]), "stop", 0.01) for text in texts]


def test_suspects_are_put_to_their_teacher_where_the_rules_say_so():
    rows, teacher = labelled(wrong={3, 40, 77}), Teacher(labelled(wrong=()))
    outcome = curate(rows, Rules(second=Second(teacher, Bounds(10, 1.0), teacher)))
    assert {each.exchange_id: each.reason for each in outcome.rejected} == {"77": "suspected teacher error"}
    assert outcome.again.fates == {"3": "put right", "40": "repeated", "77": "otherwise"}
    kept = {each.exchange_id: each for each in outcome.kept}
    assert [each.exchange_id for each in outcome.kept] == [str(n) for n in range(200) if n != 77]
    assert kept["3"].put_right and kept["3"].completion == labelled(wrong=())[3].completion
    assert kept["40"] == rows[40] and set(teacher.asked) == {rows[n].variable_text for n in (3, 40, 77)}
    assert outcome.noise == curate(rows).noise


def test_nobody_is_asked_about_suspicions_that_are_not_believed(monkeypatch):
    monkeypatch.setattr("distill.suspicion.MOST_NOISE", 0.001)
    teacher = Teacher(labelled(wrong=()))
    outcome = curate(labelled(wrong={3, 40, 77}), Rules(second=Second(teacher, Bounds(10, 1.0), teacher)))
    assert outcome.again is None and not teacher.asked and not outcome.rejected
