"""How our processes log: lines for people, or a JSON object a line for whoever collects them.

Neither is to hold a key, a prompt or an answer: name exchanges, tasks, releases and kinds of errors.
"""

import logging
import os
import sys

from pythonjsonlogger.json import JsonFormatter

VARIABLE = "TUTELAGE_LOG_FORMAT"
FORMATS: dict[str, logging.Formatter] = {
    "text": logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"),
    "json": JsonFormatter(
        "{levelname}{name}{message}",
        style="{",
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
    ),
}
OWN_HANDLERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")  # they would write lines of their own beside ours


def begin(level: int = logging.INFO) -> None:
    """Everything that this process logs from here on, of libraries too, to standard error. Exits with status 2 and a
    message where TUTELAGE_LOG_FORMAT is neither text, which holds where it is not set, nor json."""
    wanted = os.environ.get(VARIABLE) or "text"
    if wanted not in FORMATS:
        sys.stderr.write(f"{VARIABLE} is {wanted!r}: set it to {' or '.join(FORMATS)}\n")
        raise SystemExit(2)
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATS[wanted])
    logging.basicConfig(level=level, handlers=[handler])
    for name in OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
