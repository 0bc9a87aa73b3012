"""Requests to OpenAI's Responses API that hold state, passed on by the teacher server as they are.

LiteLLM's own call of it needs the `mcp` package with eleven others, for tools that nobody here serves. OpenAI's client
passes body and reply on unread, so what the provider adds tomorrow goes through as well.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import openai
from starlette.responses import Response, StreamingResponse

PREFIX = "openai/"  # of the models whose provider has this API


def speaks_responses(model: str) -> bool:
    """Whether a LiteLLM model string names OpenAI's API, or a server that is like it."""
    return model.startswith(PREFIX)


async def pass_on(
    body: dict[str, Any], *, model: str, api_key: str, base_url: str | None, patience: httpx.Timeout, retries: int
) -> Response:
    """The provider's reply, whole or as its stream. Raises openai.OpenAIError before its first byte."""
    async with AsyncExitStack() as stack:
        client = openai.AsyncOpenAI(api_key=api_key, base_url=base_url, timeout=patience, max_retries=retries)
        await stack.enter_async_context(client)
        call = client.responses.with_streaming_response.create(model=model.removeprefix(PREFIX), extra_body=body)
        reply = await stack.enter_async_context(call)
        media_type = reply.headers.get("content-type", "application/json")
        if not body.get("stream"):
            return Response(await reply.read(), media_type=media_type)
        return StreamingResponse(_bytes(reply, stack.pop_all()), media_type=media_type)


async def _bytes(reply: Any, connection: AsyncExitStack) -> AsyncIterator[bytes]:
    """A stream that breaks ends without its last event; the gateway says so to its client."""
    async with connection:
        try:
            async for part in reply.iter_bytes():
                yield part
        except openai.OpenAIError:
            return
