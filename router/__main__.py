"""`python -m router CONFIG`: serve the gateway."""

import logging
import sys
import time
from pathlib import Path

import uvicorn

from ledger.database import LedgerError, connect
from ledger.prices import write_price
from router.app import create_app, token_price
from router.settings import ConfigError, Settings, load


def main(argv: list[str] | None = None) -> int:
    """Exit status 2 with a message where the configuration or the ledger cannot be used."""
    arguments = sys.argv[1:] if argv is None else argv
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        if len(arguments) != 1:
            raise ConfigError("usage: python -m router CONFIG.yaml")
        settings = load(Path(arguments[0]))
        _write_direct_prices(settings)
        app = create_app(settings=settings)
    except (ConfigError, LedgerError) as error:
        logging.getLogger(__name__).error("%s", error)
        return 2
    # The access log would repeat what the ledger knows, at a cost per request.
    uvicorn.run(app, host=settings.server.host, port=settings.server.port, access_log=False, log_level="warning")
    return 0


def _write_direct_prices(settings: Settings) -> None:
    """Teachers behind the teacher server are priced by it; direct ones by their settings."""
    engine = connect(settings.ledger.url)
    for name, teacher in settings.teachers.items():
        if teacher.direct and teacher.price:
            teacher.api_key()  # a missing key is an error at start, not at the first escalation
            write_price(engine, name, token_price(teacher.price), source="settings", at=time.time())
    engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
