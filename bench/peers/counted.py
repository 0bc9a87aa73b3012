"""Our gateway, of which parts are taken out and put back while it runs: what a part takes is the difference, in one and
the same process.

    python -m bench.peers.counted CONFIG.yaml

`POST /bench/without/PART`, of `PARTS`, answers once it is so. `POST /bench/traffic` counts traffic of many tasks.
"""

import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bench.peers.many import traffic
from ledger.records import Exchange, Record
from router.app import create_app
from router.gateway import Gateway
from router.metrics import Metrics
from router.serving import options
from router.settings import load

NOTHING, COUNTING, WRITING, ALL = "nothing", "counting", "writing", "accounting"
PARTS = (NOTHING, COUNTING, WRITING, ALL)


class Uncounted(Metrics):
    """Everything but the finished exchange is counted."""

    def count(self, exchange: Exchange) -> None:
        """It is not."""


class Unwritten:
    """A spool that keeps nothing."""

    available = True

    def append(self, record: Record) -> None:
        """It is gone."""


class Unaccounted(Gateway):
    """No exchange is put together, written or counted."""

    def record(self, *_: Any) -> None:
        """It is as if it had not been."""


def without(gateway: Gateway) -> Mapping[str, Gateway]:
    """The same gateway without each of `PARTS`."""
    parts = {each.name: getattr(gateway, each.name) for each in fields(gateway)}
    return {
        NOTHING: gateway,
        COUNTING: replace(gateway, metrics=Uncounted()),
        WRITING: replace(gateway, spool=Unwritten()),
        ALL: Unaccounted(**parts),
    }


def add_switches(app: FastAPI) -> None:
    """For the bench, which alone can reach it."""
    whole: dict[str, Gateway] = {}

    async def switch(http: Request) -> Response:
        if not whole:
            whole.update(without(http.app.state.gateway))
        http.app.state.gateway = whole[http.path_params["part"]]
        return JSONResponse({})

    async def count(http: Request) -> Response:
        for each in traffic():
            http.app.state.gateway.metrics.count(each)
        return JSONResponse({})

    app.router.add_route("/bench/without/{part}", switch, methods=["POST"])
    app.router.add_route("/bench/traffic", count, methods=["POST"])


def main() -> None:
    """Until it is stopped."""
    settings = load(Path(sys.argv[1]))
    app = create_app(settings=settings)
    add_switches(app)
    uvicorn.run(app, **options(settings.server))


if __name__ == "__main__":
    main()
