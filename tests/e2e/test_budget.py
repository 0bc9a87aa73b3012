"""A dollar, two hundred clients at once, three gateway processes: what the teacher has counted in the end.

The teacher is scripted and knows what each answer costs; nothing else of the product is needed but the gateway.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.parts import started, wait_until
from ledger.budgets import TOTAL, Budget, amounts, of_key, of_task
from ledger.database import connect
from ledger.keys import Grant, create
from ledger.prices import Price
from ledger.records import Usage
from ledger.spool import segments
from router.settings import Settings, load
from tutelage.demo.plan import free_ports
from tutelage.processes import gateway

pytestmark = pytest.mark.e2e
CLIENTS, WORKERS, DOLLAR = 200, 3, 1.0
PRICE = Price(10e-6, 1000e-6)
USAGE = Usage(30, 10)
MAX_TOKENS = 10
BODY = {"model": "desk", "max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": "Where is my parcel?"}]}


class ScriptedTeacher:
    """Answers after a moment, longer or shorter; counts what it has answered. Every tenth question fails."""

    def __init__(self) -> None:
        self.asked = self.answered = 0
        self.port = free_ports().gateway
        routes = [Route("/v1/chat/completions", self.complete, methods=["POST"])]
        self.server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=self.port, log_level="error"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    async def complete(self, _: Request) -> JSONResponse:
        self.asked += 1
        number = self.asked
        await asyncio.sleep(0.05 + 0.15 * (number % 7) / 7)
        if number % 10 == 0:
            return JSONResponse({"error": {"message": "overloaded"}}, status_code=500)
        self.answered += 1
        message = {"role": "assistant", "content": "On its way."}
        usage = {"prompt_tokens": USAGE.prompt_tokens, "completion_tokens": USAGE.completion_tokens}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return JSONResponse({"id": "x", "object": "chat.completion", "choices": choices, "usage": usage})

    @property
    def earned_usd(self) -> float:
        return self.answered * PRICE.cost(USAGE)


@dataclass(frozen=True)
class Product:
    settings: Settings
    teacher: ScriptedTeacher
    key: str
    account: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.server.port}/v1/chat/completions"


def configure(folder: Path, teacher: ScriptedTeacher) -> Settings:
    per_mtok = {"input_usd_per_mtok": 1e6 * PRICE.input_usd_per_token, "output_usd_per_mtok": 1000.0}
    big = {
        "model": "m",
        "direct": True,
        "base_url": f"http://127.0.0.1:{teacher.port}/v1",
        "price": per_mtok,
        "retries": 0,
    }
    desk, ports = {"teacher": "big", "rho": 0.05, "budget_usd": 20.0}, free_ports()
    values = {
        "server": {
            "port": ports.gateway,
            "admin_port": ports.student,
            "workers": WORKERS,
            "budget_usd": DOLLAR,
            "budget_per": "total",
        },
        "teachers": {"big": big},
        "student": {"base_model": "m", "price": {"input_usd_per_mtok": 0.0, "output_usd_per_mtok": 0.0}},
        "tasks": {"desk": desk},
    }
    (folder / "t.yaml").write_text(yaml.safe_dump(values))
    return load(folder / "t.yaml")


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    teacher = ScriptedTeacher()
    settings = configure(tmp_path, teacher)
    engine = connect(settings.ledger.url)
    key, secret = create(engine, Grant("shop", budget=Budget(10.0, "day")), now=1.0)
    engine.dispose()
    with started([gateway(settings, tmp_path / "t.yaml")], tmp_path) as parts:
        wait_until(lambda: parts["gateway"].log.read_text().count("ready for desk") == WORKERS, limit_s=120.0)
        yield Product(settings, teacher, secret, key.account)
    teacher.server.should_exit = True
    teacher.thread.join(timeout=10.0)


async def ask_until_refused(http: httpx.AsyncClient, url: str, seen: Counter) -> None:
    """As a client does that tries again where it is told to, and stops where the budget is used up."""
    while True:
        try:
            reply = await http.post(url, json=BODY)
        except httpx.TransportError:  # an idle connection that was being closed
            continue
        code = (reply.json().get("error") or {}).get("code")
        seen[reply.status_code, code] += 1
        if reply.status_code == 429:
            if "retry-after" not in reply.headers:
                return
            await asyncio.sleep(float(reply.headers["retry-after"]))


async def test_two_hundred_clients_overspend_a_dollar_by_one_request_at_most(product):
    headers = {"authorization": f"Bearer {product.key}"}
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    seen: Counter[tuple[int, str | None]] = Counter()
    async with httpx.AsyncClient(timeout=60.0, limits=limits, headers=headers) as http:
        await asyncio.gather(*(ask_until_refused(http, product.url, seen) for _ in range(CLIENTS)))
        nobody = await http.post(product.url, json=BODY, headers={"authorization": "Bearer tut-guess"})
        # A client's key: the public port does not know the path, the admins' one knows that it is not for this key.
        server = product.settings.server
        urls = [f"http://127.0.0.1:{port}/metrics" for port in (server.port, server.admin_port)]
        assert [(await http.get(url)).status_code for url in urls] == [404, 403]
    price, engine = PRICE.cost(USAGE), connect(product.settings.ledger.url)
    at_most = PRICE.cost(Usage(len(httpx.Request("POST", product.url, json=BODY).content), MAX_TOKENS))
    wait_until(lambda: all(reserved < 1e-9 for _, reserved in amounts(engine, now=time.time()).values()))
    spent = {scope: usd for (scope, _), (usd, _) in amounts(engine, now=time.time()).items()}

    assert product.teacher.earned_usd <= DOLLAR + price
    assert product.teacher.earned_usd > DOLLAR - 2 * at_most  # and a budget is there to be used
    of_the_key = spent.pop(of_key(product.account))  # the labels of references are the task's to pay
    assert spent == {scope: pytest.approx(product.teacher.earned_usd) for scope in (TOTAL, of_task("desk"))}
    assert seen[200, None] * price - 1e-9 <= of_the_key <= product.teacher.earned_usd + 1e-9
    assert set(seen) == {(200, None), (502, "teacher_unavailable"), (429, "insufficient_quota")}
    assert seen[200, None] <= product.teacher.answered and nobody.status_code == 401
    processes = {path.name.split("-")[1] for path in segments(product.settings.ledger.spool_dir)}
    assert len(processes) == WORKERS
