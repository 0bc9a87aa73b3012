"""Keys, limits and budgets over HTTP: who is let in, what is refused in which words, and who pays for what."""

import asyncio
from dataclasses import replace
from functools import partial

import httpx
import openai
import orjson
import pytest

from ledger.budgets import Budget
from ledger.database import connect
from ledger.keys import Grant, create
from ledger.records import Exchange, Label, TeacherReply, Usage
from router import gateway as module
from router.app import create_app
from router.errors import BudgetUnavailable, InsufficientQuota, TeacherUnavailable, UpstreamRefused
from router.keyring import Keyring
from tests.fakes import RELEASE, TASK, FakeBudgets, FakeReleases, FakeStudent, FakeTeacher, gateway
from tests.router.test_api import BODY, MESSAGES, client, http, unsure, writing

OTHER = replace(TASK, name="till", system_prompt=None)
PATHS = {"client": "/v1/models", "worker": "/internal/drafts", "admin": "/metrics"}
USED_UP = InsufficientQuota("used up", headers={"x-should-retry": "false"})


@pytest.fixture
def ring(tmp_path):
    """Keys by their grants: the keyring, and the secrets in order."""

    def make(*grants, api_key=None):
        engine = connect(f"sqlite:///{tmp_path}/ledger.db")
        secrets = [create(engine, grant, now=1.0)[1] for grant in grants]
        keyring = Keyring(api_key)
        keyring.read(engine)
        return keyring, [{"authorization": f"Bearer {secret}"} for secret in secrets]

    return make


@pytest.mark.parametrize(("role", "opens"), [("client", 1), ("worker", 2), ("admin", 3)])
async def test_each_role_has_its_paths(ring, role, opens):
    keyring, (key,) = ring(Grant("x", role))
    async with http(gateway(keyring=keyring)) as session:
        for number, (needed, path) in enumerate(PATHS.items()):
            method = "POST" if needed == "worker" else "GET"
            found = await session.request(method, path, headers=key, json={})
            nobody = await session.request(method, path, json={})
            assert (nobody.status_code, nobody.json()["error"]["code"]) == (401, "invalid_api_key")
            if number < opens:
                assert found.status_code == (400 if needed == "worker" else 200)
            else:
                assert found.status_code == 403 and f"role {needed}" in found.json()["error"]["message"]
                assert found.json()["error"]["code"] == "missing_scope"
        assert (await session.get("/health")).status_code == (await session.get("/ready")).status_code == 200


async def test_with_a_port_for_admins_the_other_one_answers_clients_alone():
    app = create_app(gateway(admin_port=9001))
    ports = {
        port: httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://desk:{port}")
        for port in (9000, 9001)
    }
    for path in ("/metrics", "/internal/drafts", "/internal/answers"):
        method = "GET" if path == "/metrics" else "POST"
        refused = await ports[9000].request(method, path, json={})
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "unknown_url")
        assert (await ports[9001].request(method, path, json={})).status_code != 404
    for session in ports.values():
        assert (await session.get("/v1/models")).status_code == (await session.get("/health")).status_code == 200


async def test_a_key_of_one_task_reaches_no_other_by_name_header_prompt_or_order(ring):
    keyring, (key, worker) = ring(Grant("till", tasks=("till",)), Grant("w", "worker", tasks=("till",)))
    parts = gateway(keyring=keyring, tasks={"desk": TASK, "till": OTHER})
    asked = [
        (key, "/v1/chat/completions", BODY, {}),
        (key, "/v1/chat/completions", {**BODY, "model": "till"}, {"x-tutelage-task": "desk"}),
        (key, "/v1/chat/completions", {**BODY, "model": "big"}, {}),  # recognised by its system message
        (key, "/v1/chat/completions", {"model": "big", "messages": MESSAGES[1:]}, {}),  # of no task
        (worker, "/internal/drafts", {"release": "r", "task": "desk", "requests": []}, {}),
        (worker, "/internal/answers", {"origin": "probe", "task": "desk", "requests": [{"messages": MESSAGES}]}, {}),
    ]
    async with http(parts) as session:
        for who, path, body, headers in asked:
            found = await session.post(path, json=body, headers={**who, **headers})
            assert (found.status_code, found.json()["error"]["code"]) == (403, "model_not_found")
            assert found.json()["error"]["type"] == "invalid_request_error"
        assert (
            await session.post("/v1/chat/completions", json={**BODY, "model": "till"}, headers=key)
        ).status_code == 200
        listed = (await session.get("/v1/models", headers=key)).json()["data"]
    assert [model["id"] for model in listed] == ["till"]
    assert len(parts.spool.records) == 1 and parts.teacher.asked == []


async def test_the_official_client_knows_the_errors(ring):
    keyring, (key,) = ring(Grant("desk", tasks=("desk",)))
    parts = gateway(keyring=keyring, student=unsure(), budgets=FakeBudgets(limited=True, refusals=[USED_UP]))
    asking = client(parts).with_options(api_key=key["authorization"].removeprefix("Bearer "))
    with pytest.raises(openai.RateLimitError) as quota:
        await asking.chat.completions.create(**BODY)
    assert (quota.value.code, quota.value.type) == ("insufficient_quota", "insufficient_quota")
    with pytest.raises(openai.PermissionDeniedError):
        await asking.chat.completions.create(**{**BODY, "model": "big", "messages": MESSAGES[1:]})
    with pytest.raises(openai.AuthenticationError):
        await asking.with_options(api_key="wrong").chat.completions.create(**BODY)


async def test_an_exchange_says_which_key_asked_and_holds_no_secret(ring):
    keyring, (key,) = ring(Grant("shop"))
    parts = gateway(keyring=keyring)
    async with http(parts) as session:
        await session.post("/v1/chat/completions", json=BODY, headers=key)
    (exchange,) = parts.spool.records
    assert exchange.key.startswith("key-") and key["authorization"][-20:] not in repr(exchange)


async def test_a_limited_key_is_refused_on_either_route_before_anybody_is_asked(ring):
    keyring, (key, free) = ring(Grant("shop", rpm=1), Grant("free"))
    parts = gateway(keyring=keyring)
    async with http(parts) as session:
        codes = [(await session.post("/v1/chat/completions", json=BODY, headers=key)) for _ in range(2)]
        assert [each.status_code for each in codes] == [200, 429] and int(codes[1].headers["retry-after"]) > 0
        assert (await session.post("/v1/chat/completions", json=BODY, headers=free)).status_code == 200
    assert len(parts.student.asked) == 2


@pytest.mark.parametrize("student", [None, unsure()])
async def test_a_stream_is_counted_until_it_ends_however_it_ends(ring, student):
    keyring, (key,) = ring(Grant("shop", streams=1))
    parts, _ = writing(" is", breaks_off=student is None)
    parts = replace(parts, keyring=keyring, **({} if student is None else {"student": student}))
    async with http(parts) as session:
        for _ in range(3):
            reply = await session.post("/v1/chat/completions", json={**BODY, "stream": True}, headers=key)
            assert reply.status_code == 200 and reply.text


@pytest.mark.parametrize("student", [FakeStudent, unsure])
async def test_a_stream_of_responses_is_counted_until_it_ends(ring, student):
    keyring, (key,) = ring(Grant("shop", streams=1))
    async with http(gateway(keyring=keyring, student=student())) as session:
        for _ in range(3):
            asked = {"model": "desk", "input": "my money back", "stream": True}
            reply = await session.post("/v1/responses", json=asked, headers=key)
            assert reply.status_code == 200 and "response.completed" in reply.text


async def test_and_until_then(ring):
    keyring, (key,) = ring(Grant("shop", streams=1))
    goes_on = asyncio.Event()

    class Slow(FakeTeacher):
        async def stream(self, request, *, teacher, top=0):
            async for chunk in super().stream(request, teacher=teacher):
                yield chunk
                await goes_on.wait()

    async with http(gateway(keyring=keyring, student=unsure(), teacher=(teacher := Slow()))) as session:
        ask = partial(session.post, "/v1/chat/completions", json={**BODY, "stream": True}, headers=key)
        first = asyncio.create_task(ask())
        while not teacher.asked:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.01)
        second = await ask()
        assert (second.status_code, second.headers["retry-after"]) == (429, "1")
        goes_on.set()
        assert (await first).status_code == (await ask()).status_code == 200


async def test_the_students_answer_costs_no_budget():
    budgets = FakeBudgets(limited=True, refusals=[USED_UP])
    async with http(gateway(budgets=budgets)) as session:
        assert (await session.post("/v1/chat/completions", json=BODY)).status_code == 200
    assert budgets.bills == []


@pytest.mark.parametrize("stream", [False, True])
async def test_an_escalation_is_promised_at_most_and_paid_as_it_was(ring, stream):
    keyring, (key,) = ring(Grant("shop", budget=Budget(5.0, "month")))
    parts = gateway(keyring=keyring, student=unsure(), budgets=FakeBudgets(limited=True))
    async with http(parts) as session:
        found = await session.post("/v1/chat/completions", json={**BODY, "stream": stream, "n": 1}, headers=key)
        shown = await session.get("/metrics", headers=key)
    await parts.drain(timeout_s=5)
    (bill,) = parts.budgets.bills
    assert found.status_code == 200 and (bill.teacher, bill.task) == ("big", "desk")
    assert bill.payer.key == parts.spool.records[0].key
    assert bill.most.prompt_tokens >= sum(len(m["content"]) for m in MESSAGES)
    assert bill.most.completion_tokens == TASK.max_tokens
    assert parts.budgets.settled == {"r1": 0.01} and shown.status_code == 403


@pytest.mark.parametrize(
    ("error", "status"),
    [(TeacherUnavailable("down"), 502), (UpstreamRefused("no", status=400, code=None), 400)],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_teacher_does_not_begin_is_free_again(error, status, stream):
    parts = gateway(student=unsure(), budgets=FakeBudgets(limited=True), teacher=FakeTeacher(error=error))
    async with http(parts) as session:
        assert (await session.post("/v1/chat/completions", json={**BODY, "stream": stream})).status_code == status
    await parts.drain(timeout_s=5)
    assert parts.budgets.settled == {"r1": 0.0}


async def test_what_it_has_begun_is_paid_in_full_where_nobody_says_what_it_cost():
    broken = FakeTeacher(error=TeacherUnavailable("broke off"), breaks_off=True)
    parts = gateway(student=unsure(), budgets=FakeBudgets(limited=True), teacher=broken)
    async with http(parts) as session:
        await session.post("/v1/chat/completions", json={**BODY, "stream": True})
    await parts.drain(timeout_s=5)
    assert parts.budgets.settled == {"r1": None}

    class Silent(FakeTeacher):
        def reply(self, teacher, body, *, latency_s):
            return TeacherReply(teacher, "text", "stop", Usage(), cost_usd=0.0)

    parts = gateway(student=unsure(), budgets=FakeBudgets(limited=True), teacher=Silent())
    async with http(parts) as session:
        await session.post("/v1/chat/completions", json=BODY)
    await parts.drain(timeout_s=5)
    assert parts.budgets.settled == {"r1": None}


async def test_a_client_that_leaves_before_the_answer_pays_what_was_promised():
    asked = asyncio.Event()

    class Slow(FakeTeacher):
        async def complete(self, request, *, teacher, top=0):
            asked.set()
            return await asyncio.Future()

    said = [{"type": "http.request", "body": orjson.dumps(BODY)}]

    async def receive():
        if not said:
            await asked.wait()
        return said.pop() if said else {"type": "http.disconnect"}

    async def send(_):
        pass

    parts = gateway(student=unsure(), budgets=FakeBudgets(limited=True), teacher=Slow())
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "query_string": b""}
    await create_app(parts)({**scope, "http_version": "1.1", "scheme": "http", "server": ("g", 80)}, receive, send)
    await parts.drain(timeout_s=5)
    assert parts.spool.records[0].status == 499 and parts.budgets.settled == {"r1": None}


PASSED = {
    "choices": [{"index": 0, "text": "a refund", "finish_reason": "stop"}],
    "data": [{}],
    "status": "completed",
    "output": [],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2},
}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/completions", {"prompt": ["say", "it"]}),
        ("/v1/embeddings", {"input": "a"}),
        ("/v1/responses", {"input": "a", "previous_response_id": "resp_1"}),
    ],
)
async def test_what_is_passed_on_takes_the_same_keys_and_is_paid_by_key_and_task(ring, path, fields):
    keyring, (key, till) = ring(Grant("shop", rpm=1, budget=Budget(5.0, "month")), Grant("till", tasks=("till",)))
    parts = gateway(
        keyring=keyring,
        teacher=FakeTeacher(body=PASSED),
        budgets=FakeBudgets(limited=True),
        tasks={"desk": TASK, "till": OTHER},
    )
    async with http(parts) as session:
        statuses = [
            (await session.post(path, json={"model": "desk", **fields}, headers=headers)).status_code
            for headers in ({}, till, key, key)
        ]
    await parts.drain(timeout_s=5)
    assert statuses == [401, 403, 200, 429] and len(parts.teacher.passed) == 1
    (bill,), (exchange,) = parts.budgets.bills, parts.spool.records
    assert (bill.task, bill.payer.key, exchange.task) == ("desk", exchange.key, None)
    assert bill.most.completion_tokens == {"/v1/completions": 32, "/v1/embeddings": 1}.get(path, TASK.max_tokens)
    assert parts.budgets.settled == {"r1": pytest.approx(0.027)}


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [(USED_UP, 429, "insufficient_quota"), (BudgetUnavailable("away"), 503, "budget_unavailable")],
)
async def test_without_money_the_teacher_is_not_asked(refusal, status, code):
    parts = gateway(student=unsure(), budgets=FakeBudgets(limited=True, refusals=[refusal]))
    async with http(parts) as session:
        found = await session.post("/v1/chat/completions", json=BODY)
    assert (found.status_code, found.json()["error"]["code"]) == (status, code)
    assert found.headers["x-tutelage-route"] == "teacher"
    (exchange,) = parts.spool.records
    assert (exchange.status, exchange.route) == (status, "none")
    assert parts.teacher.asked == [] and parts.capacity.asked == [] and parts.budgets.settled == {}


@pytest.mark.parametrize("refusal", [USED_UP, BudgetUnavailable("away")])
async def test_a_reference_that_could_not_be_paid_for_is_labelled_when_it_can(refusal):
    budgets = FakeBudgets(limited=True, refusals=[refusal])
    parts = gateway(student=unsure(), tasks={"desk": replace(TASK, rho=1.0)}, budgets=budgets)
    async with http(parts) as session:
        await session.post("/v1/chat/completions", json=BODY)
    await parts.drain(timeout_s=5)
    exchange, label = parts.spool.records
    assert exchange.reference and exchange.teacher_reply is None and label.reply.text == "delivery"


async def test_a_label_is_paid_by_the_task_and_never_by_the_clients_key(ring):
    keyring, (key,) = ring(Grant("shop", budget=Budget(5.0, "month")))
    tasks = {"desk": replace(TASK, rho=1.0)}
    parts = gateway(keyring=keyring, tasks=tasks, budgets=FakeBudgets(limited=True))
    async with http(parts) as session:
        await session.post("/v1/chat/completions", json=BODY, headers=key)
    await parts.drain(timeout_s=5)
    (bill,) = parts.budgets.bills
    assert (bill.task, bill.payer) == ("desk", None) and parts.budgets.settled == {"r1": 0.01}


async def test_a_label_that_was_drawn_waits_for_money(monkeypatch):
    monkeypatch.setattr(module, "RETRY_AFTER_S", 0.01)
    budgets = FakeBudgets(limited=True, refusals=[USED_UP, BudgetUnavailable("away")])
    parts = gateway(tasks={"desk": replace(TASK, rho=1.0)}, budgets=budgets)
    async with http(parts) as session:
        await session.post("/v1/chat/completions", json=BODY)
    await parts.drain(timeout_s=5)
    _, label = parts.spool.records
    assert isinstance(label, Label) and label.reply.text == "delivery" and budgets.settled == {"r3": 0.01}


async def test_and_is_lost_where_there_is_none_in_time(monkeypatch):
    monkeypatch.setattr(module, "LABEL_WAIT_S", 0.0)
    budgets = FakeBudgets(limited=True, refusals=[USED_UP])
    parts = gateway(tasks={"desk": replace(TASK, rho=1.0)}, budgets=budgets)
    async with http(parts) as session:
        await session.post("/v1/chat/completions", json=BODY)
    await parts.drain(timeout_s=5)
    assert parts.spool.records[1].reply.error == "InsufficientQuota" and parts.teacher.asked == []


@pytest.mark.parametrize("release", [RELEASE, None])
async def test_while_labels_cannot_be_paid_for_no_reference_is_drawn(release):
    tasks = {"desk": replace(TASK, rho=1.0)}
    parts = gateway(tasks=tasks, releases=FakeReleases(release), budgets=FakeBudgets(draws=False))
    async with http(parts) as session:
        assert (await session.post("/v1/chat/completions", json=BODY)).status_code == 200
    await parts.drain(timeout_s=5)
    (exchange,) = parts.spool.records
    assert isinstance(exchange, Exchange)
    assert (exchange.eligible, exchange.reference, exchange.rho) == (True, False, None)


async def test_our_own_questions_are_paid_and_refused_one_by_one():
    parts = gateway(budgets=FakeBudgets(limited=True, refusals=[None, USED_UP]))
    order = {"task": "desk", "origin": "judge", "requests": [{"messages": MESSAGES}] * 2}
    async with http(parts) as session:
        answers = (await session.post("/internal/answers", json=order)).json()["answers"]
    await parts.drain(timeout_s=5)
    assert sorted(answers, key=str) == [
        {"error": "InsufficientQuota"},
        {"text": "delivery", "finish_reason": "stop", "usd": 0.01},
    ]
    assert [(bill.task, bill.payer) for bill in parts.budgets.bills] == [("desk", None)] * 2
    assert parts.budgets.settled == {"r1": 0.01}


@pytest.mark.parametrize("student", [FakeStudent(), unsure()])
async def test_key_and_request_say_whether_a_student_may_learn_from_it(ring, student):
    keyring, (shop, apart) = ring(Grant("shop"), Grant("apart", teaches=False))
    parts, no = gateway(keyring=keyring, student=student), {"x-tutelage-train": "false"}
    yes = {"x-tutelage-train": "TRUE"}
    asked = [(shop, {}), (shop | yes, {"store": True}), (apart | yes, {"store": True}), (shop | no, {})]
    async with http(parts) as session:
        for headers, field in [*asked, (shop, {"store": False})]:
            found = await session.post("/v1/chat/completions", json={**BODY, **field}, headers=headers)
            assert found.status_code == 200
    assert [each.teaches for each in parts.spool.records] == [True, True, False, False, False]


async def test_what_says_neither_yes_nor_no_is_refused_before_anybody_is_asked():
    parts = gateway()
    async with http(parts) as session:
        found = await session.post("/v1/chat/completions", json=BODY, headers={"x-tutelage-train": "never"})
    assert found.status_code == 400 and found.json()["error"]["param"] == "x-tutelage-train"
    assert parts.spool.records == parts.student.asked == []
