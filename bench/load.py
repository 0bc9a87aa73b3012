"""Clients that ask without end, and what they were answered."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from tutelage.demo.plan import TASK


@dataclass(frozen=True)
class Answer:
    """One request as its client saw it. `status` 0: no whole reply came; `exchange_id` only where one did."""

    at: float
    status: int
    exchange_id: str = ""
    route: str = ""


class Load:
    """A context manager: `clients` threads that ask from `with` on, every second one streamed, each `pause_s` after its
    last reply. `texts` may end no sooner than the block. With a temperature above 0 the teacher answers."""

    def __init__(
        self, url: str, texts: Iterator[str], *, clients: int, pause_s: float = 0.0, temperature: float = 0.0
    ) -> None:
        self.answers: list[Answer] = []
        self._url = url
        self._texts = texts
        self._pause_s = pause_s
        self._temperature = temperature
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(n % 2 == 0,)) for n in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def answered(self) -> list[str]:
        """The exchanges of whole answers."""
        return [answer.exchange_id for answer in self.answers if answer.status == 200]

    @property
    def statuses(self) -> list[int]:
        """Of every reply that came whole, in the order in which they came."""
        return [answer.status for answer in self.answers if answer.status]

    def _client(self, stream: bool) -> None:
        with httpx.Client(timeout=60.0) as http:
            while not self._stop.wait(self._pause_s):
                with self._lock:
                    text = next(self._texts)
                self.answers.append(self._ask(http, text, stream=stream))

    def _ask(self, http: httpx.Client, text: str, *, stream: bool) -> Answer:
        messages = [{"role": "user", "content": text}]
        body = {"model": TASK, "messages": messages, "stream": stream, "temperature": self._temperature}
        try:
            response = http.post(self._url, json=body)  # reads the whole body
        except httpx.HTTPError:
            self._stop.wait(0.05)
            return Answer(time.time(), 0)
        if response.status_code == 200 and stream and not response.text.endswith("[DONE]\n\n"):
            return Answer(time.time(), 0)
        found = (response.headers.get(f"x-tutelage-{name}", "") for name in ("exchange-id", "route"))
        return Answer(time.time(), response.status_code, *found)
