"""What the base model does without an adapter, asked as the candidate is."""

from dataclasses import dataclass, field
from typing import Any

from distill.baselines import EXAMPLES, ROWS, Baselines, baselines
from distill.gateway import GatewayUnavailable
from ledger.records import Draft, Usage
from tests.distill.tiny import row


@dataclass
class Made:
    """A candidate whose base model answers the last of these words, and nothing to more than so many turns."""

    answer: str = "yes"
    most_turns: int = 100
    asked: list[Any] = field(default_factory=list)

    def base_drafts(self, requests):
        self.asked.append(requests)
        if len(requests[0]["messages"]) > self.most_turns:
            raise GatewayUnavailable("it drafts nothing")
        return [Draft(self.answer, "stop", {}, Usage(5, 1)) for _ in requests]


ROWS_ASKED = [row(f"question {n}", ["yes", "no"][n % 2], id=str(n)) for n in range(ROWS + 20)]
EXAMPLE_ROWS = [row(f"example {n}", "no" if n == 17 else "yes", id=f"e{n}") for n in range(30)]


def ask(made):
    requests = [{"messages": [dict(said) for said in each.messages], "max_tokens": 3} for each in ROWS_ASKED]
    return baselines(made, ROWS_ASKED, requests, examples=EXAMPLE_ROWS, by="exact")


def test_a_hundred_rows_are_asked_twice_as_they_were_and_with_examples():
    made = Made()
    assert ask(made) == Baselines(ROWS, 0.5, 0.5)
    plain, shown = made.asked
    assert len(plain) == len(shown) == ROWS and plain[3]["messages"] == [dict(said) for said in ROWS_ASKED[3].messages]
    first = shown[3]["messages"]
    assert [said["role"] for said in first] == ["system", *["user", "assistant"] * EXAMPLES, "user"]
    assert first[0] == dict(ROWS_ASKED[3].messages[0]) and first[-1]["content"] == "question 3"
    assert shown[3]["max_tokens"] == 3


def test_each_answer_is_shown_however_rare():
    made = Made()
    ask(made)
    answers = {said["content"] for said in made.asked[1][0]["messages"] if said["role"] == "assistant"}
    assert answers == {"yes", "no"}


def test_more_examples_than_its_context_holds_are_no_failure():
    found = ask(Made(most_turns=2))
    assert found == Baselines(ROWS, 0.5, None)
    assert found.words == "of 100 rows the base model agrees on 50% as it is, and drafts nothing with 8 examples"
