"""The demo as one picture: who answers, and what it costs."""

from bisect import bisect_left
from itertools import accumulate
from operator import itemgetter
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
    timeline, marks = cost_timeline(engine, task), _marks(outcome)
    routes = [float(route == "student") for _, route, _ in timeline]
    alone = [usd for at, _, usd in timeline if at < marks[0][0]]
    teacher_usd = sum(alone) / max(1, len(alone))  # before the switch the teacher answers everything
    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 6.5), sharex=True, layout="constrained")
    above.plot(range(1, len(routes) + 1), _rolling(routes), color="tab:green")
    above.set(ylabel=f"student's share\n(last {ROLLING} requests)", ylim=(0, 1))
    below.plot([0, len(timeline)], [0, teacher_usd * len(timeline)], color="tab:gray", ls="--", label="teacher only")
    below.plot(list(accumulate(usd for _, _, usd in timeline)), color="tab:blue", label="with Tutelage")
    below.set(xlabel="requests", ylabel="US dollars spent")
    for axis in (above, below):
        for at, words, colour in marks:
            axis.axvline(bisect_left(timeline, at, key=itemgetter(0)), color=colour, lw=1, label=words)
        axis.grid(alpha=0.3)
        axis.legend(loc="upper left")
    figure.suptitle(
        "; ".join(
            f"{phase.release.rpartition('--')[2]}: {phase.share:.0%} of {phase.requests} requests by the student, "
            f"{phase.agreement:.1%} of them as the teacher would"
            for phase in outcome.phases
        )
    )
    figure.savefig(out, dpi=120)
    plt.close(figure)


def _marks(outcome: DemoOutcome) -> list[tuple[float, str, str]]:
    """(time, words, colour) of every promotion and of the alarm, in order."""
    marks = [(phase.in_force_at, f"{phase.release} in force", "tab:red") for phase in outcome.phases]
    if outcome.drift:
        marks.insert(1, (outcome.drift.closed_at, "closed by the alarm", "black"))
    return marks


def _rolling(values: list[float]) -> list[float]:
    sums = [0.0, *accumulate(values)]
    return [(sums[i] - sums[max(0, i - ROLLING)]) / min(i, ROLLING) for i in range(1, len(sums))]
