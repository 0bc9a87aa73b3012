"""Run by the interpreter of an openai client: `openai_check.py MODEL ROUTE TEXT`. Any rule that is broken raises."""

import asyncio
import sys

import openai
import pydantic

MESSAGES = [{"role": "user", "content": "Where is my parcel?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "locate",
        "description": "Where a parcel is.",
        "parameters": {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]},
    },
}


class Place(pydantic.BaseModel):
    name: str
    floor: int


def main(model: str, route: str, text: str) -> None:
    client = openai.OpenAI(max_retries=0)
    plain(client, model, route=route, text=text)
    streamed(client, model, route=route, text=text)
    asyncio.run(concurrent(model, text))
    tools_and_forms(client, model)
    errors(client)
    assert model in {each.id for each in client.models.list()}


def plain(client: openai.OpenAI, model: str, *, route: str, text: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=MESSAGES, seed=1, user="u")
    answer = raw.parse()
    assert raw.headers["x-tutelage-route"] == route, raw.headers
    assert raw.headers["x-request-id"] == answer._request_id
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (text, "stop")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def streamed(client: openai.OpenAI, model: str, *, route: str, text: str) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    assert raw.headers["x-tutelage-route"] == route, raw.headers
    chunks = list(raw.parse())
    assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == text
    assert chunks[-1].usage.completion_tokens > 0
    with client.chat.completions.stream(model=model, messages=MESSAGES) as stream:
        assert stream.get_final_completion().choices[0].message.content == text


async def concurrent(model: str, text: str) -> None:
    async with openai.AsyncOpenAI(max_retries=0) as client:
        asked = (client.chat.completions.create(model=model, messages=MESSAGES) for _ in range(8))
        assert {answer.choices[0].message.content for answer in await asyncio.gather(*asked)} == {text}


def tools_and_forms(client: openai.OpenAI, model: str) -> None:
    for stream in (False, True):
        if stream:
            with client.chat.completions.stream(model=model, messages=MESSAGES, tools=[TOOL]) as events:
                answer = events.get_final_completion()
        else:
            answer = client.chat.completions.create(model=model, messages=MESSAGES, tools=[TOOL])
        (call,) = answer.choices[0].message.tool_calls
        assert (call.function.name, answer.choices[0].finish_reason) == ("locate", "tool_calls")
        assert call.function.arguments == '{"number":"three"}'
    parsed = client.chat.completions.parse(model=model, messages=MESSAGES, response_format=Place)
    assert parsed.choices[0].message.parsed == Place(name="three", floor=3)
    several = client.chat.completions.create(model=model, messages=MESSAGES, n=2)
    assert [choice.index for choice in several.choices] == [0, 1]


def errors(client: openai.OpenAI) -> None:
    expect(openai.NotFoundError, client, model="nobody", code="model_not_found")
    expect(openai.BadRequestError, client, model="desk", temperature=9, param="temperature")
    expect(openai.AuthenticationError, client.with_options(api_key="sk-wrong"), model="desk", code="invalid_api_key")
    expect(openai.InternalServerError, client, model="gone", code="teacher_unavailable")


def expect(kind: type[openai.APIStatusError], client: openai.OpenAI, *, code=None, param=None, **fields) -> None:
    try:
        client.chat.completions.create(messages=MESSAGES, **fields)
    except kind as error:
        assert (error.code, error.param) == (code, param) or error.param == "model", error
        assert error.request_id
    else:
        raise AssertionError(f"{kind.__name__} was not raised")


if __name__ == "__main__":
    main(*sys.argv[1:])
