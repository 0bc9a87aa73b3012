"""The demo as one picture: who answers, and what it costs, around every release."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from operator import itemgetter
from pathlib import Path

import matplotlib
import sqlalchemy as sa

matplotlib.use("Agg")  # no display needed

from matplotlib import pyplot as plt

from ledger.queries import cost_timeline
from tutelage.demo.outcome import DemoOutcome, Phase

ROLLING = 50  # requests
Timeline = list[tuple[float, str, float]]  # time, route, US dollars
Mark = tuple[int, str, dict[str, str]]  # request number, words, how its line looks
MARGIN = 200  # requests that are shown before a release is in force and after it is closed: the rest is the teacher's


def draw(engine: sa.Engine, task: str, outcome: DemoOutcome, *, out: Path) -> None:
    """A column a release: the student's share, and dollars against teacher-only, by request number."""
    timeline = cost_timeline(engine, task)
    shares = _rolling([float(route == "student") for _, route, _ in timeline])
    dollars = _rolling([1e3 * usd for _, _, usd in timeline])
    spans = list(_spans(outcome, timeline))
    alone = dollars[spans[0][0]] if dollars else 0.0  # before the first release the teacher answers everything
    figure, axes = plt.subplots(
        2, len(spans), figsize=(5.5 * len(spans), 6.5), sharey="row", squeeze=False, layout="constrained"
    )
    for (begin, end, marks, phase), above, below in zip(spans, *axes, strict=True):
        requests = range(begin + 1, end + 1)
        above.plot(requests, shares[begin:end], color="tab:green")
        above.set(title=_title(phase), ylim=(0, 1))
        below.plot(requests, dollars[begin:end], color="tab:blue", label="with Tutelage")
        below.axhline(alone, color="tab:gray", ls="--", label="teacher only")
        below.set(xlabel="requests", ylim=(0, None))
        for axis in (above, below):
            for number, words, look in marks:
                axis.axvline(number, **look, lw=1, label=words if axis is above else None)
            axis.grid(alpha=0.3)
            axis.legend(loc="lower left")
    axes[0][0].set_ylabel(f"student's share (last {ROLLING} requests)")
    axes[1][0].set_ylabel(f"US dollars per 1,000 requests (last {ROLLING})")
    figure.savefig(out, dpi=120)
    plt.close(figure)


def _spans(outcome: DemoOutcome, timeline: Timeline) -> Iterator[tuple[int, int, list[Mark], Phase]]:
    """(first request, last one, what happened between them, phase) of every release."""
    for phase in outcome.phases:
        marks = [(_number(timeline, phase.in_force_at), "in force", {"color": "tab:red"})]
        end = len(timeline)
        if outcome.drift and phase is outcome.before:
            marks.append(
                (_number(timeline, outcome.drift.began_at), "the traffic drifts", {"color": "black", "ls": ":"})
            )
            marks.append((_number(timeline, outcome.drift.closed_at), "closed by the alarm", {"color": "black"}))
            end = min(end, marks[-1][0] + MARGIN)
        yield max(0, marks[0][0] - MARGIN), end, marks, phase


def _number(timeline: Timeline, at: float) -> int:
    return bisect_left(timeline, at, key=itemgetter(0))


def _title(phase: Phase) -> str:
    return (
        f"{phase.release}: {phase.share:.0%} of {phase.requests} requests,\n"
        f"{phase.agreement:.1%} of its answers as the teacher's"
    )


def _rolling(values: list[float]) -> list[float]:
    sums = [0.0, *accumulate(values)]
    return [(sums[i] - sums[max(0, i - ROLLING)]) / min(i, ROLLING) for i in range(1, len(sums))]
