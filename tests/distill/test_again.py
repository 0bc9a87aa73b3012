from dataclasses import dataclass, field, replace

import msgspec
import pytest

from distill.again import Bounds, Second, Suspect, ask_again, second
from distill.gateway import GatewayAway, Reply
from ledger import teachers
from ledger.database import connect
from ledger.ingest import store
from ledger.records import TeacherReply, Usage
from router.answers import answer_many, parse_answers
from router.keyring import ANYBODY
from tests.distill.tiny import row
from tests.fakes import TASK, gateway
from tests.ledger.make import exchange

PRICE = 0.01


@dataclass
class Teacher:
    """Says what is scripted for a text, at a price; `parts`: how many it was asked at once, `asked`: what."""

    says: dict = field(default_factory=dict)
    usd: float = PRICE
    fails: Exception | None = None
    parts: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    refuses_zero: bool = False
    steps: list = field(default_factory=list)

    def replies(self, task, requests, *, origin):
        assert (task, origin) == ("desk", "curate")
        if self.fails:
            raise self.fails
        self.parts.append(len(requests))
        self.asked += requests
        return [self.reply(request) for request in requests]

    def reply(self, request):
        if self.refuses_zero and "temperature" in request:
            return Reply(error="UpstreamRefused")
        said = self.says.get(request["messages"][-1]["content"], "delivery")
        return said if isinstance(said, Reply) else Reply(said, "stop", self.usd)

    def step(self, words):
        self.steps.append(words)

    def advance(self, done, total):
        assert 0 < done <= total


def suspects(count):
    """Rows that say refund, of which delivery is expected."""
    return [Suspect(row(f"text {n}", "Refund", id=str(n)), "delivery") for n in range(count)]


def ask(teacher, meant, *, questions=100, usd=10.0, **others):
    asking = lambda requests: teacher.replies("desk", requests, origin="curate")  # noqa: E731
    return ask_again(meant, Second(asking, Bounds(questions, usd), teacher, **others))


def test_what_it_repeats_stays_what_was_expected_is_taken_and_the_rest_is_dropped():
    teacher = Teacher({"text 1": "refund", "text 2": "login", "text 3": Reply("delivery", "length", PRICE)})
    stay, again = ask(teacher, suspects(4))
    assert {name: (kept.completion, kept.put_right) for name, kept in stay.items()} == {
        "0": ("delivery", True),
        "1": ("Refund", False),
    }
    assert again.fates == {"0": "put right", "1": "repeated", "2": "otherwise", "3": "otherwise"}
    assert (again.asked, again.known, again.usd, again.ended) == (4, 0, pytest.approx(4 * PRICE), None)
    assert again.words == (
        "the teacher was asked again about 4 of 4 suspected rows for $0.040: 1 put right, 1 repeated and kept, "
        "2 dropped (0 unanswered)"
    )


def test_it_is_asked_the_same_at_temperature_0_without_what_was_its_clients_alone():
    params = {"max_tokens": 5, "user": "u", "stream": True, "stream_options": {"include_usage": True}, "store": True}
    suspect = Suspect(replace(row("q", "refund"), params=params), "delivery")
    teacher = Teacher()
    ask(teacher, [suspect])
    assert teacher.asked == [
        {"max_tokens": 5, "user": "u", "temperature": 0, "messages": list(suspect.row.messages)},
    ]


def test_a_provider_that_refuses_temperature_0_is_asked_as_its_client_has_asked():
    teacher = Teacher(refuses_zero=True)
    stay, again = ask(teacher, suspects(20))
    assert len(stay) == again.asked == 20 and teacher.parts == [1, 1, 8, 8, 3]
    assert ["temperature" in request for request in teacher.asked] == [True] + [False] * 20


def test_one_request_that_is_refused_is_dropped_and_the_next_are_asked():
    teacher = Teacher({"text 0": Reply(error="UpstreamRefused"), "text 3": Reply(error="no text", usd=PRICE)})
    stay, again = ask(teacher, suspects(20))
    assert again.of("unanswered") == ["0", "3"] and len(stay) == 18 and again.ended is None
    assert again.usd == pytest.approx(19 * PRICE)
    assert all("temperature" in request for request in teacher.asked[2:])


def test_the_surest_are_asked_first_as_far_as_it_is_allowed():
    stay, again = ask(Teacher(), suspects(30), questions=10)
    assert list(stay) == [str(n) for n in range(10)] and len(again.of("not asked")) == 20
    assert again.words.endswith("; 20 dropped unasked: distill.ask_again allows 10 questions a run")


@pytest.mark.parametrize(("usual", "parts"), [(None, [1, 8, 3]), (PRICE, [8, 4]), (2 * PRICE, [6, 3, 1, 1])])
def test_dollars_bound_it_by_the_dearest_answer_that_is_known(usual, parts):
    teacher = Teacher()
    _, again = ask(teacher, suspects(30), usd=0.125, usual_usd=usual)
    assert teacher.parts == parts and again.usd <= 0.125
    assert again.ended == "distill.ask_again_usd 0.125 has no room for another answer"


def test_who_is_too_dear_is_not_asked_and_who_is_free_in_large_parts():
    dear, free = Teacher(), Teacher(usd=0.0)
    assert ask(dear, suspects(3), usual_usd=11.0)[1].asked == 0 and dear.parts == []
    ask(free, suspects(20))
    assert free.parts == [1, 8, 8, 3]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("InsufficientQuota", "the budget has no room for another answer"),
        ("BudgetReserved", "what is left of a budget is promised to requests under way"),
        ("BudgetUnavailable", "the budget cannot be checked"),
        ("TeacherUnavailable", "the teacher does not answer (TeacherUnavailable)"),
    ],
)
def test_it_ends_with_its_reason_and_keeps_what_is_answered(error, why):
    silent = dict.fromkeys((f"text {n}" for n in range(5, 40)), Reply(error=error))
    teacher = Teacher(silent)
    stay, again = ask(teacher, suspects(40), usual_usd=PRICE)
    assert list(stay) == ["0", "1", "2", "3", "4"] and again.ended == why
    assert again.asked == (8 if error in ("InsufficientQuota", "BudgetReserved", "BudgetUnavailable") else 16)
    assert len(again.fates) == 40 and again.usd == pytest.approx(5 * PRICE)


def test_one_failure_among_answers_ends_nothing():
    _, again = ask(Teacher({"text 2": Reply(error="TeacherUnavailable")}), suspects(20), usual_usd=PRICE)
    assert again.of("unanswered") == ["2"] and again.asked == 20


def test_a_gateway_that_is_away_ends_it_with_its_words():
    stay, again = ask(Teacher(fails=GatewayAway("cannot be reached")), suspects(3))
    assert stay == {} and again.ended == "cannot be reached" and again.of("not asked") == ["0", "1", "2"]
    assert again.facts["not asked"] == 3 and again.facts["words"] == again.words


def test_nobody_is_asked_about_what_is_spared():
    teacher = Teacher()
    stay, again = ask(teacher, suspects(3), spared=frozenset({"1"}))
    assert set(stay) == set(again.fates) == {"0", "2"} and len(teacher.asked) == 2


def test_an_answer_that_people_call_wrong_is_not_taken():
    wrong = Suspect(replace(row("text 0", "refund"), disowned="delivery"), "delivery")
    assert ask(Teacher(), [wrong])[0] == {}


@pytest.fixture
def engine(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    store(engine, [exchange(1)])  # an answer has cost 0.01
    return engine


def before(number, text, said, **fields):
    """What the teacher was asked again at an earlier time."""
    reply = TeacherReply("big", said, "stop", Usage(5, 1), PRICE, error=None if said else "TeacherUnavailable")
    messages = list(row(text, "").messages)
    values = {"messages": messages, "params": {"temperature": 0}, "origin": "curate", "teacher_reply": reply}
    return exchange(number, **{**values, **fields})


def of_ledger(engine, teacher, *, questions=100):
    return second(engine, teacher, task="desk", teacher="big", bounds=Bounds(questions, 10.0), watch=teacher)


def test_what_was_answered_before_is_not_paid_for_again(engine):
    other = TeacherReply("other", "delivery", "stop", Usage(5, 1), PRICE)
    asked = [before(2, "text 0", "delivery"), before(3, "text 1", None), before(4, "text 2", "x", teacher_reply=other)]
    store(engine, [*asked, before(5, "text 3", "delivery", params={"max_tokens": 7})])
    teacher = Teacher()
    stay, again = ask_again(suspects(5), of_ledger(engine, teacher))
    assert (again.known, again.asked, len(stay)) == (1, 4, 5) and again.usd == pytest.approx(4 * PRICE)
    assert teacher.parts == [4] and "1 had been answered before" in again.words


async def test_what_a_gateway_has_recorded_before_a_crash_is_found(engine):
    params = {"max_tokens": 5, "user": "u", "response_format": {"type": "json_object"}, "stream": True, "store": True}
    suspect = Suspect(replace(row("q", "refund", system="Sort."), params=params), "delivery")
    teacher, parts = Teacher(), gateway()
    ask(teacher, [suspect])
    order = msgspec.json.encode({"task": "desk", "origin": "curate", "requests": teacher.asked})
    orders = parse_answers(order, {"desk": TASK}, teachers={"big"})
    (entry,) = await answer_many(orders, parts, caller=ANYBODY)
    assert msgspec.convert(entry, Reply) == Reply("delivery", "stop", 0.01)
    store(engine, parts.spool.records)
    stay, again = ask_again([suspect], of_ledger(engine, Teacher(fails=GatewayAway("nobody is to be asked"))))
    assert (again.known, again.asked, again.ended) == (1, 0, None) and stay["x"].put_right


def test_answers_of_before_another_model_came_behind_its_name_do_not_count(engine):
    store(engine, [before(2, "text 0", "delivery")])
    teachers.note(engine, "desk", model="old", now=1.0)
    teachers.note(engine, "desk", model="new", now=50.0)
    assert ask_again(suspects(1), of_ledger(engine, Teacher()))[1].known == 0


def test_nobody_is_asked_unless_a_setting_says_so(engine):
    assert of_ledger(engine, Teacher(), questions=0) is None
