"""`python -m tutelage.web CONFIG`: the console, a process of its own, so that no page slows a client down."""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from ledger import logs
from ledger.database import LedgerError, connect
from ledger.releases import ReleaseError
from router.settings import ConfigError, Settings, load
from tutelage.switching import promote, roll_back
from tutelage.web import pages
from tutelage.web.access import COOKIE, Access, Refused, access, same_origin

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
LOGIN_BYTES = 4096
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Console:
    """Settings and ledger, who may see them, and how they are told."""

    settings: Settings
    engine: sa.Engine
    access: Access
    templates: Environment

    def page(self, name: str, facts: dict[str, Any], *, status: int = 200) -> Response:
        """A template filled in."""
        text = self.templates.get_template(f"{name}.html.j2").render(**facts, open=self.access.open)
        return HTMLResponse(text, status_code=status, headers=HEADERS)


Read = Callable[[pages.Asked], dict[str, Any]]


def create(settings: Settings) -> FastAPI:
    """The application. Raises LedgerError."""
    engine = connect(settings.ledger.url)
    environment = Environment(
        loader=PackageLoader("tutelage.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.globals.update(pages.WORDS)
    console = Console(settings, engine, access(settings, engine), environment)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.mount("/console/static", StaticFiles(packages=[("tutelage.web", "static")]), name="static")
    for path, name, read in (
        ("/console", "overview", pages.overview),
        ("/console/tasks/{task}", "task", pages.task),
        ("/console/exchanges", "exchanges", pages.exchanges),
        ("/console/exchanges/{id}", "exchange", pages.exchange),
        ("/console/releases/{name}", "release", pages.release),
        ("/console/found", "found", pages.found),
    ):
        app.add_route(path, _page(console, name, read), methods=["GET"])
    app.add_route("/", lambda _: RedirectResponse("/console"), methods=["GET"])
    app.add_route("/console/charts/{chart}/{task}/{shade}.svg", _chart(console), methods=["GET"])
    app.add_route("/console/login", _log_in(console), methods=["GET", "POST"])
    app.add_route("/console/logout", _log_out, methods=["POST"])
    for path, act in (
        ("/console/promote", lambda form: promote(settings, engine, form["name"])),
        ("/console/rollback", lambda form: roll_back(settings, engine, form["task"])),
    ):
        app.add_route(path, _act(console, act), methods=["POST"])
    return app


def _page(console: Console, name: str, read: Read) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            console.access.check(request)
        except Refused as refused:
            return _to_login(console, request, str(refused))
        words = {**request.query_params, **request.path_params}
        asked = pages.Asked(console.settings, console.engine, words, time.time())
        try:
            facts = await run_in_threadpool(read, asked)
        except pages.Unknown as error:
            return console.page("message", {"title": "Not found", "words": str(error)}, status=404)
        except sa.exc.SQLAlchemyError as error:
            log.error("the ledger cannot be read: %s", type(error).__name__)
            told = "The ledger cannot be read at the moment. Clients are answered meanwhile; please try again."
            return console.page("message", {"title": "No ledger", "words": told}, status=503)
        return console.page(name, facts)

    return answer


def _chart(console: Console) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            console.access.check(request)
            asked = pages.Asked(console.settings, console.engine, dict(request.path_params), time.time())
            text = await run_in_threadpool(pages.chart, asked)
        except Refused:
            return Response(status_code=403, headers=HEADERS)
        except pages.Unknown:
            return Response(status_code=404, headers=HEADERS)
        svg_headers = {**HEADERS, "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Response(text, media_type="image/svg+xml", headers=svg_headers)

    return answer


def _log_in(console: Console) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        if request.method == "GET":
            return console.page("login", {"words": "", "next": _inside(request.query_params.get("next", ""))})
        where = "/console"
        try:
            form = await _form(request)
            where = _inside(form.get("next", ""))
            response = RedirectResponse(where, status_code=303, headers=HEADERS)
            if not same_origin(request):
                raise Refused("This form was not sent by the console.")
            console.access.log_in(form.get("key", ""), response, secure=request.url.scheme == "https")
        except Refused as refused:
            log.warning("a login was refused")
            return console.page("login", {"words": str(refused), "next": where}, status=403)
        return response

    return answer


async def _log_out(request: Request) -> Response:
    response = RedirectResponse("/console/login", status_code=303, headers=HEADERS)
    if same_origin(request):
        response.delete_cookie(COOKIE, path="/console")
    return response


def _act(console: Console, act: Callable[[dict[str, str]], str]) -> Callable[[Request], Any]:
    """What changes something: of a page of ours, by an admin."""

    async def answer(request: Request) -> Response:
        try:
            console.access.check(request)
            if not same_origin(request):
                raise Refused("This form was not sent by the console.")
            form = await _form(request)
        except Refused as refused:
            return console.page("message", {"title": "Refused", "words": str(refused)}, status=403)
        try:
            words = await run_in_threadpool(act, form)
        except (ReleaseError, ConfigError, KeyError) as error:
            return console.page("message", {"title": "Nothing was changed", "words": str(error)}, status=409)
        log.info("%s", words)
        return console.page("message", {"title": "Done", "words": words})

    return answer


def _to_login(console: Console, request: Request, words: str) -> Response:
    if COOKIE not in request.cookies:
        words = ""
    return console.page("login", {"words": words, "next": _inside(request.url.path)}, status=401)


def _inside(path: str) -> str:
    """A path of the console, whatever a link says."""
    return path if path.startswith("/console") and "//" not in path and "\\" not in path else "/console"


async def _form(request: Request) -> dict[str, str]:
    """The fields of a short form."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LOGIN_BYTES:
            raise Refused("That is more than a form of the console holds.")
    return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop."""
    (config,) = sys.argv[1:] if argv is None else argv
    logs.begin()
    try:
        settings = load(Path(config))
        app = create(settings)
    except (ConfigError, LedgerError) as error:
        log.error("%s", error)
        return 2
    uvicorn.run(
        app,
        host=settings.console.host,
        port=settings.console.port,
        log_level="warning",
        log_config=None,
        access_log=False,
    )
    return 0
