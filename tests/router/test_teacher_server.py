"""LiteLLM's own mock answers stand in for a provider: the library is real, the network is not asked."""

import json
from dataclasses import dataclass

import httpx
import litellm
import pytest
import yaml

from ledger.database import connect
from ledger.prices import Price, current_prices
from router.settings import ConfigError, load
from router.teacher_server import Upstream, _prepare, _provider_error, create_app, listed_price, main, price_of

HI = [{"role": "user", "content": "hi"}]


def post(body):
    app = create_app({"big": Upstream("openai/gpt-4o-mini", None, None, 5.0, 0)})
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t").post(
        "/v1/chat/completions", json=body
    )


async def test_an_answer_is_a_completion_with_usage():
    response = await post({"model": "big", "messages": HI, "mock_response": "refund"})
    body = response.json()
    assert body["choices"][0]["message"]["content"] == "refund" and body["usage"]["completion_tokens"] > 0


@dataclass
class Streamed:
    """As LiteLLM's wrapper: it ends every stream with a finish reason, and knows whether the provider sent one."""

    received_finish_reason: str | None

    async def __aiter__(self):
        for text in ("a refund,", " please"):
            yield streamed(delta={"content": text})
        yield streamed(delta={}, finish_reason="stop")


def streamed(**choice):
    return litellm.ModelResponseStream(choices=[{"index": 0, **choice}])


@pytest.fixture
def streaming(monkeypatch):
    """The events of a stream whose provider gave this finish reason."""

    async def events(finish_reason):
        async def answer(**_):
            return Streamed(finish_reason)

        monkeypatch.setattr(litellm, "acompletion", answer)
        return (await post({"model": "big", "messages": HI, "stream": True})).text.strip().split("\n\n")

    return events


async def test_a_stream_ends_with_done(streaming):
    *events, last = await streaming("stop")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == "a refund, please"
    assert last == "data: [DONE]"


async def test_a_stream_that_the_provider_broke_off_is_not_said_to_be_whole(streaming):
    *_, last = await streaming(None)
    assert "error" in json.loads(last.removeprefix("data: "))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {
                "body": {"message": "too long", "code": "context_length_exceeded", "param": "messages"},
                "litellm_response_headers": {"retry-after": "7"},
            },
            {"message": "too long", "code": "context_length_exceeded", "param": "messages"},
        ),
        (
            {"message": "litellm: slow down", "code": 429},
            {"message": "litellm: slow down", "code": "429", "param": None},
        ),
    ],
)
def test_a_refusal_comes_in_the_providers_words_and_with_its_pause(fields, told):
    error = Exception()
    vars(error).update(fields, status_code=429)
    response = _provider_error(error)
    assert response.status_code == 429
    assert json.loads(response.body)["error"] == {"type": "invalid_request_error", **told}
    assert response.headers.get("retry-after") == fields.get("litellm_response_headers", {}).get("retry-after")


async def test_an_unknown_teacher_is_a_404():
    response = await post({"model": "other", "messages": HI})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(("mock", "status"), [("litellm.RateLimitError", 429), ("litellm.InternalServerError", 500)])
async def test_a_providers_error_keeps_its_status(mock, status):
    response = await post({"model": "big", "messages": HI, "mock_response": mock})
    assert response.status_code == status and response.json()["error"]["message"]


@pytest.fixture
def settings(tmp_path):
    """Settings with one teacher of the given fields."""

    def make(**teacher):
        values = {
            "ledger": {"url": "sqlite:///ledger.db", "spool_dir": "spool"},
            "teachers": {"big": {"model": "openai/gpt-4o-mini", **teacher}},
            "student": {"base_model": "m", "price": {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}},
        }
        (tmp_path / "t.yaml").write_text(yaml.safe_dump(values))
        return load(tmp_path / "t.yaml")

    return make


def test_a_price_comes_from_the_settings_or_from_litellm(settings):
    price = {"input_usd_per_mtok": 2.5, "output_usd_per_mtok": 10}
    assert price_of("big", settings(price=price).teachers["big"]) == (Price(2.5e-6, 1e-5), "settings")
    found, source = price_of("big", settings().teachers["big"])
    assert found == Price(0.15e-6, 0.6e-6) and source.startswith("litellm 1.")


def test_a_listed_price_is_known_for_a_version_and_with_a_providers_prefix():
    assert listed_price("gpt-4o-mini-2024-07-18") == listed_price("openai/gpt-4o-mini") == Price(0.15e-6, 0.6e-6)
    assert listed_price("nobody-knows") is None


def test_an_unknown_price_is_an_error_that_says_what_to_set(settings):
    with pytest.raises(ConfigError, match=r"'openai/nobody-knows': set teachers\.big\.price\.input_usd_per_mtok"):
        price_of("big", settings(model="openai/nobody-knows").teachers["big"])


def test_prices_are_in_the_ledger_before_anything_is_served(settings, monkeypatch):
    monkeypatch.setenv("BIG_KEY", "sk-secret")
    found = settings(api_key_env="BIG_KEY")
    assert _prepare(found)["big"].api_key == "sk-secret"
    assert current_prices(connect(found.ledger.url)) == {"big": Price(0.15e-6, 0.6e-6)}


def test_a_missing_key_ends_it_with_status_2(settings, tmp_path, caplog):
    settings(api_key_env="NOT_SET_ANYWHERE")
    assert main([str(tmp_path / "t.yaml")]) == 2
    assert "NOT_SET_ANYWHERE" in caplog.text
