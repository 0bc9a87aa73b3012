import json

import httpx
import msgspec
import pytest

from distill import gateway
from distill.gateway import GatewayAway, GatewayClient, GatewaySlow, GatewayUnavailable, Reply
from tests.fakes import draft

GIVEN = msgspec.to_builtins(draft())


@pytest.fixture
def ask(monkeypatch):
    """Ask for `count` drafts of a gateway that answers entries as `entry(number of the request, attempt)` says."""
    monkeypatch.setattr(gateway, "RETRY_PAUSES_S", (0.0, 1e-3, 1e-3))

    def run(count, entry, *, status=200, revive=lambda: None):
        tries = {}

        def answer(request):
            order = json.loads(request.content)
            numbers = [r["n"] for r in order["requests"]]
            tries.update({n: tries.get(n, 0) + 1 for n in numbers})
            if entry is None:
                raise httpx.ConnectError("refused")
            return httpx.Response(status, json={"drafts": [entry(n, tries[n]) for n in numbers]})

        client = GatewayClient("http://gateway")
        client._http = httpx.Client(base_url="http://gateway", transport=httpx.MockTransport(answer))
        seen = []
        requests = [{"n": n} for n in range(count)]
        drafts = client.drafts(requests, release="r", task="t", progress=lambda *at: seen.append(at), revive=revive)
        return drafts, tries, seen

    return run


def test_drafts_come_in_order_and_progress_is_told(ask):
    drafts, _, seen = ask(70, lambda n, _: {**GIVEN, "text": str(n)})
    assert [d.text for d in drafts] == [str(n) for n in range(70)]
    assert seen == [(32, 70), (64, 70), (70, 70)]


def test_what_the_engine_turned_away_is_asked_again_alone(ask):
    drafts, tries, _ = ask(4, lambda n, attempt: {"error": "HTTP 503"} if n == 2 and attempt < 3 else GIVEN)
    assert all(drafts) and tries == {0: 1, 1: 1, 2: 3, 3: 1}


def test_one_row_without_a_draft_does_not_end_a_run(ask):
    drafts, _, _ = ask(33, lambda n, _: {"error": "HTTP 400"} if n == 32 else GIVEN)
    assert drafts[32] is None and all(drafts[:32])


def test_an_engine_that_is_down_ends_the_run_with_its_reason(ask):
    with pytest.raises(GatewayUnavailable, match="r drafted nothing 32 times in a row: ClientConnectorError"):
        ask(80, lambda n, _: GIVEN if n < 32 else {"error": "ClientConnectorError"})


def test_a_gateway_that_refuses_is_quoted(ask):
    with pytest.raises(GatewayUnavailable, match="HTTP 401"):
        ask(1, lambda *_: GIVEN, status=401)


def test_an_engine_that_has_started_anew_gets_its_adapter_before_it_is_asked_again(ask):
    revived = []
    drafts, tries, _ = ask(
        40, lambda n, _: GIVEN if n < 32 or revived else {"error": "HTTP 404"}, revive=lambda: revived.append(1)
    )
    assert all(drafts) and revived == [1] and {tries[n] for n in range(32, 40)} == {2}


def test_a_gateway_that_stays_away_makes_no_rows_wrong_in_the_last_batch(ask):
    def gone_at_last(n, _):
        if n >= 32:
            raise httpx.ConnectError("refused")
        return GIVEN

    with pytest.raises(GatewayUnavailable, match="cannot be reached"):
        ask(40, gone_at_last)


def test_a_gateway_that_is_away_is_asked_again_before_the_run_ends(ask):
    revived = []
    with pytest.raises(GatewayUnavailable, match="the gateway at http://gateway cannot be reached: refused"):
        ask(3, None, revive=lambda: revived.append(1))
    assert revived == [1, 1]


def answering(entry):
    def answer(request):
        order = json.loads(request.content)
        return httpx.Response(200, json={"answers": [entry(each["n"]) for each in order["requests"]]})

    client = GatewayClient("http://gateway")
    client._http = httpx.Client(base_url="http://gateway", transport=httpx.MockTransport(answer))
    return client


def test_a_teacher_is_asked_in_parts_and_what_it_does_not_say_is_missing():
    client = answering(lambda n: {"error": "TeacherUnavailable"} if n == 3 else {"text": str(n)})
    found = client.answers("t", [{"n": n} for n in range(20)], origin="probe")
    assert found == [None if n == 3 else str(n) for n in range(20)]
    assert client.answers("t", [{"n": 3}], origin="judge", teacher="referee") == [None]


def test_a_teacher_says_what_it_takes_for_an_answer_and_why_there_is_none():
    told = {"text": "refund", "finish_reason": "stop", "usd": 0.25}
    client = answering(lambda n: [told, {"error": "no text", "usd": 0.5}, {"error": "InsufficientQuota"}][n])
    assert client.replies("t", [{"n": n} for n in range(3)], origin="curate") == [
        Reply("refund", "stop", 0.25),
        Reply(usd=0.5, error="no text"),
        Reply(error="InsufficientQuota"),
    ]


def test_patiently_what_it_does_not_say_is_asked_again(monkeypatch):
    monkeypatch.setattr(gateway, "RETRY_PAUSES_S", (0.0, 1e-3, 1e-3))
    asked, seen = [], []

    def entry(n):
        asked.append(n)
        return {"error": "HTTP 429"} if n == 3 and asked.count(3) < 3 else {"text": str(n)}

    requests = [{"n": n} for n in range(20)]
    progress = lambda *at: seen.append(at)  # noqa: E731
    assert answering(entry).answers_patiently("t", requests, origin="recertify", progress=progress) == [
        str(n) for n in range(20)
    ]
    assert asked.count(3) == 3 and asked.count(4) == 1 and seen == [(8, 20), (16, 20), (20, 20)]


@pytest.mark.parametrize(
    ("error", "other", "times"),
    [
        ("InsufficientQuota", {"text": "x"}, 1),
        ("InsufficientQuota", {"error": "HTTP 429"}, 3),
        ("BudgetReserved", {"text": "x"}, 3),
    ],
)
def test_nobody_waits_for_a_budget_that_is_used_up(monkeypatch, *, error, other, times):
    monkeypatch.setattr(gateway, "RETRY_PAUSES_S", (0.0, 1e-3, 1e-3))
    asked = []

    def entry(n):
        asked.append(n)
        return {"error": error} if n == 3 else {"text": "x"} if n < 7 else other

    found = answering(entry).answers_patiently(
        "t", [{"n": n} for n in range(8)], origin="recertify", progress=lambda *_: None
    )
    assert found[3] is None and asked.count(3) == times


def test_a_teacher_that_says_nothing_at_all_any_more_ends_it(monkeypatch):
    monkeypatch.setattr(gateway, "RETRY_PAUSES_S", (0.0,))
    client = answering(lambda n: {"text": "x"} if n < 8 else {"error": "TeacherUnavailable"})
    with pytest.raises(GatewayUnavailable, match="the teacher answered none of 8 requests: TeacherUnavailable"):
        client.answers_patiently("t", [{"n": n} for n in range(20)], origin="recertify", progress=lambda *_: None)


@pytest.mark.parametrize(
    ("error", "kind"), [(httpx.ReadTimeout("slow"), GatewaySlow), (httpx.ConnectError("no"), GatewayAway)]
)
def test_a_gateway_that_is_slow_and_one_that_is_away_are_told_apart(error, kind):
    def answer(request):
        raise error

    client = GatewayClient("http://gateway")
    client._http = httpx.Client(base_url="http://gateway", transport=httpx.MockTransport(answer))
    with pytest.raises(GatewayAway) as caught:
        client.answers("t", [{"n": 1}], origin="judge")
    assert type(caught.value) is kind


def test_an_order_says_which_settings_it_is_meant_for():
    seen = []

    def answer(request):
        seen.append(json.loads(request.content)["binding"])
        return httpx.Response(409, json={"error": {"message": "other settings"}})

    client = GatewayClient("http://gateway", bindings={"t": {"prompt": "p"}})
    client._http = httpx.Client(base_url="http://gateway", transport=httpx.MockTransport(answer))
    with pytest.raises(GatewayUnavailable, match=r"HTTP 409 .*other settings"):
        client.answers("t", [{"n": 1}], origin="probe")
    assert seen == [{"prompt": "p"}]
