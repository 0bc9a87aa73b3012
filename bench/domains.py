"""CLINC150, its ten domains opened one after another, and nobody but the worker: does the student follow?

    python -m bench.domains ../shared/data/clinc150 [--rounds 5] [--seed 0] [--requests 3200] [--out domains.json]

In each round two more domains of fifteen intents join the traffic, the second when half of the round is over; every
open domain is as likely as another. The worker trains, certifies, switches and alarms as it sees fit, while clients go
on asking until a release is in force, to a limit; or, with `--requests`, for so many in every round, so that runs can
be compared by what the student has answered of all traffic. A round ends with messages that were never sent before:
every answer of the student to one of them is compared with the local teacher's.

A domain has 1350 messages for traffic, which are used again when they run out, and 450 to measure with, which are not.
"""

import argparse
import asyncio
import csv
import itertools
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.product import Product
from calibration.agreement import disagreement
from calibration.bounds import binomial_interval
from ledger.queries import Spend, spend
from ledger.releases import Release, champions, history
from tutelage.demo.plan import TASK
from tutelage.demo.traffic import Client
from tutelage.provision import Home, ensure_demo_model, ensure_vllm

OPENED = 2  # domains a round
REQUESTS, MEASURED = 1600, 300  # of a round
MORE, MOST = 200, 3200  # so many at a time where no release is in force yet, and so many in all
SPARE = 450  # of a domain's messages, to measure with: enough for ten domains
CONCURRENCY = 8
QUIET_S = 20.0  # no run and no candidate for so long: the worker has nothing to do
TASK_SETTINGS = {"rho": 0.5, "alarm_references": 1000.0, "max_tokens": 16}
DISTILL = {
    "window_share": 0.4,
    "fit_share": 0.2,
    "min_rows": 700,
    "max_rows": 2000,
    "min_references": 200,
    "max_references": 500,
    "new_rows": 1000,
    "max_escalation_rate": 0.3,
    "epochs": 2,
}


@dataclass(frozen=True)
class Round:
    """What one round came to. `interval`: 95 %, of `agreement`. `share`, `agreement`: of the measured part; requests,
    the share of them that the student answered, dollars, and what they would be if the teacher had answered each at its
    mean price: of the traffic before it."""

    domains: list[str]
    intents: int
    requests: int
    answered: float
    releases: list[str]
    in_force: str | None
    share: float
    agreement: float | None
    interval: tuple[float, float] | None
    spent_usd: float
    teacher_only_usd: float | None
    trained_s: float
    seconds: float


class Messages:
    """The texts of each domain, shuffled: an endless supply for traffic, and spare ones."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        rng = random.Random(seed)
        found = json.loads((folder / "train_val.json").read_text())
        by_intent: dict[str, list[str]] = {}
        for text, intent in (*found["train"], *found["val"]):
            by_intent.setdefault(intent, []).append(text)
        self.pairs = [(text, intent) for intent, texts in by_intent.items() for text in texts]
        self.domains: dict[str, list[str]] = json.loads((folder / "domains.json").read_text())
        self.order = rng.sample(sorted(self.domains), len(self.domains))
        self._rng = rng
        self._traffic: dict[str, Iterator[str]] = {}
        self._spare: dict[str, list[str]] = {}
        for domain in self.order:
            texts = [text for intent in self.domains[domain] for text in by_intent[intent]]
            rng.shuffle(texts)
            self._spare[domain], self._traffic[domain] = texts[:SPARE], itertools.cycle(texts[SPARE:])

    def traffic(self, domains: Sequence[str], count: int) -> list[str]:
        """So many messages, each of a domain drawn at random."""
        return [next(self._traffic[self._rng.choice(domains)]) for _ in range(count)]

    def unseen(self, domains: Sequence[str], count: int) -> list[str]:
        """Messages that nobody has sent, in equal parts."""
        each = -(-count // len(domains))
        return [self._spare[domain].pop() for domain in domains for _ in range(each)][:count]


async def play(
    product: Product, messages: Messages, *, count: int, each: int | None, done: Callable[[list[Round]], None]
) -> None:
    """All rounds in turn, of `each` requests, None: until a release is in force; `done` gets those so far after
    every one."""
    gateway = Client(product.url, system_prompt=product.plan.system_prompt)
    rounds: list[Round] = []
    for number in range(OPENED, OPENED * count + 1, OPENED):
        opened, started, known = messages.order[:number], time.time(), _names(product)
        for so_many in range(number - OPENED + 1, number + 1):
            texts = messages.traffic(messages.order[:so_many], REQUESTS // OPENED)
            await gateway.send_all(texts, concurrency=CONCURRENCY)
        await _settled(product)
        for _ in range(REQUESTS, each or MOST, MORE):
            if each is None and TASK in champions(product.engine):
                break
            await gateway.send_all(messages.traffic(opened, MORE), concurrency=CONCURRENCY)
            await _settled(product)
        spent = spend(product.engine, TASK, since=started)
        made = [release for release in history(product.engine, TASK) if release.name not in known]
        champion = champions(product.engine).get(TASK)
        found = Round(
            domains=opened[-OPENED:],
            intents=15 * number,
            requests=spent.requests,
            answered=spent.student_answers / spent.requests,
            releases=[f"{_short(release)} {release.status}" for release in made],
            in_force=_short(champion) if champion else None,
            spent_usd=spent.total_usd,
            teacher_only_usd=_teacher_only(spent),
            trained_s=sum((release.report or {}).get("training", {}).get("seconds", 0.0) for release in made),
            **await _quality(product, gateway, messages.unseen(opened, MEASURED)),
            seconds=time.time() - started,
        )
        rounds.append(found)
        done(rounds)


def _teacher_only(spent: Spend) -> float | None:
    answered = spent.requests - spent.student_answers
    return spent.teacher_usd / answered * spent.requests if answered else None


async def _quality(product: Product, gateway: Client, texts: list[str]) -> dict[str, Any]:
    """Share, agreement and its interval, as `Round` has them."""
    teacher = Client(f"http://127.0.0.1:{product.ports.local_teacher}/v1", system_prompt=product.plan.system_prompt)
    sent = await gateway.send_all(texts, concurrency=CONCURRENCY)
    drafted = [each for each in sent if each.route == "student"]
    truth = await teacher.send_all([each.text for each in drafted], concurrency=CONCURRENCY)
    wrong = sum(bool(disagreement(ours.answer, theirs.answer)) for ours, theirs in zip(drafted, truth, strict=True))
    low, high = binomial_interval(wrong, len(drafted)) if drafted else (0.0, 1.0)
    return {
        "share": len(drafted) / len(sent),
        "agreement": 1.0 - wrong / len(drafted) if drafted else None,
        "interval": (1.0 - high, 1.0 - low) if drafted else None,
    }


def _short(release: Release) -> str:
    return release.name.rpartition("--")[2]


async def _settled(product: Product) -> None:
    """Until the worker has had nothing to do for a while."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_S:
        if product.runs():
            quiet_since = time.monotonic()
        await asyncio.sleep(1.0)


def _names(product: Product) -> set[str]:
    return {release.name for release in history(product.engine, TASK)}


def show(rounds: Sequence[Round], *, seed: int) -> Table:
    """A row a round."""
    columns = (
        "domains|intents|requests|answered|releases|in force|share|agreement|95 %|escalated|$|teacher only|trained, s|s"
    )
    table = Table(*columns.split("|"), title=f"seed {seed}, {Counter(r.in_force for r in rounds)}")
    for r in rounds:
        agreed = f"{r.agreement:.1%}" if r.agreement is not None else ""
        interval = f"{r.interval[0]:.1%} - {r.interval[1]:.1%}" if r.interval else ""
        table.add_row(
            ", ".join(r.domains),
            str(r.intents),
            str(r.requests),
            f"{r.answered:.1%}",
            ", ".join(r.releases),
            r.in_force or "none",
            f"{r.share:.1%}",
            agreed,
            interval,
            f"{1 - r.share:.1%}",
            f"{r.spent_usd:.4f}",
            f"{r.teacher_only_usd:.4f}" if r.teacher_only_usd is not None else "",
            f"{r.trained_s:.0f}",
            f"{r.seconds:.0f}",
        )
    return table


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.domains")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--easy-weight", type=float, default=1.0, help="as distill.easy_weight: 4 replays easy traffic")
    parser.add_argument("--unfamiliar-share", type=float, default=0.05, help="as distill.unfamiliar_share; 0: no guard")
    parser.add_argument("--requests", type=int, help="in every round, whatever is in force")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.requests is not None and options.requests < REQUESTS:
        parser.error(f"--requests: a round has {REQUESTS} at least, half of them before its second domain joins")
    home, console = Home.from_environment(), Console(width=220)
    ensure_vllm(home, say=console.print)
    ensure_demo_model(home, say=console.print)
    work = Path(tempfile.mkdtemp(prefix="domains-"))
    messages = Messages(options.folder, seed=options.seed)
    with (work / "clinc.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *messages.pairs])
    distill = {**DISTILL, "seed": options.seed, "easy_weight": options.easy_weight}
    distill["unfamiliar_share"] = options.unfamiliar_share
    product = Product(work, home, work / "clinc.csv", task=TASK_SETTINGS, distill=distill)

    def done(rounds: list[Round]) -> None:
        console.print(show(rounds, seed=options.seed))
        if options.out:
            options.out.write_text(json.dumps([asdict(found) for found in rounds], indent=1))

    with product.up():
        asyncio.run(play(product, messages, count=options.rounds, each=options.requests, done=done))


if __name__ == "__main__":
    main()
