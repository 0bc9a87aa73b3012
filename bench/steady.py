"""Steady load for an hour: does any process of the product grow in memory or in open files?

    python -m bench.steady [--minutes 60] [--out steady.png]

`tutelage up`, real vLLM and a real LoRA on an easy task. The clock starts when the worker's
first student serves; no further release is made. Some clients ask what the student may answer, others sample, which
is the teacher's; every second client streams. Medians over the first and the last sixth of the time are compared.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import matplotlib
import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

matplotlib.use("Agg")  # no display needed

from matplotlib import pyplot as plt

from bench.load import Answer, Load
from bench.product import Product, easy_product
from tutelage.provision import Home, ensure_demo_model, ensure_vllm

CLIENTS, PAUSE_S = 2, 0.8  # some two requests a second for the student
SAMPLING, SAMPLING_PAUSE_S = 2, 0.4  # and some five for the teacher
SAMPLE_S = 15.0
PROCESSES = ("gateway", "teacher", "ingester", "student", "engine", "model", "worker")


@dataclass(frozen=True)
class Sample:
    """One process at one time, in seconds of a steady clock: its id, resident memory in MiB, open files and sockets."""

    at: float
    pid: int
    rss: float
    files: int


def sample(product: Product) -> dict[str, Sample] | None:
    """All processes now; None where the supervisor is busy or one does not run."""
    found = {}
    for name in PROCESSES:
        if (pid := product.pid(name)) is None:
            return None
        process = psutil.Process(pid)
        found[name] = Sample(time.monotonic(), pid, process.memory_info().rss / 2**20, process.num_fds())
    return found


def show(samples: Sequence[dict[str, Sample]], answers: Sequence[Answer], *, minutes: float) -> Table:
    """First against last sixth."""
    sixth = max(1, len(samples) // 6)
    routes = Counter(answer.route for answer in answers)
    failed = sum(answer.status != 200 for answer in answers)
    title = f"{len(answers)} requests in {minutes:.0f} minutes ({dict(routes)}), {failed} failed"
    table = Table("process", "MiB, first sixth", "MiB, last", "open files, first", "last", "started again", title=title)
    for name in PROCESSES:
        ends = (samples[:sixth], samples[-sixth:])
        memory = [f"{median(each[name].rss for each in part):.1f}" for part in ends]
        files = [f"{median(each[name].files for each in part):.0f}" for part in ends]
        table.add_row(name, *memory, *files, str(len({each[name].pid for each in samples}) - 1))
    return table


def draw(samples: Sequence[dict[str, Sample]], *, out: Path) -> None:
    """Memory of every process relative to its beginning."""
    figure, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
    for name in PROCESSES:
        of_it, first = [each[name] for each in samples], samples[0][name]
        axis.plot([(each.at - first.at) / 60 for each in of_it], [each.rss / first.rss for each in of_it], label=name)
    axis.set(xlabel="minutes", ylabel="resident memory / at the beginning")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(out, dpi=120)


def main() -> None:
    """Run it, print the table, write the picture."""
    parser = argparse.ArgumentParser(prog="python -m bench.steady")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=Path("steady.png"))
    options = parser.parse_args()
    home, console = Home.from_environment(), Console()
    ensure_vllm(home, say=console.print)
    ensure_demo_model(home, say=console.print)
    product, found = easy_product(Path(tempfile.mkdtemp(prefix="steady-")), home, releases=1)
    with product.up():
        texts = iter(found)
        with (
            console.status("until a student serves"),
            Load(product.chat_url, texts, clients=CLIENTS, pause_s=PAUSE_S / 8),
        ):
            while product.stage() != "serving":
                time.sleep(1.0)
        samples = []
        sampling = Load(product.chat_url, iter(found), clients=SAMPLING, pause_s=SAMPLING_PAUSE_S, temperature=1.0)
        with sampling, Load(product.chat_url, texts, clients=CLIENTS, pause_s=PAUSE_S) as load:
            for _ in track(range(round(options.minutes * 60 / SAMPLE_S)), description="steady load"):
                samples += filter(None, [sample(product)])
                time.sleep(SAMPLE_S)
    console.print(show(samples, [*load.answers, *sampling.answers], minutes=options.minutes))
    draw(samples, out=options.out)


if __name__ == "__main__":
    main()
