"""The composition root: settings in, a FastAPI app out. Tests pass fakes here."""

import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import anyio.to_thread
import orjson
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ledger.database import LedgerError, connect
from ledger.queries import reference_key
from ledger.redaction import Redactor
from ledger.spool import SpoolWriter
from router import api, api_feedback, api_passed, api_responses
from router.breaker import Breaker
from router.budgets import LedgerBudgets
from router.capacity import Allowance, SlidingCapacity
from router.errors import GatewayError, InternalError, NotFound
from router.gateway import LABEL_WAIT_S, Gateway, new_exchange_id
from router.http_client import HttpClient
from router.keyring import Keyring
from router.limits import KeyLimits
from router.matching import Matching
from router.metrics import Metrics
from router.metrics_state import Contracted
from router.ports import TaskPlan
from router.redacted import RedactedSpool
from router.releases import LedgerWatch
from router.settings import Settings, Task
from router.student import VllmStudent
from router.teacher import HttpTeacher, Prices
from router.upstream import Endpoint
from router.windows import Windows

BUSIEST = "/v1/chat/completions"
DRAIN_S = 10.0
COLLECTED_AFTER = 10_000  # objects more than before; Python's own is 700
LEDGER_PAUSE_S = 1.0
SLACK_S = 30.0  # of a reservation's lease, behind the longest that its teacher may take
EXAM_TIMEOUT_S = 120.0  # nobody waits for these drafts, and one that is lost counts against the student
log = logging.getLogger(__name__)


class App(FastAPI):
    """FastAPI, past whose middleware and routing the busiest path goes: together they cost more than the decision.

    What traces or measures by FastAPI's own means sees the other paths.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's life."""
        if scope["type"] == "http" and scope["path"] == BUSIEST and scope["method"] == "POST":
            scope["app"] = self
            await _straight(api.chat_completions, Request(scope, receive), send)
        else:
            await super().__call__(scope, receive, send)


async def _straight(endpoint: Callable[[Request], Awaitable[Response]], http: Request, send: Send) -> None:
    """As the error handlers below would have it."""
    try:
        response = await endpoint(http)
    except GatewayError as error:
        response = _error_response(error)
    except Exception:
        await _error_response(_failed())(http.scope, http.receive, send)
        raise  # the server logs it
    await response(http.scope, http.receive, send)


def create_app(gateway: Gateway | None = None, *, settings: Settings | None = None) -> FastAPI:
    """The app around a given gateway (tests), or around one built from settings when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if gateway is None:
                assert settings is not None, "create_app needs a gateway or settings"
                app.state.gateway = await _build(settings, stack)
                _settle()
                log.info("ready for %s", ", ".join(settings.tasks) or "no task")
            yield
            await app.state.gateway.drain(timeout_s=DRAIN_S)

    app = App(lifespan=lifespan, openapi_url=None)
    app.state.gateway = gateway
    _add_routes(app)
    _add_error_handlers(app)
    return app


def _settle() -> None:
    """What is here stays: no collection needs to look through it while all requests wait. And a request leaves hardly
    anything behind that only a collection frees: to look after every few of them costs a twentieth of all time."""
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER)


def _add_routes(app: FastAPI) -> None:
    """Plain Starlette routes: the hot path stays outside FastAPI's dependency machinery."""
    app.router.add_route(BUSIEST, api.chat_completions, methods=["POST"])
    app.router.add_route("/v1/responses", api_responses.responses, methods=["POST"])
    app.router.add_route("/v1/completions", api_passed.completions, methods=["POST"])
    app.router.add_route("/v1/embeddings", api_passed.embeddings, methods=["POST"])
    app.router.add_route("/v1/feedback", api_feedback.feedback, methods=["POST"])
    app.router.add_route("/v1/models", api.models, methods=["GET"])
    app.router.add_route("/v1/models/{name:path}", api.model, methods=["GET"])
    app.router.add_route("/internal/drafts", api.internal_drafts, methods=["POST"])
    app.router.add_route("/internal/answers", api.internal_answers, methods=["POST"])
    app.router.add_route("/health", api.health, methods=["GET"])
    app.router.add_route("/ready", api.ready, methods=["GET"])
    app.router.add_route("/metrics", api.metrics, methods=["GET"])


def _add_error_handlers(app: FastAPI) -> None:
    async def known(_: Request, error: Exception) -> Response:
        assert isinstance(error, GatewayError)
        return _error_response(error)

    async def routing(http: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        words = f"Invalid URL ({http.method} {http.url.path}): {error.detail}"
        return _error_response(NotFound(words, status=error.status_code, headers=dict(error.headers or {})))

    async def unknown(_: Request, __: Exception) -> Response:
        return _error_response(_failed())

    app.add_exception_handler(GatewayError, known)
    app.add_exception_handler(HTTPException, routing)
    app.add_exception_handler(Exception, unknown)


def _failed() -> InternalError:
    return InternalError("The gateway failed on this request. It has been logged.")


def _error_response(error: GatewayError) -> Response:
    headers = {"x-request-id": new_exchange_id(), **error.headers}  # an admitted request brings its own
    return Response(
        orjson.dumps(error.body()), status_code=error.status, headers=headers, media_type="application/json"
    )


async def _build(settings: Settings, stack: AsyncExitStack) -> Gateway:
    """Real adapters for every port; all of them are closed with the stack."""
    engine = await _open(settings.ledger.url)
    stack.callback(engine.dispose)
    key = reference_key(engine)
    bindings = {name: settings.binding(name) for name in settings.tasks}
    watch = LedgerWatch(
        engine,
        bindings=bindings,
        canary_share=settings.canary.share,
        canary_key=key,
        spool_dir=settings.ledger.spool_dir,
    )
    keyring = Keyring(settings.server.api_key.get_secret_value() if settings.server.api_key else None)
    budgets = _budgets(settings, engine, prices=watch)
    stack.callback(budgets.close)
    redactor = await anyio.to_thread.run_sync(settings.redactor, engine)
    tasks = {name: _plan(settings, name, redactor=redactor) for name in settings.tasks}
    matching = Matching(tasks, frozenset(settings.teachers))
    watch.tell(keyring.read, budgets.read, matching.read)
    await _follow(watch, stack)
    http = await stack.enter_async_context(HttpClient())
    writer = SpoolWriter(settings.ledger.spool_dir)
    stack.callback(writer.close)
    endpoints = {name: _endpoint(settings, name) for name in settings.teachers}
    student = settings.student
    metrics = Metrics(tasks={name: _contracted(task) for name, task in settings.tasks.items()})
    windows = Windows(settings.server.limits_url.get_secret_value(), metrics=metrics)
    served = partial(VllmStudent, http, url=student.url, price=student.token_price)
    return Gateway(
        matching=matching,
        student=served(
            timeout_s=student.timeout_s, breaker=Breaker(told=partial(metrics.note_breaker, "student", "student"))
        ),
        examinee=served(timeout_s=EXAM_TIMEOUT_S),
        teacher=HttpTeacher(http, endpoints=endpoints, prices=watch, told=partial(metrics.note_breaker, "teacher")),
        capacity=_capacity(settings, windows, metrics=metrics),
        spool=RedactedSpool(writer, redactor) if redactor else writer,
        releases=watch,
        reference_key=key,
        keyring=keyring,
        limits=KeyLimits(windows, metrics=metrics),
        budgets=budgets,
        max_body_bytes=settings.server.max_body_bytes,
        admin_port=settings.server.admin_port,
        metrics=metrics,
    )


async def _open(url: str) -> sa.Engine:
    """The ledger, waited for: `router.__main__` has seen it before, and a process that is started again beside others
    while it is away must not end them."""
    while True:
        try:
            return await anyio.to_thread.run_sync(connect, url)
        except LedgerError as error:
            log.warning("%s; trying again", error)
            await anyio.sleep(LEDGER_PAUSE_S)


async def _follow(watch: LedgerWatch, stack: AsyncExitStack) -> None:
    """The ledger read once before the first request, then for ever in the background."""
    await anyio.to_thread.run_sync(watch.refresh)
    group = await stack.enter_async_context(anyio.create_task_group())
    group.start_soon(watch.run)
    stack.callback(group.cancel_scope.cancel)


def _budgets(settings: Settings, engine: sa.Engine, *, prices: Prices) -> LedgerBudgets:
    slowest_s = max(teacher.timeout_s * (1 + teacher.retries) for teacher in settings.teachers.values())
    tasks = {name: budget for name, task in settings.tasks.items() if (budget := task.budget)}
    return LedgerBudgets(
        engine, total=settings.server.budget, tasks=tasks, prices=prices, lease_s=LABEL_WAIT_S + slowest_s + SLACK_S
    )


def _capacity(settings: Settings, windows: Windows, *, metrics: Metrics) -> SlidingCapacity:
    teachers = settings.teachers
    for name, teacher in teachers.items():
        if teacher.capacity_rpm is not None:
            metrics.show_capacity(name, teacher.capacity_rpm)
    allowances = {name: Allowance(teacher.capacity_rpm, teacher.capacity_tpm) for name, teacher in teachers.items()}
    return SlidingCapacity(windows, allowances=allowances)


def _contracted(task: Task) -> Contracted:
    return Contracted(task.teacher, task.alpha, task.rho, task.alarm_references)


def _plan(settings: Settings, name: str, *, redactor: Redactor | None) -> TaskPlan:
    task = settings.tasks[name]
    return TaskPlan(
        name=name,
        teacher=task.teacher,
        rho=task.rho,
        max_tokens=task.max_tokens,
        system_prompt=task.system_prompt,
        prefix=task.prefix,
        max_context_tokens=settings.student.max_context_tokens,
        binding=settings.binding(name),
        unsaid=task.unsaid,
        is_private=redactor.is_private if redactor else None,
        record_logprobs=settings.teachers[task.teacher].record_logprobs,
    )


def _endpoint(settings: Settings, name: str) -> Endpoint:
    """Direct teachers are asked by their own model name and key, others by their name at the teacher server, which has
    the time of all the tries that it makes."""
    teacher, url = settings.teachers[name], settings.teacher_url(name)
    if teacher.direct:
        return Endpoint(
            url=url,
            upstream_model=teacher.model,
            api_key=teacher.api_key(),
            timeout_s=teacher.timeout_s,
            connect_s=teacher.connect_timeout_s,
            first_token_s=teacher.first_token_timeout_s,
            retries=teacher.retries,
        )
    return Endpoint(url=url, upstream_model=name, api_key=None, timeout_s=teacher.timeout_s * (1 + teacher.retries))
