"""`tutelage serve loader`: the champions loaded on every engine of a fleet, for as long as it runs.

What `tutelage up` does for the engine that it started. An engine that has just begun holds no adapter: until it is seen
here its share of the drafts fails, and the teacher answers those.
"""

import logging
import threading

import sqlalchemy as sa

from distill.adapters import AdapterError
from router.settings import Settings
from tutelage.distilling import load_champions

LOOK_S = 5.0
log = logging.getLogger(__name__)


def keep_loaded(settings: Settings, engine: sa.Engine, *, stop: threading.Event) -> None:
    """Look until `stop` is set; what changes is logged once, and what cannot be done is tried again."""
    told: dict[str, str] = {}
    while True:
        try:
            found = load_champions(settings, engine)
        except (AdapterError, sa.exc.SQLAlchemyError) as error:
            found = {"student": str(error)}
        for name, failure in found.items():
            if told.get(name) != failure:
                log.log(logging.WARNING if failure else logging.INFO, "%s: %s", name, failure or "loaded")
        told = found
        if stop.wait(LOOK_S):
            return
