"""The figures of a replay's page. Each draws on an axis of its own; none reads anything but `Replay`."""

from collections.abc import Iterator
from textwrap import fill

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from calibration.certificate import Certificate
from calibration.curves import risk_coverage
from calibration.study import Study
from calibration.words import percent
from ledger.prices import dollars
from tutelage.replay.facts import Replay
from tutelage.replay.words import why_not

WIDTH, ROW = 6.4, 0.45  # inches
BLUE, RED, GREEN, GRAY = "tab:blue", "tab:red", "tab:green", "tab:gray"
WRAP = 60  # characters of a reason in a line

SHARE = (
    "The share of all requests of the task that the student would answer under each contract, or why there is no "
    "certificate. Each bar holds for whoever had chosen its contract beforehand."
)
RISK_COVERAGE = (
    "What each threshold accepts of the tested rows, and how much of that disagrees with the log, with 95 % intervals "
    "of one look; near-duplicates are all in it. The points are where the contracts' certificates are operated."
)
COST = (
    "Every way of answering a million requests of this task, training left out. Whether a cheaper model agrees with "
    "the teacher is not known; batches take up to a day."
)


def figures(facts: Replay) -> Iterator[tuple[str, str, Figure]]:
    """(name, caption, figure) of everything there is to draw."""
    study = facts.judged.study if facts.judged else None
    if study is not None:
        yield "share", SHARE, _share(study, draftable=facts.draftable)
        if any(row.score >= 0 for row in study.tested):
            yield "risk-coverage", RISK_COVERAGE, _risk_coverage(study)
    yield "cost", COST, _cost(facts)


def _bars(count: int) -> Figure:
    return Figure(figsize=(WIDTH, 1.2 + ROW * count), layout="constrained")


def _share(study: Study, *, draftable: float) -> Figure:
    figure = _bars(len(study.outcomes))
    axis = figure.subplots()
    for place, (_, outcome) in enumerate(study.outcomes):
        if isinstance(outcome, Certificate):
            taken = draftable * outcome.coverage
            axis.barh(place, taken, color=BLUE)
            axis.text(taken, place, f" {taken:.0%}", va="center")
        else:
            axis.text(0.01, place, _plain(fill(why_not(outcome), WRAP)), va="center", fontsize="x-small", color=RED)
    axis.set_yticks(range(len(study.outcomes)), [percent(contract.alpha) for contract, _ in study.outcomes])
    axis.set(title="What a student would take", xlabel="share of all requests", ylabel="at most this share differs")
    axis.set(xlim=(0, 1.08), ylim=(-0.6, len(study.outcomes) - 0.4))
    axis.xaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def _risk_coverage(study: Study) -> Figure:
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axis = figure.subplots()
    points = risk_coverage(study.tested)
    coverage = [point.coverage for point in points]
    axis.fill_between(coverage, [p.low for p in points], [p.high for p in points], color=BLUE, alpha=0.15, lw=0)
    axis.plot(coverage, [point.risk for point in points], color=BLUE)
    for contract, outcome in study.outcomes:
        if isinstance(outcome, Certificate):
            axis.plot([outcome.coverage], [outcome.errors / outcome.accepted], "o", color=RED)
            axis.annotate(f" {percent(contract.alpha)}", (outcome.coverage, outcome.errors / outcome.accepted))
    axis.set(title="Risk and coverage", xlabel="share that the student answers", ylabel="share of it that disagrees")
    axis.set_ylim(bottom=0)
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_formatter(PercentFormatter(1.0))
    axis.grid(alpha=0.3)
    return figure


def _cost(facts: Replay) -> Figure:
    ways = facts.ways
    figure = _bars(len(ways))
    axis = figure.subplots()
    colours = [GREEN if way.taken is not None else GRAY for way in ways]
    axis.barh(range(len(ways)), [way.usd_a_million for way in ways], color=colours)
    for place, way in enumerate(ways):
        axis.text(way.usd_a_million, place, _plain(f" {dollars(way.usd_a_million)}"), va="center")
    axis.set_yticks(range(len(ways)), [_plain(way.name) for way in ways])
    axis.invert_yaxis()
    axis.margins(x=0.15)
    axis.set(title="What it would cost", xlabel="US dollars a million requests")
    return figure


def _plain(text: str) -> str:
    """Not read as a formula."""
    return text.replace("$", r"\$")
