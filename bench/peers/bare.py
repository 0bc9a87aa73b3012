"""The floor of any gateway in Python: uvicorn and our HTTP client as a plain relay, with nothing between them.

python -m bench.peers.bare PORT UPSTREAM_PORT
"""

import sys
from typing import Any

import uvicorn

from router.http_client import HttpClient, Patience

PATIENCE = Patience(total_s=60.0, connect_s=5.0)
JSON, EVENTS = b"application/json", b"text/event-stream"


class Relay:
    """A raw ASGI app: it parses and records nothing."""

    def __init__(self, upstream: str) -> None:
        self._upstream, self._http = upstream, HttpClient()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Health, or what the upstream answers."""
        if scope["method"] == "GET":
            await _whole(send, b"{}")
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        url, headers = self._upstream + scope["path"], {"content-type": "application/json"}
        async with await self._http.post(url, body, patience=PATIENCE, headers=headers) as response:
            if response.header("content-type") != EVENTS.decode():
                await _whole(send, await response.read())
                return
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", EVENTS)]})
            while events := await response.events():
                body = b"".join([b"data: %b\n\n" % event for event in events])
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


async def _whole(send: Any, body: bytes) -> None:
    headers = [(b"content-type", JSON), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Until it is stopped."""
    port, upstream = map(int, sys.argv[1:])
    quiet = {"access_log": False, "server_header": False, "proxy_headers": False, "log_level": "warning"}
    uvicorn.run(Relay(f"http://127.0.0.1:{upstream}"), host="127.0.0.1", port=port, lifespan="off", **quiet)


if __name__ == "__main__":
    main()
