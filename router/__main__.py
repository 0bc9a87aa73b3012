"""`python -m router CONFIG`: serve the gateway, in as many processes as the settings say."""

import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from ledger import logs
from ledger.database import LedgerError, connect
from ledger.prices import write_price
from ledger.tied import tie_to_parent
from router.app import create_app
from router.metrics import SHARED_DIR, forget_ended_processes
from router.serving import options
from router.settings import ConfigError, Settings, load

CONFIG, PARENT = "ROUTER_CONFIG", "ROUTER_PARENT"  # how the worker processes are told of the file and of this one
NOT_BEGUN = 3  # uvicorn's own exit status
PATIENCE_S = 30  # a worker that starts beside a training run answers late, and is not to be killed for it


def main(argv: list[str] | None = None) -> int:
    """Exit status 2 with a message where the configuration or the ledger cannot be used."""
    arguments = sys.argv[1:] if argv is None else argv
    logs.begin()
    try:
        if len(arguments) != 1:
            raise ConfigError("usage: python -m router CONFIG.yaml")
        settings = load(Path(arguments[0]))
        _write_direct_prices(settings)
    except (ConfigError, LedgerError) as error:
        logging.getLogger(__name__).error("%s", error)
        return 2
    listening, workers = options(settings.server), settings.server.workers
    if workers == 1:
        return _serve(uvicorn.Config(create_app(settings=settings), **listening), settings)
    os.environ |= {CONFIG: str(Path(arguments[0]).resolve()), PARENT: str(os.getpid())}
    with _shared_metrics():
        listening |= {"factory": True, "workers": workers, "timeout_worker_healthcheck": PATIENCE_S}
        return _serve(uvicorn.Config("router.__main__:worker", **listening), settings)


def _serve(config: uvicorn.Config, settings: Settings) -> int:
    """As `uvicorn.run` does, which knows one port alone. Exit status 3 where serving did not begin."""
    sockets, admin_port = [], settings.server.admin_port
    if admin_port is not None:
        beside = {**options(settings.server), "port": admin_port}
        sockets = [config.bind_socket(), uvicorn.Config(config.app, **beside).bind_socket()]
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        if config.workers > 1:
            Multiprocess(config, sockets or [config.bind_socket()]).run()
        else:
            server.run(sockets or None)
    return 0 if server.started or config.workers > 1 else NOT_BEGUN


def worker() -> FastAPI:
    """One process of several; it ends with the one that started it, or it would hold the port."""
    tie_to_parent()
    if os.getppid() != int(os.environ[PARENT]):
        raise SystemExit("the process that started this one has ended")
    logs.begin()
    forget_ended_processes()
    return create_app(settings=load(Path(os.environ[CONFIG])))


@contextmanager
def _shared_metrics() -> Iterator[None]:
    """Counters of all processes, of those that were killed too, lie in one folder while we serve."""
    os.environ[SHARED_DIR] = tempfile.mkdtemp(prefix="tutelage-metrics-")
    try:
        yield
    finally:
        shutil.rmtree(os.environ.pop(SHARED_DIR), ignore_errors=True)


def _write_direct_prices(settings: Settings) -> None:
    """Teachers behind the teacher server are priced by it; direct ones by their settings."""
    engine = connect(settings.ledger.url)
    for name, teacher in settings.teachers.items():
        if teacher.direct and teacher.price:
            teacher.api_key()  # a missing key is an error at start, not at the first escalation
            write_price(engine, name, teacher.price.per_token, source="settings", at=time.time())
    engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
