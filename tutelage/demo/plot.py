"""The demo as one picture: who answers, and what it costs."""

from itertools import accumulate
from pathlib import Path

import matplotlib
import sqlalchemy as sa

matplotlib.use("Agg")  # no display needed

from matplotlib import pyplot as plt

from ledger.queries import cost_timeline
from tutelage.demo.outcome import DemoOutcome

ROLLING = 50  # requests


def draw(engine: sa.Engine, task: str, outcome: DemoOutcome, *, out: Path) -> None:
    """Student share over the last 50 requests, and dollars spent against teacher-only, by request number."""
    timeline = cost_timeline(engine, task)
    routes = [float(route == "student") for _, route, _ in timeline]
    switched = routes.index(1.0) if 1.0 in routes else len(routes)
    # Before the switch the teacher answers everything, so its mean price there is the teacher-only line after it.
    teacher_usd = sum(usd for _, _, usd in timeline[:switched]) / max(1, switched)
    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 6.5), sharex=True, layout="constrained")
    above.plot(range(1, len(routes) + 1), _rolling(routes), color="tab:green")
    above.set(ylabel=f"student's share\n(last {ROLLING} requests)", ylim=(0, 1))
    below.plot([0, len(timeline)], [0, teacher_usd * len(timeline)], color="tab:gray", ls="--", label="teacher only")
    below.plot(list(accumulate(usd for _, _, usd in timeline)), color="tab:blue", label="with Tutelage")
    below.set(xlabel="requests", ylabel="US dollars spent")
    for axis in (above, below):
        axis.axvline(switched, color="tab:red", lw=1, label=f"{outcome.release} in force")
        axis.grid(alpha=0.3)
        axis.legend(loc="upper left")
    figure.suptitle(
        f"{outcome.share:.0%} of the last {outcome.requests} requests answered by the student, "
        f"{outcome.agreement:.1%} of them as the teacher would"
    )
    figure.savefig(out, dpi=120)
    plt.close(figure)


def _rolling(values: list[float]) -> list[float]:
    sums = [0.0, *accumulate(values)]
    return [(sums[i] - sums[max(0, i - ROLLING)]) / min(i, ROLLING) for i in range(1, len(sums))]
