"""What holds state goes to OpenAI's Responses API as it is, and comes back as it is."""

import pytest

from tests.router.provider import Provider, data, teacher_server

ASKED = {"input": "hi", "previous_response_id": "resp_0", "store": True, "a_field_from_the_future": 1}
RESPONSE = {"id": "resp_1", "object": "response", "output": [{"type": "something_new"}], "also": "new"}


async def test_request_and_reply_are_passed_on_unread():
    provider = Provider(RESPONSE)
    async with teacher_server(provider) as client:
        response = await client.post("/v1/responses", json={"model": "big", **ASKED})
    assert response.json() == RESPONSE
    assert provider.asked == [("/v1/responses", {"model": "gpt-4o-mini", **ASKED})]


async def test_so_is_a_stream():
    events = [data(type="response.created", sequence_number=0), data(type="response.completed", sequence_number=1)]
    provider = Provider(events=events)
    async with teacher_server(provider) as client:
        response = await client.post("/v1/responses", json={"model": "big", "stream": True, **ASKED})
    assert response.text == "".join(events) and response.headers["content-type"].startswith("text/event-stream")
    assert provider.asked[0][1]["stream"] is True


@pytest.mark.parametrize("model", ["anthropic/claude-3-haiku-20240307", "ollama/llama3"])
async def test_a_provider_without_this_api_is_not_asked(model):
    provider = Provider(RESPONSE)
    async with teacher_server(provider, model) as client:
        response = await client.post("/v1/responses", json={"model": "big", **ASKED})
    assert response.status_code == 400 and "leave store" in response.json()["error"]["message"]
    assert provider.asked == []
