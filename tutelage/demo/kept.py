"""The demo left up for a look, with a console, until Ctrl-C or SIGTERM. It knows nothing of phases or of a verdict."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from router.settings import Settings
from tutelage.console import say
from tutelage.processes import Stack, StackError
from tutelage.upkeep import Upkeep

LOOK_S = 1.0
NO_KEY = "no key is asked for, as there are none yet; read it on this machine, under 127.0.0.1"
BOOT_KEY = "log in with the key that TUTELAGE_SERVER__API_KEY holds"


@contextmanager
def left_up(stack: Stack, settings: Settings) -> Iterator[None]:
    """What the block has told is followed by a wait, also where a process of the stack has died. To interrupt the
    block itself ends all at once."""
    try:
        yield
    except StackError as error:
        say(f"failed: {error}")
        _wait(stack, settings)
        raise
    _wait(stack, settings)


def _wait(stack: Stack, settings: Settings) -> None:
    """Until Ctrl-C or SIGTERM, which the stack makes a KeyboardInterrupt."""
    with suppress(KeyboardInterrupt):
        for line in where(settings):
            say(line)
        upkeep = Upkeep(stack, settings, say=say)
        while True:
            upkeep.look()
            time.sleep(LOOK_S)
    say("stopping")


def where(settings: Settings) -> list[str]:
    """What there is to look at, and how."""
    at = f"http://{settings.console.host}:{settings.console.port}/console"
    return [
        f"left up for a look, until Ctrl-C: console {at} ({BOOT_KEY if settings.server.api_key else NO_KEY})",
        f"metrics: {settings.internal_url}/metrics",
    ]
