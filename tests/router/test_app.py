"""The composition root: what the settings say reaches the request."""

import asyncio
import time

import httpx

from ledger.aliases import add
from ledger.database import LedgerError, connect
from ledger.keys import Grant, create
from ledger.prices import Price, write_price
from router import app as composition
from router.app import create_app
from router.settings import Settings

PRICE = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0}
NOWHERE = "http://127.0.0.1:1/v1"  # nothing listens there


async def test_a_teachers_capacity_is_kept_to_and_shown(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    engine = connect(url)
    write_price(engine, "big", Price(1e-6, 2e-6), source="test", at=time.time())
    engine.dispose()
    teacher = {"model": "m", "direct": True, "base_url": NOWHERE, "price": PRICE, "capacity_rpm": 1, "retries": 0}
    settings = Settings(
        ledger={"url": url, "spool_dir": tmp_path / "spool"},
        teachers={"big": teacher},
        student={"base_model": "m", "price": PRICE},
    )
    body = {"model": "big", "messages": [{"role": "user", "content": "hello"}]}
    app = create_app(settings=settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as session,
    ):
        replies = [await session.post("/v1/chat/completions", json=body) for _ in range(3)]
        counted = (await session.get("/metrics")).text
    refused = [reply for reply in replies if reply.status_code == 429]
    assert replies[0].status_code == 502 and refused  # a minute of the clock may end between two of them
    assert "teachers.big.capacity_rpm" in refused[0].json()["error"]["message"]
    assert 'tutelage_teacher_capacity_rpm{teacher="big"} 1.0' in counted


async def test_a_gateway_that_starts_while_the_ledger_is_away_waits_for_it(tmp_path, monkeypatch):
    asked = []

    def away_at_first(url):
        asked.append(url)
        if len(asked) < 3:
            raise LedgerError("ledger: connection refused")
        return connect(url)

    monkeypatch.setattr(composition, "connect", away_at_first)
    monkeypatch.setattr(composition, "LEDGER_PAUSE_S", 0.0)
    settings = Settings(
        ledger={"url": f"sqlite:///{tmp_path}/ledger.db", "spool_dir": tmp_path / "spool"},
        teachers={"big": {"model": "m"}},
        student={"base_model": "m", "price": PRICE},
    )
    app = create_app(settings=settings)
    async with app.router.lifespan_context(app):
        assert len(asked) == 3


async def test_keys_and_budgets_are_kept_to_and_shown(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    engine = connect(url)
    write_price(engine, "big", Price(1e-6, 2e-6), source="test", at=time.time())
    (_, shop), (_, admin) = (create(engine, grant, now=1.0) for grant in (Grant("shop"), Grant("ops", "admin")))
    engine.dispose()
    settings = Settings(
        server={"budget_usd": 1e-6},
        ledger={"url": url, "spool_dir": tmp_path / "spool"},
        teachers={"big": {"model": "m", "direct": True, "base_url": NOWHERE, "price": PRICE}},
        student={"base_model": "m", "price": PRICE},
        tasks={"desk": {"teacher": "big", "budget_usd": 5.0, "budget_per": "day"}},
    )
    body = {"model": "desk", "messages": [{"role": "user", "content": "hello"}]}
    app = create_app(settings=settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as session,
    ):
        keys = [{}, *({"authorization": f"Bearer {secret}"} for secret in (shop, admin))]
        replies = [await session.post("/v1/chat/completions", json=body, headers=key) for key in keys]
        shown = [await session.get("/metrics", headers=key) for key in keys]
    assert [reply.status_code for reply in replies] == [401, 429, 429]
    assert replies[1].json()["error"]["code"] == "insufficient_quota"
    assert [reply.status_code for reply in shown] == [401, 403, 200]
    assert 'tutelage_budget_left_usd{per="month",scope="total"} 1e-06' in shown[2].text
    assert 'tutelage_budget_usd{per="day",scope="task:desk"} 5.0' in shown[2].text


async def test_an_alias_is_known_within_a_second_and_listed_among_the_models(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    settings = Settings(
        ledger={"url": url, "spool_dir": tmp_path / "spool"},
        teachers={"big": {"model": "m", "direct": True, "base_url": NOWHERE, "price": PRICE}},
        student={"base_model": "m", "price": PRICE},
        tasks={"desk": {"teacher": "big"}},
    )
    app = create_app(settings=settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as session,
    ):
        assert (await session.get("/v1/models/support")).status_code == 404
        add(connect(url), kind="model", value="support", task="desk", now=1.0)
        await asyncio.sleep(1.0)
        shown = await session.get("/v1/models")
        one = await session.get("/v1/models/support")
    assert [model["id"] for model in shown.json()["data"]] == ["desk", "support", "big"]
    assert (one.status_code, one.json()["owned_by"]) == (200, "tutelage")
