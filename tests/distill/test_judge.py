import json

import pytest

from calibration.certificate import Contract
from calibration.question import Judge, Pair
from distill import judge as asking
from distill.gateway import GatewayAway, GatewayUnavailable
from distill.judge import BATCH, MUTE, JudgeMute, JudgeUnchecked, ask_once, ask_patiently, checked
from ledger import verdicts
from ledger.database import connect
from ledger.verdicts import JudgedLabel

JUDGE = Judge("referee", "openai/referee", "")
CONTRACT = Contract(0.1, 0.05)


class Referee:
    """Calls two answers the same where their first words are; `says` by first word overrides that."""

    def __init__(self, **says):
        self.says, self.asked, self.away = says, [], 0

    def __call__(self, judge, requests):
        if self.away:
            self.away -= 1
            raise GatewayAway("nobody there")
        self.asked.append(requests)
        return [self._one(json.loads(request["messages"][1]["content"])) for request in requests]

    def _one(self, data):
        first, second = (data[name].split()[0] for name in ("answer_1", "answer_2"))
        said = self.says.get(data["request"], "SAME" if first == second else "DIFFERENT")
        return said(first) if callable(said) else said


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(asking, "RETRY_PAUSES_S", (0.0, 0.0, 0.0))


def pair(prompt="q", student="yes it is", teacher="yes indeed"):
    return Pair(prompt, student, teacher)


def test_each_pair_is_asked_both_ways_round_at_temperature_0():
    referee = Referee()
    assert ask_once([pair(), pair(student="no")], judge=JUDGE, ask=referee) == [False, True]
    (requests,) = referee.asked
    assert len(requests) == 4 and {request["temperature"] for request in requests} == {0}
    data = [json.loads(request["messages"][1]["content"]) for request in requests[:2]]
    assert data[0]["answer_1"] == data[1]["answer_2"] == "yes it is"


def test_equal_and_missing_answers_are_settled_without_it():
    referee = Referee()
    pairs = [pair(student="Yes.", teacher="yes"), pair(student=None), pair(teacher=None)]
    assert ask_once(pairs, judge=JUDGE, ask=referee) == [False, True, True]
    assert referee.asked == []


def test_a_judge_that_prefers_the_first_answer_finds_them_different():
    referee = Referee(biased=lambda first: "SAME" if first == "no" else "DIFFERENT")
    assert ask_once([pair("biased", student="no")], judge=JUDGE, ask=referee) == [True]


def test_a_silent_or_talkative_judge_has_given_no_verdict():
    referee = Referee(silent=None, talks="I would say SAME")
    assert ask_once([pair("silent"), pair("talks"), pair()], judge=JUDGE, ask=referee) == [None, None, False]


def test_many_pairs_are_asked_in_parts_and_keep_their_order():
    referee = Referee()
    pairs = [pair(student="yes 1" if n % 3 else "no 1") for n in range(2 * BATCH + 1)]
    assert ask_once(pairs, judge=JUDGE, ask=referee) == [n % 3 == 0 for n in range(len(pairs))]
    assert [len(requests) for requests in referee.asked] == [2 * BATCH, 2 * BATCH, 2]


def ask(pairs, referee):
    seen = []
    said = ask_patiently(pairs, judge=JUDGE, ask=referee, progress=lambda *at: seen.append(at))
    return said, seen


def test_what_gets_no_verdict_is_asked_again_alone():
    tries = iter([None, None, "SAME", "SAME"])
    referee = Referee(slow=lambda first: next(tries))
    said, seen = ask([pair(), pair("slow")], referee)
    assert said == [False, False] and seen == [(2, 2)]
    assert [len(requests) for requests in referee.asked] == [4, 2]


def test_a_few_pairs_without_a_verdict_stay_without_one():
    said, _ = ask([pair("silent")] * (MUTE - 1) + [pair()], Referee(silent=""))
    assert said == [None] * (MUTE - 1) + [False]


def test_a_judge_that_says_nothing_any_more_is_no_disagreement():
    with pytest.raises(JudgeMute, match=f"referee gave no readable verdict {MUTE} times in a row"):
        ask([pair()] * BATCH + [pair("silent")] * MUTE, Referee(silent=None))


def test_equal_answers_between_them_do_not_hide_that_it_is_mute():
    silent, equal = pair("silent"), pair(student="yes", teacher="yes")
    with pytest.raises(JudgeMute):
        ask([silent, equal] * MUTE, Referee(silent=None))


def test_a_gateway_that_comes_back_is_waited_for_and_one_that_stays_away_ends_it():
    referee = Referee()
    referee.away = 2
    assert ask([pair()], referee)[0] == [False]
    referee.away = 3
    with pytest.raises(GatewayUnavailable):
        ask([pair()], referee)


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def label(engine, count, *, same, flagged):
    labels = [JudgedLabel(pair(f"{same} {flagged} {n}"), same, flagged) for n in range(count)]
    verdicts.label(engine, "desk", judge=JUDGE.fingerprint, labels=labels, now=1.0)


def test_a_contract_learns_what_labelled_pairs_say_of_its_judge(engine):
    label(engine, 60, same=False, flagged=True)
    label(engine, 100, same=True, flagged=False)
    found = checked(engine, CONTRACT, task="desk", by=JUDGE).judge
    assert found.pairs == 160 and 0.9 < found.caught < 1.0 == found.spared


def test_a_judge_that_nobody_has_checked_certifies_nothing(engine):
    with pytest.raises(JudgeUnchecked, match="the judge referee of desk cannot be used: no labelled pair"):
        checked(engine, CONTRACT, task="desk", by=JUDGE)
    assert checked(engine, CONTRACT, task="desk", by="exact") is CONTRACT
