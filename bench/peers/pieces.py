"""What the gateway calls for each request and each scrape to account for it, called directly: CPU of this process.

    python -m bench.peers.pieces CONFIG.yaml ROUNDS CALLS SCRAPES

Of the ledger of `many`. Prints JSON. With PROMETHEUS_MULTIPROC_DIR set it counts as each of several processes does,
which the library decides on when it is imported: hence a process for each way.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bench.peers.answers import PROMPT_TOKENS
from bench.peers.many import in_force, traffic
from bench.peers.measure import PLAIN
from calibration.evidence import LONG, SHORT
from ledger.backlog import backlog
from ledger.database import connect
from ledger.prices import Price
from ledger.records import Draft, Exchange, TeacherReply, Usage
from ledger.seen import read
from ledger.spool import SpoolWriter
from router.cascade import Verdict
from router.gateway import Gateway
from router.metrics import SHARED_DIR, Metrics
from router.metrics_state import Contracted
from router.settings import load
from router.ticket import Outcome, Ticket
from router.usage import read_usage
from router.wire import parse_chat
from tests.fakes import RELEASE, MemorySpool, gateway

EVIDENCE = dict.fromkeys((*SHORT, *LONG), -0.123456789)
DRAFT = Draft("refund", "stop", EVIDENCE, Usage(PROMPT_TOKENS, 20), 0.001, 0.0002)
REPLY = TeacherReply("big", "refund", "stop", Usage(PROMPT_TOKENS, 20), 0.01, 0.0002)
SURE = Verdict("accepted", RELEASE, DRAFT, 0.99)
ENDED = {
    "the student's": (SURE, Outcome(200, "refund", None, 0.001)),
    "escalated": (msgspec.structs.replace(SURE, reason="unsure", score=0.1), Outcome(200, "refund", REPLY, 0.001)),
    "the teacher's": (Verdict("no_release"), Outcome(200, "refund", REPLY, 0.001)),
}
TOLD = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 0}}
PRICE = Price(1e-6, 2e-6, 5e-7)


@dataclass(frozen=True)
class Pieces:
    """Of one process. Microseconds a call beyond an empty one, one figure a round: {how a request ended: {piece:
    figures}}. Of a scrape CPU in milliseconds, one figure a scrape, and the page's size. `files`: it counts into
    files."""

    files: bool
    requests: dict[str, dict[str, list[float]]]
    ledger_ms: list[float]
    text_ms: list[float]
    bytes: int
    lines: int


def requests(*, rounds: int, calls: int) -> dict[str, dict[str, list[float]]]:
    """What each piece takes, all of them once a round."""
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        spool = SpoolWriter(Path(folder))
        subject = gateway(spool=spool)
        pieces = [(how, name, call) for how in ENDED for name, call in _pieces(subject, how)]
        for _ in range(rounds):
            empty = _us(_nothing, calls)
            for how, name, call in pieces:
                found.setdefault(how, {}).setdefault(name, []).append(_us(call, calls) - empty)
        spool.close()
    return found


def _pieces(subject: Gateway, how: str) -> Iterator[tuple[str, Callable[[], object]]]:
    verdict, outcome = ENDED[how]
    ticket, exchange = _ticket(subject), _exchange(verdict, outcome)
    yield "record", partial(subject.record, ticket, verdict, outcome)
    yield "write", partial(subject.spool.append, exchange)
    yield "count", partial(subject.metrics.count, exchange)
    yield "dollars", partial(_dollars, verdict, outcome)


def _ticket(subject: Gateway) -> Ticket:
    _, _, body = PLAIN.message("desk").partition(b"\r\n\r\n")
    caller = subject.keyring.caller("", now=time.time())
    return subject.admit(parse_chat(body), task_header=None, priority="normal", caller=caller)


def _exchange(verdict: Verdict, outcome: Outcome) -> Exchange:
    """As the gateway puts it together."""
    spool = MemorySpool()
    subject = gateway(spool=spool)
    subject.record(_ticket(subject), verdict, outcome)
    (exchange,) = spool.records
    assert isinstance(exchange, Exchange)
    return exchange


def _dollars(verdict: Verdict, outcome: Outcome) -> None:
    """What student and teacher work out before: vLLM's usage is decoded with its answer, a teacher's is read."""
    if verdict.draft is not None:
        PRICE.cost(verdict.draft.usage)
    if outcome.teacher_reply is not None:
        PRICE.cost(read_usage(TOLD) or Usage())


def _nothing() -> None:
    pass


def _us(call: Callable[[], object], calls: int) -> float:
    """CPU of the whole process, the thread that syncs the spool among it."""
    began = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - began) / calls * 1e6


def scrapes(config: Path, *, count: int) -> dict[str, Any]:
    """The ledger's part and the text's, as for GET /metrics."""
    settings = load(config)
    engine = connect(settings.ledger.url)
    tasks = settings.tasks.items()
    metrics = Metrics(
        tasks={name: Contracted(task.teacher, task.alpha, task.rho, task.alarm_references) for name, task in tasks}
    )
    for each in traffic():
        metrics.count(each)
    ledger_ms, text_ms = [], []
    for _ in range(count):
        began = time.process_time()
        seen = read(engine, now=time.time())
        waiting = backlog(settings.ledger.spool_dir, seen.offsets)
        looked = time.process_time()
        page = metrics.exposition(releases=in_force(), seen=seen, backlog=waiting)
        ledger_ms.append((looked - began) * 1e3)
        text_ms.append((time.process_time() - looked) * 1e3)
    engine.dispose()
    return {"ledger_ms": ledger_ms, "text_ms": text_ms, "bytes": len(page), "lines": page.count(b"\n")}


def main() -> None:
    """Measure and print."""
    config, rounds, calls, count = sys.argv[1:]
    asked, page = requests(rounds=int(rounds), calls=int(calls)), scrapes(Path(config), count=int(count))
    sys.stdout.buffer.write(msgspec.json.encode(Pieces(SHARED_DIR in os.environ, asked, **page)))


if __name__ == "__main__":
    main()
