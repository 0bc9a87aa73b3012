"""What processes log when things go wrong: a JSON object a line, and never a key, a prompt or an answer."""

import json

import httpx
import pytest

from ledger.logs import VARIABLE
from tests.wire.answers import TEXT
from tests.wire.rig import KEY, running
from tests.wire.upstream import breaking, status

pytestmark = pytest.mark.e2e
SECRET = "a-word-that-nobody-else-says"
MESSAGES = [{"role": "user", "content": f"Where is my parcel, {SECRET}?"}]


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """Process -> its lines, after answers, failures of each upstream, and what is refused."""
    with pytest.MonkeyPatch.context() as patch, running_json(patch, tmp_path_factory.mktemp("logs")) as rig:
        for act in (status(200), status(500, words=SECRET), breaking(), breaking(b"{no json"), status(401)):
            with rig.student.doing(act), rig.teacher.doing(act):
                for model in ("desk", "essay", "big", "lite"):
                    for stream in (False, True):
                        rig.ask(model, messages=MESSAGES, stream=stream)
        for key, content in ((SECRET, b"{}"), (KEY, f'{{"model": "desk", "messages": "{SECRET}"'.encode())):
            refused = httpx.post(
                f"{rig.url}/v1/chat/completions", content=content, headers={"authorization": f"Bearer {key}"}
            )
            assert refused.status_code in (400, 401)
        work = rig.config.parent
    return {name: (work / f"{name}.log").read_text() for name in rig.parts}


def running_json(patch, work):
    patch.setenv(VARIABLE, "json")
    return running(work)


def test_each_line_is_an_object_that_says_when_who_and_what(logged):
    lines = [json.loads(line) for text in logged.values() for line in text.splitlines()]
    assert {"ledger", "router"} & {line["logger"].partition(".")[0] for line in lines}
    for line in lines:
        assert {"time", "level", "logger", "message"} <= line.keys()


@pytest.mark.parametrize("secret", [SECRET, KEY, TEXT])
def test_no_line_holds_what_nobody_else_may_read(logged, secret):
    assert logged["gateway"] and not [text for text in logged.values() if secret in text]
