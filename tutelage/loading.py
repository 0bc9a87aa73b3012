"""`tutelage serve loader`: the champions loaded on every engine of a fleet, what has ended taken off, while it runs.

What `tutelage up` does for the engine that it started. An engine that has just begun holds no adapter: until it is seen
here its share of the drafts fails, and the teacher answers those.
"""

import logging
import threading
import time
from contextlib import suppress

import sqlalchemy as sa

from distill.adapters import ASK_S, AdapterError, AdapterServer
from distill.fleet import AdapterFleet, on_each
from distill.recital import Checked
from distill.retiring import Retiring
from router.settings import Settings
from tutelage.distilling import load_champions, shelf
from tutelage.student_server import room

LOOK_S = 5.0
log = logging.getLogger(__name__)


def keep_loaded(settings: Settings, engine: sa.Engine, *, stop: threading.Event) -> None:
    """Look until `stop` is set; what changes is logged once, and what cannot be done is tried again."""
    told: dict[str, str] = {}
    checked: Checked = set()
    retiring = Retiring(engine, shelf(settings))
    while True:
        try:
            found = {**load_champions(settings, engine, checked=checked), **too_few_slots(settings)}
            for name in sorted(retiring.look(now=time.time(), steady=time.monotonic())):
                log.info("%s: taken off, nothing needs it", name)
        except (AdapterError, sa.exc.SQLAlchemyError) as error:
            found = {"student": str(error)}
        for name, failure in found.items():
            if told.get(name) != failure:
                log.log(logging.WARNING if failure else logging.INFO, "%s: %s", name, failure or "loaded")
        told = found
        if stop.wait(LOOK_S):
            return


def too_few_slots(settings: Settings) -> dict[str, str]:
    """Engines that were started with less room than the tasks want, and what to do.

    Nothing is answered otherwise: requests wait for one another, and adapters are read from disk again and again.
    """
    wanted, found = room(settings), dict[str, str]()

    def look(engine: AdapterServer) -> None:
        if (slots := engine.slots()) is not None and slots < wanted.loras:
            found[engine.url] = (
                f"{slots} adapters have room in a batch, and {wanted.loras} may be asked at once: start it with "
                f"--max-loras={wanted.loras} --max-cpu-loras={wanted.cpu_loras}"
            )

    with suppress(AdapterError):  # that one is away is told by what cannot be loaded
        on_each(AdapterFleet(settings.student.engines_url, ask_s=ASK_S).engines(), look)
    return found
