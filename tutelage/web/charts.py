"""Charts as SVG, once in light and once in dark: a page shows what its reader prefers."""

import math
from collections.abc import Sequence
from itertools import accumulate

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ledger.live import Live
from ledger.savings import Savings
from tutelage.report.figures import svg
from tutelage.web.found import Round

WIDE = (7.2, 2.9)
LIGHT = {
    "text": "#1c2733",
    "grid": "#d5dce3",
    "gray": "#8795a3",
    "good": "#0b7a4b",
    "line": "#1f5fa8",
    "bad": "#b3372f",
}
DARK = {"text": "#dbe4ec", "grid": "#37444f", "gray": "#8b9aa8", "good": "#4cc38a", "line": "#6fa8e8", "bad": "#ef7d74"}
Colours = dict[str, str]


def savings(days: Sequence[tuple[str, Savings]], *, dark: bool) -> str:
    """Dollars of the teacher alone and dollars spent, added up over the days from nothing: one day shows, too."""
    figure, axis, colours = _canvas(dark)
    names = ["", *(day[5:] for day, _ in days)]
    baseline = list(accumulate((found.baseline_usd for _, found in days), initial=0.0))
    spent = list(accumulate((found.spent_usd for _, found in days), initial=0.0))
    axis.plot(names, baseline, color=colours["gray"], marker="o", ms=3, label="teacher alone")
    axis.plot(names, spent, color=colours["good"], marker="o", ms=3, label="spent")
    for colour, sign in (("good", 1.0), ("bad", -1.0)):  # what is saved, what is lost
        gained = [sign * (alone - paid) >= 0.0 for alone, paid in zip(baseline, spent, strict=True)]
        axis.fill_between(
            names, spent, baseline, where=gained, interpolate=True, color=colours[colour], alpha=0.15, lw=0
        )
    axis.set_ylabel("US dollars")
    axis.set_ylim(bottom=0)
    axis.set_xticks(range(1, len(names), max(1, math.ceil(len(days) / 8))))
    return _drawn(figure, axis, colours)


def escalation(rounds: Sequence[Round], *, dark: bool) -> str:
    """Of each release the share of requests that it left to the teacher."""
    figure, axis, colours = _canvas(dark)
    names = [each.release.rpartition("--")[2] or "none yet" for each in rounds]
    shares = [each.escalated for each in rounds]
    bars = axis.bar(names, shares, color=colours["line"], width=0.6)
    axis.bar_label(bars, [f"{share:.0%}" for share in shares], color=colours["text"], padding=2)
    axis.set_ylim(0, 1.12)
    axis.set_yticks([0, 0.5, 1])
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    axis.set_ylabel("to the teacher")
    return _drawn(figure, axis, colours)


def agreement(found: Sequence[tuple[str, Live, float]], *, dark: bool) -> str:
    """Of each release its agreement with an interval, and what its contract asks for."""
    figure, axis, colours = _canvas(dark)
    for place, (_, live, alpha) in enumerate(found):
        axis.plot([place, place], [live.low, live.high], color=colours["line"], lw=5, alpha=0.35, solid_capstyle="butt")
        axis.plot([place], [live.agreement], "o", color=colours["line"])
        axis.plot([place - 0.3, place + 0.3], [1 - alpha, 1 - alpha], color=colours["bad"], lw=1.5)
    axis.set_xticks(range(len(found)), [name.rpartition("--")[2] for name, _, _ in found])
    axis.set_xlim(-0.6, len(found) - 0.4)
    least = min((min(live.low, 1 - alpha) for _, live, alpha in found), default=0.8)
    axis.set_ylim(max(0.0, least - 0.05), 1.01)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.set_ylabel("agreement")
    return _drawn(figure, axis, colours)


def _canvas(dark: bool) -> tuple[Figure, Axes, Colours]:
    figure = Figure(figsize=WIDE, layout="constrained")
    figure.patch.set_alpha(0.0)
    axis = figure.subplots()
    axis.patch.set_alpha(0.0)
    return figure, axis, DARK if dark else LIGHT


def _drawn(figure: Figure, axis: Axes, colours: Colours) -> str:
    axis.grid(axis="y", color=colours["grid"], lw=0.6)
    axis.set_axisbelow(True)
    for side, spine in axis.spines.items():
        spine.set_visible(side in ("bottom", "left"))
        spine.set_color(colours["grid"])
    axis.tick_params(colors=colours["text"], labelsize=9)
    axis.yaxis.label.set_color(colours["text"])
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="upper left", frameon=False, labelcolor=colours["text"], fontsize=9)
    with rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        return svg(figure)
