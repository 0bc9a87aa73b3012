"""POST /v1/feedback: what people say of an answer that they were given.

It goes to the ledger as exchanges do. Whoever knows an exchange's id may speak of it: nobody can guess one.
"""

import time
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ledger.records import Feedback
from router.endpoints import body_of, gateway_of, json_reply
from router.errors import BadRequest
from router.wire import read_fields

LONGEST_ID = 40
PREFIXES = ("chatcmpl-", "resp_")  # of the ids of replies


class _Said(msgspec.Struct):
    exchange_id: Annotated[str, msgspec.Meta(min_length=1)]
    good: bool | None = None
    correction: str | None = None


async def feedback(http: Request) -> Response:
    """POST /v1/feedback."""
    gateway, caller = gateway_of(http)
    _, said = read_fields(await body_of(http, gateway), _Said)
    record = Feedback(
        exchange_id=_exchange_id(said.exchange_id),
        at=time.time(),
        good=_good(said),
        correction=said.correction,
        key=caller.key,
    )
    if caller.grant.limited:  # it takes room in the spool, as a request does
        await gateway.limits.admit(caller, tokens=1, stream=False)
    gateway.heed(record)
    return json_reply({"object": "feedback", "exchange_id": record.exchange_id, "recorded": True})


def _exchange_id(sent: str) -> str:
    """As a client knows it: by header, or as the id of its reply."""
    prefix = next((prefix for prefix in PREFIXES if sent.startswith(prefix)), "")
    found = sent.removeprefix(prefix)
    if not (found.isascii() and found.isalnum()) or len(found) > LONGEST_ID:
        raise BadRequest("Not an exchange's id: x-tutelage-exchange-id of the reply, or its id", param="exchange_id")
    return found


def _good(said: _Said) -> bool:
    if said.correction is None:
        if said.good is None:
            raise BadRequest("Say whether the answer was good, or what it should have been", param="good")
        return said.good
    if said.good:
        raise BadRequest("An answer that was good needs no correction", param="correction")
    if not said.correction.strip():
        raise BadRequest("A correction is what should have been answered", param="correction")
    return False
