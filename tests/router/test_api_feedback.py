"""POST /v1/feedback: what is kept of what people say, and what is refused."""

import pytest

from ledger.keys import Grant
from ledger.records import Feedback
from ledger.spool import SpoolUnavailable
from tests.fakes import MemorySpool, gateway
from tests.router.test_access import ring  # noqa: F401
from tests.router.test_api import http

ID = "0" * 32


async def say(parts, **body):
    async with http(parts) as session:
        return await session.post("/v1/feedback", json=body)


@pytest.mark.parametrize("said", [ID, f"chatcmpl-{ID}", f"resp_{ID}"])
@pytest.mark.parametrize(
    ("body", "good", "correction"),
    [
        ({"good": True}, True, None),
        ({"good": False}, False, None),
        ({"correction": "refund"}, False, "refund"),
        ({"good": False, "correction": "refund"}, False, "refund"),
    ],
)
async def test_it_is_kept_under_the_exchange_by_whichever_of_its_ids(body, *, good, correction, said):
    parts = gateway()
    reply = await say(parts, exchange_id=said, **body)
    assert reply.status_code == 200 and reply.json()["exchange_id"] == ID and reply.headers["x-request-id"]
    (kept,) = parts.spool.records
    assert isinstance(kept, Feedback)
    assert (kept.exchange_id, kept.good, kept.correction) == (ID, good, correction)
    word = "corrected" if correction else "good" if good else "wrong"
    counted = parts.metrics.exposition(releases={}, seen=await parts.releases.seen(within_s=5.0)).decode()
    found = {line for line in counted.splitlines() if line.startswith("tutelage_feedback_total")}
    assert found == {
        f'tutelage_feedback_total{{said="{each}"}} {float(each == word)}' for each in ("good", "wrong", "corrected")
    }


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"exchange_id": ID}, "good"),
        ({"exchange_id": ID, "good": True, "correction": "refund"}, "correction"),
        ({"exchange_id": ID, "correction": " "}, "correction"),
        ({"exchange_id": ID, "good": "yes"}, "good"),
        ({"exchange_id": "x" * 41, "good": True}, "exchange_id"),
        ({"exchange_id": "chatcmpl-", "good": True}, "exchange_id"),
        ({"exchange_id": "a\0b", "good": True}, "exchange_id"),
        ({"good": True}, "exchange_id"),
    ],
)
async def test_what_says_nothing_or_two_things_is_refused_and_kept_nowhere(body, param):
    parts = gateway()
    reply = await say(parts, **body)
    assert reply.status_code == 400 and reply.json()["error"]["param"] == param
    assert parts.spool.records == []


async def test_what_cannot_be_kept_is_not_confirmed():
    class Full(MemorySpool):
        def append(self, record):
            raise SpoolUnavailable("full")

    assert (await say(gateway(spool=Full()), exchange_id=ID, good=True)).status_code == 503


async def test_a_limited_key_can_say_no_more_than_it_can_ask(ring):  # noqa: F811
    keyring, (key,) = ring(Grant("shop", rpm=2))
    parts = gateway(keyring=keyring)
    async with http(parts) as session:
        said = [
            await session.post("/v1/feedback", json={"exchange_id": ID, "good": True}, headers=key) for _ in range(3)
        ]
    assert [reply.status_code for reply in said] == [200, 200, 429] and len(parts.spool.records) == 2
    assert said[-1].headers["retry-after"]


async def test_it_is_known_who_said_it_and_nobody_says_it_without_a_key(ring):  # noqa: F811
    keyring, (key,) = ring(Grant("shop"))
    parts = gateway(keyring=keyring)
    async with http(parts) as session:
        await session.post("/v1/feedback", json={"exchange_id": ID, "good": True}, headers=key)
        refused = await session.post("/v1/feedback", json={"exchange_id": ID, "good": True})
    assert refused.status_code == 401 and [each.key[:4] for each in parts.spool.records] == ["key-"]
