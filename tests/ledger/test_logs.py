"""Lines for people and for collectors."""

import json
import logging
import subprocess
import sys

import pytest

from ledger.logs import FORMATS, VARIABLE


def record():
    try:
        raise ValueError("wrong")
    except ValueError:
        return logging.LogRecord("ledger.x", logging.ERROR, __file__, 1, "of %s", ("e1",), sys.exc_info())


def test_a_line_for_collectors_says_when_how_bad_who_and_what():
    line = FORMATS["json"].format(record())
    said = json.loads(line)
    assert "\n" not in line and said.pop("time").endswith("+00:00") and "ValueError: wrong" in said.pop("exc_info")
    assert said == {"level": "ERROR", "logger": "ledger.x", "message": "of e1"}


def test_a_line_for_people():
    assert FORMATS["text"].format(record()).splitlines()[0].endswith(" ledger.x ERROR of e1")


@pytest.mark.parametrize(
    ("wanted", "expected"), [("", (0, "WARNING said")), ("text", (0, "WARNING said")), ("json", (0, '"said"'))]
)
def test_it_is_as_the_environment_says(wanted, expected):
    done = run(wanted)
    assert (done.returncode, expected[1] in done.stderr) == (expected[0], True)


def test_a_format_that_there_is_none_of_ends_the_process_with_what_there_is():
    done = run("xml")
    assert (done.returncode, done.stderr) == (2, "TUTELAGE_LOG_FORMAT is 'xml': set it to text or json\n")


def run(wanted):
    code = "import logging; from ledger import logs; logs.begin(); logging.getLogger('LiteLLM').warning('said')"
    return subprocess.run(
        [sys.executable, "-c", code], env={VARIABLE: wanted}, capture_output=True, text=True, check=False
    )
