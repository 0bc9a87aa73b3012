"""What the evidence reads of log-probabilities, and what a client sees of them."""

import msgspec

from calibration.evidence import evidence
from ledger.records import Draft
from router.logprobs import Logprobs, observed, recorded, shown
from tests.fakes import TOKENS, draft


def test_the_evidence_does_not_depend_on_how_much_a_client_wants_to_see():
    def with_alternatives(n):
        tops = [{"logprob": -0.5 - i} for i in range(n)]
        return msgspec.convert({"content": [{"token": "a", "logprob": -0.5, "top_logprobs": tops}]}, Logprobs)

    many, five, four = (evidence(observed(with_alternatives(n)), prompt_tokens=1) for n in (20, 5, 4))
    assert many == five != four
    assert observed(None) == []


def test_a_client_sees_as_many_alternatives_as_it_asked_for():
    (token,) = shown(draft(), TOKENS, top=2).logprobs
    assert [one["token"] for one in token["top_logprobs"]] == ["a", "b"]
    assert (token["token"], token["logprob"], token["bytes"]) == ("refund", -0.1, [114])
    assert shown(draft(), TOKENS, top=0).logprobs[0]["top_logprobs"] == []


def test_what_is_shown_is_not_recorded():
    kept = recorded(shown(draft(), TOKENS, top=5))
    assert type(kept) is Draft and kept == draft()
    assert b"logprobs" not in msgspec.json.encode(kept)
