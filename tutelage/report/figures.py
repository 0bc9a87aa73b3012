"""The figures of the page. Each draws on an axis of its own; none reads anything but `Facts`."""

import io
from collections.abc import Callable, Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from calibration.certificate import Certificate
from calibration.curves import cost_quality, reliability, risk_coverage
from calibration.words import percent
from tutelage.report.facts import Facts

SIZE = (6.4, 4.2)
BLUE, RED, GREEN, GRAY = "tab:blue", "tab:red", "tab:green", "tab:gray"
Draw = Callable[[Figure, Facts], None]
LOUDEST = 1.5  # of the alarm's bound, drawn


def figures(facts: Facts) -> Iterator[tuple[str, str, Figure]]:
    """(name, caption, figure) of everything there is to draw."""
    for name, caption, draw, there in (
        ("reliability", RELIABILITY, _reliability, bool(facts.window)),
        ("risk-coverage", RISK_COVERAGE, _risk_coverage, bool(facts.window)),
        ("cost-quality", COST_QUALITY, _cost_quality, bool(facts.window) and facts.price.teacher_usd > 0),
        ("references", REFERENCES, _references, bool(facts.timeline)),
    ):
        if there:
            figure = Figure(figsize=SIZE, layout="constrained")
            draw(figure, facts)
            yield name, caption, figure


def svg(figure: Figure) -> str:
    """Inline markup, without the XML head, the same for the same facts."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


RELIABILITY = (
    "Rows of the certification window in ten bins by score, near-duplicates among them, with 95 % intervals as of "
    "distinct rows. On the diagonal a score is the probability to agree. The certificate needs no more of a score than "
    "that it ranks."
)
RISK_COVERAGE = (
    "What each threshold accepts of the window, and how much of that disagrees, with 95 % intervals of one look. The "
    "test goes down a grid fixed beforehand and stops where it fails; the point is where the release is operated."
)
COST_QUALITY = (
    "Every threshold as dollars and as agreement of all answers, the teacher's own counted as agreeing. Drafts, "
    "escalations and references cost; training is not in it."
)
REFERENCES = (
    "The agreement of all answers of the student, by its references, with an interval that holds at all times at once "
    "with 95 % confidence; below it, how much of its bound the alarm has reached. It sounds at 1 and closes the task."
)


def _reliability(figure: Figure, facts: Facts) -> None:
    axis = figure.subplots()
    bins = reliability(facts.window)
    scores, shares = [each.score for each in bins], [each.agreement for each in bins]
    errors = [[each.agreement - each.low for each in bins], [each.high - each.agreement for each in bins]]
    least = min([0.9, *scores, *(each.low for each in bins)])
    axis.plot([least, 1], [least, 1], color=GRAY, ls="--", lw=1, label="as the score says")
    axis.errorbar(scores, shares, yerr=errors, color=BLUE, marker="o", capsize=3)
    if facts.certificate.threshold >= least:
        axis.axvline(facts.certificate.threshold, color=RED, lw=1, label="threshold")
    axis.set(title="Reliability", xlabel="score", ylabel="share that agrees with the teacher")
    _finish(axis)


def _risk_coverage(figure: Figure, facts: Facts) -> None:
    axis = figure.subplots()
    points, held = risk_coverage(facts.window), facts.certificate
    coverage = [point.coverage for point in points]
    axis.fill_between(coverage, [p.low for p in points], [p.high for p in points], color=BLUE, alpha=0.15, lw=0)
    axis.plot(coverage, [point.risk for point in points], color=BLUE)
    axis.axhline(held.tested_at, color=RED, ls="--", lw=1, label=_contract(held))
    axis.plot([held.coverage], [held.errors / held.accepted], "o", color=RED, label="operated here")
    axis.set(title="Risk and coverage", xlabel="share that the student answers", ylabel="share of it that disagrees")
    axis.set_ylim(0, max(2 * held.tested_at, *(point.risk for point in points)))
    _finish(axis)


def _cost_quality(figure: Figure, facts: Facts) -> None:
    axis = figure.subplots()
    points = risk_coverage(facts.window)
    pairs = [(1e3 * usd, quality) for usd, quality in cost_quality(points, facts.price)]
    axis.plot(*zip(*pairs, strict=True), color=GREEN)
    operated = min(range(len(points)), key=lambda i: abs(points[i].threshold - facts.certificate.threshold))
    axis.plot(*([value] for value in pairs[operated]), "o", color=RED, label="operated here")
    axis.plot([1e3 * facts.price.teacher_usd], [1.0], "s", color=GRAY, label="teacher only")
    axis.set(title="Cost and quality", xlabel="US dollars per 1,000 requests", ylabel="agreement of all answers")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    axis.set_xlim(left=0)
    axis.grid(alpha=0.3)
    axis.legend(loc="lower right")


def _references(figure: Figure, facts: Facts) -> None:
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    answers, last = [moment.answers for moment in facts.timeline], facts.timeline[-1]
    low, high = [m.low for m in facts.timeline], [m.high for m in facts.timeline]
    above.fill_between(answers, low, high, color=BLUE, alpha=0.15, lw=0)
    above.plot(answers, [m.agreement for m in facts.timeline], color=BLUE)
    above.axhline(1 - facts.certificate.tested_at, color=RED, ls="--", lw=1, label=_contract(facts.certificate))
    above.set(title="References since it is in force", ylabel="agreement", ylim=(max(0.0, last.low - 0.1), 1.005))
    _finish(above)
    below.plot(answers, [min(m.alarm, LOUDEST) for m in facts.timeline], color=RED)
    below.axhline(1.0, color=GRAY, ls="--", lw=1)
    below.set(ylabel="alarm", ylim=(0, LOUDEST), xlabel="answers of the student")
    below.grid(alpha=0.3)


def _contract(held: Certificate) -> str:
    """The line that the contract draws; where a judge counts, by its count."""
    return (
        f"contract: {percent(held.alpha)}"
        if held.level is None
        else f"as judged: {percent(held.level)} ({percent(held.alpha)})"
    )


def _finish(axis: Axes) -> None:
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    axis.grid(alpha=0.3)
    axis.legend(loc="best")
