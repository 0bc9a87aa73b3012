"""The demo's client: the official `openai` package, pointed at a gateway (or, to check, at the local teacher)."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from openai import AsyncOpenAI, OpenAIError
from openai.types import CompletionUsage

from tutelage.demo.plan import TEACHER

STREAM_EVERY = 5  # every fifth request is streamed


@dataclass(frozen=True)
class Sent:
    """One request as its client saw it. `answer` None: dropped, and `error` says how."""

    text: str
    at: float
    latency_s: float
    answer: str | None
    route: str = ""
    reason: str = ""
    release: str = ""
    usage: CompletionUsage | None = None
    error: str = ""


class Client:
    """Sends messages of one task. No retries: what the gateway drops is to be seen."""

    def __init__(self, base_url: str, *, system_prompt: str) -> None:
        self._openai = AsyncOpenAI(base_url=base_url, api_key="not-needed", max_retries=0, timeout=120.0)
        self._system_prompt = system_prompt
        self._count = 0

    def begun_with(self, system_prompt: str) -> "Client":
        """A client of the same gateway whose requests have another system message."""
        return Client(str(self._openai.base_url), system_prompt=system_prompt)

    async def send(self, text: str) -> Sent:
        """Ask about one message, streamed now and then."""
        self._count += 1
        at, started = time.time(), time.perf_counter()
        try:
            ask = self._streamed if self._count % STREAM_EVERY == 0 else self._whole
            answer, headers, usage = await ask(text)
        except OpenAIError as error:
            return Sent(text, at, time.perf_counter() - started, None, error=f"{type(error).__name__}: {error}")
        route, reason, release = (headers.get(f"x-tutelage-{name}", "") for name in ("route", "reason", "release"))
        return Sent(text, at, time.perf_counter() - started, answer, route, reason, release, usage)

    async def send_all(
        self, texts: Iterable[str], *, concurrency: int, seen: Callable[[Sent], None] = lambda _: None
    ) -> list[Sent]:
        """Ask about every message, `concurrency` at a time; results in the order of the messages."""
        left, found = enumerate(texts), dict[int, Sent]()

        async def lane() -> None:
            for number, text in left:
                found[number] = await self.send(text)
                seen(found[number])

        await asyncio.gather(*(lane() for _ in range(concurrency)))
        return [found[number] for number in sorted(found)]

    async def _whole(self, text: str) -> tuple[str, dict[str, str], CompletionUsage | None]:
        raw = await self._openai.chat.completions.with_raw_response.create(
            model=TEACHER, messages=self._messages(text), temperature=0
        )
        completion = raw.parse()
        return completion.choices[0].message.content or "", dict(raw.headers), completion.usage

    async def _streamed(self, text: str) -> tuple[str, dict[str, str], CompletionUsage | None]:
        raw = await self._openai.chat.completions.with_raw_response.create(
            model=TEACHER,
            messages=self._messages(text),
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        parts, usage = [], None
        async for chunk in raw.parse():
            parts += [choice.delta.content or "" for choice in chunk.choices]
            usage = chunk.usage or usage
        return "".join(parts), dict(raw.headers), usage

    def _messages(self, text: str):  # type: ignore[no-untyped-def]  # noqa: ANN202  the client's own union of dicts
        return [{"role": "system", "content": self._system_prompt}, {"role": "user", "content": text}]


@asynccontextmanager
async def trickle(client: Client, texts: Sequence[str], *, pause_s: float) -> AsyncIterator[list[Sent]]:
    """One request after the other, over and over, until the block ends; the list grows as they return."""
    sent: list[Sent] = []

    async def forever() -> None:
        for text in itertools.cycle(texts):
            sent.append(await client.send(text))
            await asyncio.sleep(pause_s)

    task = asyncio.create_task(forever())
    try:
        yield sent
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
