"""LiteLLM is real, its provider is scripted, the network is not asked."""

import json

import pytest
import yaml

from ledger.database import connect
from ledger.prices import Price, current_prices
from router.rationale import Heard, thought
from router.settings import ConfigError, load
from router.teacher import REFUSES
from router.teacher_logprobs import taken
from router.teacher_server import _prepare, _provider_error, listed_price, main, price_of
from tests.router.provider import Provider, data, teacher_server

HI = [{"role": "user", "content": "hi"}]
CHAT = "/v1/chat/completions"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
SAID = {"index": 0, "message": {"role": "assistant", "content": "refund"}, "finish_reason": "stop"}
COMPLETION = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [SAID], "usage": USAGE}


def chunk(kind, **choice):
    return data(id="c", object=kind, created=1, model="m", choices=[{"index": 0, **choice}])


async def test_an_answer_is_a_completion_with_usage():
    async with teacher_server(Provider(COMPLETION)) as client:
        body = (await client.post(CHAT, json={"model": "big", "messages": HI})).json()
    assert body["choices"][0]["message"]["content"] == "refund" and body["usage"]["completion_tokens"] == 2


async def test_a_stream_ends_with_done():
    texts = [chunk("chat.completion.chunk", delta={"content": text}) for text in ("a refund", ", please")]
    end = chunk("chat.completion.chunk", delta={}, finish_reason="stop")
    async with teacher_server(Provider(events=[*texts, end, "data: [DONE]\n\n"])) as client:
        response = await client.post(CHAT, json={"model": "big", "messages": HI, "stream": True})
    events = response.text.strip().split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == "a refund, please"
    assert events[-1] == "data: [DONE]"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_what_a_provider_tells_of_its_thoughts_is_told_on(name):
    pieces = [chunk("chat.completion.chunk", delta={name: text}) for text in ("money ", "back")]
    end = chunk("chat.completion.chunk", delta={"content": "refund"}, finish_reason="stop")
    streamed = Provider(events=[*pieces, end, "data: [DONE]\n\n"])
    async with teacher_server(streamed) as client:
        response = await client.post(CHAT, json={"model": "big", "messages": HI, "stream": True})
    events = [json.loads(each.removeprefix("data: ")) for each in response.text.strip().split("\n\n")[:-1]]
    heard = Heard()
    for each in events:
        heard.add(each["choices"][0]["delta"])
    message = {"role": "assistant", "content": "refund", name: "money back"}
    whole = Provider(COMPLETION | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    async with teacher_server(whole) as client:
        body = (await client.post(CHAT, json={"model": "big", "messages": HI})).json()
    assert heard.text == thought(body["choices"][0]["message"]) == "money back"


async def test_a_stream_that_the_provider_broke_off_is_not_said_to_be_whole():
    provider = Provider(events=[chunk("chat.completion.chunk", delta={"content": "a refund"})])
    async with teacher_server(provider) as client:
        response = await client.post(CHAT, json={"model": "big", "messages": HI, "stream": True})
    *_, last = response.text.strip().split("\n\n")
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


@pytest.mark.parametrize("path", ["chat/completions", "completions", "embeddings", "responses"])
async def test_an_unknown_teacher_is_a_404(path):
    async with teacher_server(Provider()) as client:
        response = await client.post(f"/v1/{path}", json={"model": "other", "messages": HI})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("path", ["chat/completions", "responses"])
@pytest.mark.parametrize("status", [429, 500])
async def test_a_providers_error_keeps_its_status(path, status):
    provider = Provider({"error": {"message": "not now"}}, status=status)
    async with teacher_server(provider) as client:
        response = await client.post(f"/v1/{path}", json={"model": "big", "messages": HI, "input": "hi"})
    assert response.status_code == status and "not now" in response.json()["error"]["message"]


TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
FIELDS = {
    "messages": HI,
    "tools": TOOLS,
    "tool_choice": "auto",
    "response_format": {"type": "json_object"},
    "seed": 3,
    "stop": ["."],
    "user": "u",
    "metadata": {"a": "b"},
    "store": True,
    "logprobs": True,
    "top_logprobs": 2,
    "a_field_from_the_future": {"x": 1},
}


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "openai/a-model-of-my-own"])
async def test_every_field_of_a_client_reaches_the_provider(model):
    provider = Provider(COMPLETION)
    async with teacher_server(provider, model) as client:
        assert (await client.post(CHAT, json={"model": "big", **FIELDS})).status_code == 200
    assert provider.asked == [(CHAT, {"model": model.removeprefix("openai/"), **FIELDS})]


TOKEN = {
    "token": "a",
    "logprob": -0.25,
    "bytes": [97],
    "top_logprobs": [{"token": "b", "logprob": -1.6, "bytes": [98]}],
}
ASKED = {"model": "big", "messages": HI, "logprobs": True, "top_logprobs": 1}


async def test_log_probabilities_come_as_their_provider_wrote_them():
    told = {"content": [TOKEN], "refusal": None}
    body = {**COMPLETION, "choices": [{**SAID, "logprobs": told}]}
    async with teacher_server(Provider(body)) as client:
        (choice,) = (await client.post(CHAT, json=ASKED)).json()["choices"]
    assert taken(choice, top=5) == [[("a", -0.25), ("b", -1.6)]]
    pieces = [chunk("chat.completion.chunk", delta={"content": "a"}, logprobs=told) for _ in range(2)]
    end = chunk("chat.completion.chunk", delta={}, finish_reason="stop")
    async with teacher_server(Provider(events=[*pieces, end, "data: [DONE]\n\n"])) as client:
        response = await client.post(CHAT, json={**ASKED, "stream": True})
    events = [json.loads(event.removeprefix("data: ")) for event in response.text.strip().split("\n\n")[:-1]]
    found = [place for event in events for place in taken(event["choices"][0], top=5)]
    assert found == [[("a", -0.25), ("b", -1.6)]] * 2


async def test_a_model_without_log_probabilities_refuses_them_before_it_is_asked():
    provider = Provider(COMPLETION)
    async with teacher_server(provider, "anthropic/claude-3-5-haiku-20241022") as client:
        response = await client.post(CHAT, json=ASKED)
    assert (response.status_code in REFUSES, provider.asked) == (True, [])


async def test_a_client_cannot_have_our_key_sent_elsewhere_or_an_answer_made_up():
    tricks = {"api_base": "http://127.0.0.1:1/v1", "base_url": "http://127.0.0.1:1/v1", "api_key": "mine"}
    tricks |= {"mock_response": "made up", "custom_llm_provider": "anthropic", "fallbacks": ["x"], "timeout": 0.001}
    provider = Provider(COMPLETION)
    async with teacher_server(provider) as client:
        response = await client.post(CHAT, json={"model": "big", "messages": HI, **tricks})
    assert response.json()["choices"][0]["message"]["content"] == "refund"
    assert provider.keys == ["Bearer sk-secret"]


@pytest.mark.parametrize(("sent", "embedding"), [({}, [0.5, 0.25]), ({"encoding_format": "base64"}, "AAAAPwAAgD4=")])
async def test_embeddings_are_as_their_provider_wrote_them(sent, embedding):
    one = {"object": "embedding", "index": 0, "embedding": embedding}
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    provider = Provider({"object": "list", "model": "m", "data": [one], "usage": usage})
    async with teacher_server(provider, "openai/text-embedding-3-small") as client:
        body = (await client.post("/v1/embeddings", json={"model": "big", "input": ["a"], "new": 1, **sent})).json()
    assert body["data"] == [one] and body["usage"]["prompt_tokens"] == 3
    assert provider.asked == [("/v1/embeddings", {"model": "text-embedding-3-small", "input": ["a"], "new": 1, **sent})]


async def test_a_legacy_completion_is_one_whole_or_streamed():
    text = {"index": 0, "text": "a refund", "finish_reason": "stop", "logprobs": None}
    whole = {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [text], "usage": USAGE}
    body = {"model": "big", "prompt": "say", "suffix": "."}
    async with teacher_server(Provider(whole), "openai/gpt-3.5-turbo-instruct") as client:
        said = (await client.post("/v1/completions", json=body)).json()
    pieces = [chunk("text_completion", text="a "), chunk("text_completion", text="refund", finish_reason="stop")]
    provider = Provider(events=[*pieces, "data: [DONE]\n\n"])
    async with teacher_server(provider, "openai/gpt-3.5-turbo-instruct") as client:
        streamed = (await client.post("/v1/completions", json={**body, "stream": True})).text
    events = [json.loads(event.removeprefix("data: ")) for event in streamed.strip().split("\n\n")[:-1]]
    assert said["choices"][0]["text"] == "a refund"
    assert "".join(choice.get("text") or "" for event in events for choice in event["choices"]) == "a refund"
    asked = {"prompt": "say", "suffix": ".", "model": "gpt-3.5-turbo-instruct", "stream": True}
    assert provider.asked == [("/v1/completions", asked)]


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


GPT_4O_MINI = Price(0.15e-6, 0.6e-6, 0.075e-6)


def test_a_price_comes_from_the_settings_or_from_litellm(settings):
    price = {"input_usd_per_mtok": 2.5, "output_usd_per_mtok": 10}
    assert price_of("big", settings(price=price).teachers["big"]) == (Price(2.5e-6, 1e-5), "settings")
    cached = {**price, "cached_input_usd_per_mtok": 0.25}
    assert price_of("big", settings(price=cached).teachers["big"])[0] == Price(2.5e-6, 1e-5, 0.25e-6)
    found, source = price_of("big", settings().teachers["big"])
    assert found == GPT_4O_MINI and source.startswith("litellm 1.")


def test_a_listed_price_is_known_for_a_version_and_with_a_providers_prefix():
    assert listed_price("gpt-4o-mini-2024-07-18") == listed_price("openai/gpt-4o-mini") == GPT_4O_MINI
    assert listed_price("nobody-knows") is None


def test_a_model_that_the_table_has_for_nothing_has_no_known_price(settings, monkeypatch):
    free = {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
    monkeypatch.setattr("router.teacher_server.litellm.get_model_info", lambda model: free)
    assert listed_price("own/model") is None
    with pytest.raises(ConfigError, match=r"teachers\.big: LiteLLM knows no price"):
        price_of("big", settings().teachers["big"])
    nothing = {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}
    assert price_of("big", settings(price=nothing).teachers["big"]) == (Price(0.0, 0.0), "settings")


def test_an_embedding_costs_what_it_reads(settings):
    assert listed_price("openai/text-embedding-3-small") == Price(2e-8, 0.0)


def test_an_unknown_price_is_an_error_that_says_what_to_set(settings):
    with pytest.raises(ConfigError, match=r"'openai/nobody-knows': set teachers\.big\.price\.input_usd_per_mtok"):
        price_of("big", settings(model="openai/nobody-knows").teachers["big"])


def test_prices_are_in_the_ledger_before_anything_is_served(settings, monkeypatch):
    monkeypatch.setenv("BIG_KEY", "sk-secret")
    found = settings(api_key_env="BIG_KEY")
    assert _prepare(found)["big"].api_key == "sk-secret"
    assert current_prices(connect(found.ledger.url)) == {"big": GPT_4O_MINI}


def test_a_missing_key_ends_it_with_status_2(settings, tmp_path, caplog):
    settings(api_key_env="NOT_SET_ANYWHERE")
    assert main([str(tmp_path / "t.yaml")]) == 2
    assert "NOT_SET_ANYWHERE" in caplog.text
