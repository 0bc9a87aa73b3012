"""POST /v1/responses: a chat in other words, on either route; what is no chat goes to the teacher's provider."""

import time
from collections.abc import AsyncGenerator
from functools import partial

import orjson
from starlette.requests import Request
from starlette.responses import Response

from router.api import answer
from router.api_passed import pass_on
from router.endpoints import body_of, gateway_of, json_reply
from router.passed import of_responses
from router.relay import EventStream
from router.responses_stream import stream_events
from router.wire_responses import ResponsesRequest, Shell, parse_responses, response


async def responses(http: Request) -> Response:
    """POST /v1/responses."""
    gateway, caller = gateway_of(http)
    asked = parse_responses(await body_of(http, gateway))
    if asked.chat is None:
        return await pass_on(http, gateway, asked=of_responses(asked), caller=caller)
    return _retold(await answer(http, gateway, request=asked.chat, caller=caller), asked)


def _retold(reply: Response, asked: ResponsesRequest) -> Response:
    """A chat's reply in the words of the Responses API, under the same headers."""
    shell = Shell(reply.headers["x-tutelage-exchange-id"], int(time.time()), asked)
    tell = partial(stream_events, shell=shell)
    if isinstance(reply, EventStream):
        return reply.told_as(tell)
    headers = {name: value for name, value in reply.headers.items() if not name.startswith("content-")}
    if asked.stream:
        return EventStream(tell(_all(bytes(reply.body))), headers)
    return json_reply(response(shell, orjson.loads(reply.body)), headers=headers)


async def _all(events: bytes) -> AsyncGenerator[bytes, None]:
    yield events
