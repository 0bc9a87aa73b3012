"""kill -9 of every process at every stage of the loop, under load: what is lost or doubled, and how long it shows.

    python -m bench.kills [--minutes 60] [--out kills.md]

`tutelage up`, real vLLM and a real LoRA on an easy task, and clients that go on asking. Four stages: the teacher
answers alone, a student is trained, it is certified, it serves. The worker makes releases by itself, one after the
other, until every kill has been done. Where `up` itself is killed everything ends with it; it is started again at once,
as a service manager does.
"""

import argparse
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import sqlalchemy as sa

from bench.load import Load
from bench.product import Product, easy_product
from ledger.ingest import lag_bytes
from ledger.releases import history
from ledger.schema import exchanges, releases
from tutelage.demo.plan import TASK
from tutelage.provision import Home, ensure_demo_model, ensure_vllm

CLIENTS, PAUSE_S = 4, 0.8  # some five requests a second
SERVING = ("gateway", "teacher", "ingester", "student", "engine")
STAGES = {
    "teacher only": (*SERVING, "worker", "supervisord", "up"),
    "training": (*SERVING, "run", "worker"),
    "certifying": (*SERVING, "run", "worker"),
    "serving": (*SERVING, "worker", "supervisord", "up"),
}
WATCH_S = 8.0  # after a process is back, for what its clients see late
LIMIT_S = 900.0


@dataclass(frozen=True)
class Kill:
    """What clients saw of one: the longest time without a whole answer, and the requests that got none."""

    stage: str
    victim: str
    gap_s: float
    failed: dict[int, int]
    back_s: float


class Watch:
    """Samples what must never be: two runs at once, two champions."""

    def __init__(self, product: Product) -> None:
        self.most_runs = self.most_champions = 0
        self._product = product
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        champions = sa.select(sa.func.count()).where(releases.c.status == "champion")
        while not self._stop.wait(0.2):
            self.most_runs = max(self.most_runs, len(self._product.runs()))
            with self._product.engine.connect() as connection:
                self.most_champions = max(self.most_champions, int(connection.execute(champions).scalar_one()))


def play(product: Product, load: Load, *, until: float) -> Iterator[Kill]:
    """Every kill, each in its stage, whichever stage comes. Raises Waited where time is up (in `time.monotonic`)."""
    left = {stage: list(victims) for stage, victims in STAGES.items()}
    while any(left.values()):
        _until(lambda: time.monotonic() > until or bool(left.get(product.stage())), f"a stage of {left}")
        if time.monotonic() > until:
            raise Waited(f"time is up, left are {left}")
        stage = product.stage()
        if left.get(stage) and (pid := product.pid(left[stage][0])):
            yield _kill(product, load, stage=stage, victim=left[stage].pop(0), pid=pid)


def _kill(product: Product, load: Load, *, stage: str, victim: str, pid: int) -> Kill:
    seen, at = len(load.answers), time.time()
    supervisor = product.pid("supervisord")
    os.kill(pid, signal.SIGKILL)
    if victim == "up":
        product.parts["up"].start()
        _until(lambda: product.pid("supervisord") not in (None, supervisor), "another supervisor", tick_s=0.1)
    _until(lambda: product.back(victim, killed=pid), f"{victim} to be back", tick_s=0.1)
    back = time.time()
    time.sleep(WATCH_S)
    since = load.answers[max(0, seen - 1) :]
    whole = [at, *(answer.at for answer in since if answer.status == 200)]
    gaps = [after - before for before, after in pairwise(whole)]
    failed = Counter(answer.status for answer in since if answer.status != 200)
    return Kill(stage, victim, max(gaps, default=0.0), dict(failed), back - at)


class Waited(Exception):
    """What has to come does not; the message says what it is."""


def _until(condition: Callable[[], bool], what: str, *, tick_s: float = 0.3) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise Waited(f"{LIMIT_S:.0f} s were waited in vain for {what}")
        time.sleep(tick_s)


def report(product: Product, load: Load, watch: Watch, *, kills: list[Kill]) -> str:
    """Markdown: a row a kill, and what the ledger holds against what clients were answered."""
    _until(lambda: lag_bytes(product.engine, product.settings.ledger.spool_dir) == 0, "the ingester")
    query = sa.select(exchanges.c.id).where(exchanges.c.origin == "client", exchanges.c.status == 200)
    with product.engine.connect() as connection:
        recorded = set(connection.execute(query).scalars())
    answered = load.answered
    rows = [f"| {k.stage} | {k.victim} | {k.gap_s:.1f} | {_words(k.failed)} | {k.back_s:.1f} |" for k in kills]
    made = Counter(release.status for release in history(product.engine, TASK))
    once = set(answered)
    totals = (
        f"{len(answered)} requests were answered: {len(once - recorded)} of them are not in the ledger, "
        f"{len(answered) - len(once)} have an id twice. {len(recorded - once)} are in the ledger whose client got no "
        f"whole answer ({len(kills)} kills, {CLIENTS} clients). At most {watch.most_runs} run at a time and "
        f"{watch.most_champions} champion. Releases: {dict(made)}."
    )
    head = "| stage | killed | longest time without an answer, s | failed requests | back after, s |"
    return "\n".join([head, "|---|---|---|---|---|", *rows, "", totals])


def _words(failed: dict[int, int]) -> str:
    named = {0: "cut off"}
    return ", ".join(f"{count} x {named.get(status, status)}" for status, count in sorted(failed.items())) or "none"


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.kills")
    parser.add_argument("--minutes", type=float, default=60.0, help="at most; what is not done by then is told")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    home = Home.from_environment()
    ensure_vllm(home, say=print)
    ensure_demo_model(home, say=print)
    product, texts = easy_product(Path(tempfile.mkdtemp(prefix="kills-")), home, releases=len(STAGES))
    kills, failure = list[Kill](), ""
    with product.up():
        with Load(product.chat_url, iter(texts), clients=CLIENTS, pause_s=PAUSE_S) as load, Watch(product) as watch:
            try:
                for kill in play(product, load, until=time.monotonic() + 60.0 * options.minutes):
                    print(kill, flush=True)
                    kills.append(kill)
            except Waited as error:
                failure = f"\n\nNot all were done: {error}."
        text = report(product, load, watch, kills=kills) + failure
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    raise SystemExit(1 if failure else 0)


if __name__ == "__main__":
    main()
