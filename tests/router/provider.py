"""A scripted provider behind the teacher server, on loopback: it keeps what it was asked."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import litellm
import openai
from aiohttp import web

from router.teacher_server import Upstream, create_app


@dataclass
class Provider:
    """Answers every path with one body or one stream of events."""

    body: dict[str, Any] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def answer(self, http: web.Request) -> web.StreamResponse:
        self.asked.append((http.path, await http.json()))
        self.keys.append(http.headers["authorization"])
        if not self.events:
            return web.json_response(self.body, status=self.status, headers=self.headers)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(http)
        await response.write("".join(self.events).encode())
        return response


def data(**event: Any) -> str:
    """A server-sent event, named by its type where it has one."""
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n"


@asynccontextmanager
async def teacher_server(provider: Provider, model: str = "openai/gpt-4o-mini") -> AsyncIterator[httpx.AsyncClient]:
    """A client of the teacher server whose teacher "big" is this provider's model."""
    app = web.Application()
    app.router.add_post("/{path:.*}", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    server = create_app({"big": Upstream(model, "sk-secret", url, 5.0, 0)})
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://t") as client:
            yield client
    finally:
        await _close_clients()
        await runner.cleanup()


async def _close_clients() -> None:
    """LiteLLM keeps its clients; what is collected later would close connections on another test's loop."""
    kept = litellm.in_memory_llm_clients_cache
    for one in list(kept.cache_dict.values()):
        if isinstance(one, openai.AsyncOpenAI):
            await one.close()
    kept.flush_cache()
