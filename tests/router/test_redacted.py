"""A gateway that redacts: what clients get is untouched, what is written is not what they said."""

import httpx
import pytest

from ledger.spool import read_segment, segments
from router.app import create_app
from router.settings import ConfigError, Settings, load
from tests.router.test_app import NOWHERE, PRICE

CONFIG = """
teachers: {{big: {{model: openai/big}}}}
student: {{base_model: m, price: {{input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.2}}}}
ledger: {{redact: {redact}}}
"""


def settings(tmp_path, redact):
    (tmp_path / "tutelage.yaml").write_text(CONFIG.format(redact=redact))
    return load(tmp_path / "tutelage.yaml")


async def test_what_a_client_says_never_reaches_the_disk(tmp_path):
    chosen = Settings(
        ledger={"url": f"sqlite:///{tmp_path}/ledger.db", "spool_dir": tmp_path / "spool", "redact": {}},
        teachers={"big": {"model": "m", "direct": True, "base_url": NOWHERE, "price": PRICE, "retries": 0}},
        student={"base_model": "m", "price": PRICE},
        tasks={"desk": {"teacher": "big"}},
    )
    app = create_app(settings=chosen)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as session,
    ):
        for text in ("I am ann@shop.de", "hello"):
            body = {"model": "desk", "messages": [{"role": "user", "content": text}]}
            assert (await session.post("/v1/chat/completions", json=body)).status_code >= 500  # nobody is there
    private, plain = [record for path in segments(tmp_path / "spool") for record, _ in read_segment(path, offset=0)]
    assert "ann@" not in str(private) and "<email:" in private.messages[0]["content"]
    assert (private.reason, private.eligible, private.reference) == ("private", False, False)
    assert (plain.reason, plain.messages[0]["content"], plain.reference) == ("no_release", "hello", True)


@pytest.mark.parametrize("redact", ["{}", "{kinds: [email], patterns: {customer: 'K-\\d+'}}"])
def test_it_can_be_asked_for(tmp_path, redact):
    assert settings(tmp_path, redact).ledger.redact is not None


@pytest.mark.parametrize(
    ("redact", "words"),
    [
        ("{kinds: [name]}", "ledger.redact.kinds"),
        ("{patterns: {Customer: a}}", "ledger.redact.patterns"),
        ("{patterns: {email: a}}", "built-in kind"),
        ("{patterns: {customer: '('}}", "no expression of RE2"),
        ("{patterns: {customer: '(?=a)'}}", "no expression of RE2"),
        ("{patterns: {customer: 'a*'}}", "the empty text"),
    ],
)
def test_what_cannot_be_used_is_refused_at_the_start(tmp_path, redact, words):
    with pytest.raises(ConfigError, match=words):
        settings(tmp_path, redact)
