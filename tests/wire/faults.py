"""The faults of upstreams, and what a client sees of each on each route: tested, and printed as docs/faults.md.

`python -m tests.wire.faults` runs a rig and prints the table.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.wire import upstream
from tests.wire.answers import TEXT
from tests.wire.reading import DONE, Reply
from tests.wire.rig import Rig, running
from tests.wire.upstream import Act

LATE_S = 0.4
HTML = b"<html>Bad gateway</html>"
MODELS = {
    "desk": "student, judged whole",
    "essay": "student, judged by a prefix",
    "big": "teacher",
    "lite": "teacher through LiteLLM",
}


@dataclass(frozen=True)
class Fault:
    """`whole` and `stream`: what a client of the teacher's route sees. A student's fault leads to the teacher, but for
    what breaks behind the prefix (`breaks_late`), and where the student is only slow (`harmless`)."""

    name: str
    act: Act
    whole: str
    stream: str
    lite_whole: str | None = None
    lite_stream: str | None = None
    breaks_late: bool = False
    harmless: bool = False
    quick: bool = True

    def expected(self, model: str, *, stream: bool) -> str:
        """In the words of `Seen.words`."""
        if model == "desk" or (model == "essay" and not stream):
            return "answer by the student" if self.harmless else "answer by the teacher"
        if model == "essay":
            return self._behind_the_prefix()
        told = self.stream if stream else self.whole
        through_litellm = self.lite_stream if stream else self.lite_whole
        return through_litellm or told if model == "lite" else told

    def _behind_the_prefix(self) -> str:
        if self.breaks_late:
            return "error event"
        return "answer by the student" if self.harmless else "answer by the teacher"


ANSWER = "answer by the teacher"
FAULTS = [
    Fault("slow first byte", upstream.slow(first_s=LATE_S), ANSWER, ANSWER, harmless=True, quick=False),
    Fault("slow between chunks", upstream.slow(between_s=0.05), ANSWER, ANSWER, harmless=True, quick=False),
    Fault("nothing for too long before the first byte", upstream.hanging, "504", "504", quick=False),
    Fault(
        "nothing for too long between chunks", upstream.stalling, "504", "error event", breaks_late=True, quick=False
    ),
    Fault("connection dropped at once", upstream.resetting, "502", "502"),
    Fault("connection dropped half-way", upstream.breaking(after=7, cut=True), "502", "error event", breaks_late=True),
    Fault("stream ended half-way", upstream.breaking(after=7), "502", "error event", breaks_late=True),
    Fault("malformed chunk", upstream.breaking(b'{"choices": [{', after=7), "502", "error event", breaks_late=True),
    Fault(
        "chunk of another shape",
        upstream.breaking({"choices": [{"delta": "text"}]}, after=7),
        "502",
        "error event",
        breaks_late=True,
    ),
    Fault(
        "error event",
        upstream.breaking({"error": {"message": "overloaded", "code": 500}}, after=7),
        "502",
        "error event",
        breaks_late=True,
    ),
    Fault("429", upstream.status(429, retry_after="7"), "429", "429"),
    Fault("500", upstream.status(500), "502", "502"),
    Fault("503", upstream.status(503), "503", "503"),
    Fault("another content type", upstream.raw(HTML, kind="text/html"), "502", "502"),
    Fault("an empty body", upstream.raw(b"", kind="application/json"), "502", "502"),
    Fault("no log-probabilities", upstream.saying(sure=False), ANSWER, ANSWER),
]


@dataclass(frozen=True)
class Seen:
    """What a client saw, and how long it took."""

    reply: Reply
    stream: bool
    seconds: float

    @property
    def route(self) -> str:
        return self.reply.headers["x-tutelage-route"]

    @property
    def ok(self) -> bool:
        return self.words.startswith("answer")

    @property
    def words(self) -> str:
        if self.reply.status != 200:
            return str(self.reply.status)
        if not self.stream:
            whole = self.reply.json["choices"][0]["message"]["content"] == TEXT
            return f"answer by the {self.route}" if whole else "another answer"
        if self.reply.events[-1] == DONE:
            return f"answer by the {self.route}" if self.reply.text == TEXT else "another answer"
        return "error event" if "error" in self.reply.chunks[-1] else "silence"


def see(rig: Rig, fault: Fault, *, model: str, stream: bool) -> Seen:
    """Ask once while the upstream of the model's route fails."""
    failing = rig.student if model in ("desk", "essay") else rig.teacher
    begun = time.monotonic()
    with failing.doing(fault.act):
        reply = rig.ask(model, stream=stream)
    return Seen(reply, stream, time.monotonic() - begun)


def main() -> None:
    """Print what each fault looks like from outside."""
    write = sys.stdout.write
    write(f"| the upstream: | {' | '.join(MODELS.values())} |\n|---|{'---|' * len(MODELS)}\n")
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as rig:
        for fault in FAULTS:
            cells = [_cell(rig, fault, model) for model in MODELS]
            write(f"| {fault.name} | {' | '.join(cells)} |\n")


def _cell(rig: Rig, fault: Fault, model: str) -> str:
    found = []
    for stream in (False, True):
        found.append(see(rig, fault, model=model, stream=stream).words)
        rig.recover("big", "lite")
    whole, streamed = found
    return whole if whole == streamed else f"{whole}; streamed: {streamed}"


if __name__ == "__main__":
    main()
