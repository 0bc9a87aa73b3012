"""The page: one HTML file that needs nothing else, and the figures beside it."""

from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from calibration.monitor import delay
from calibration.question import Judge
from calibration.words import percent
from router.settings import ConfigError
from tutelage.report.facts import Facts
from tutelage.report.figures import figures, svg
from tutelage.standing import bound_in_words

MEASURES = {
    "exact": "the texts are equal after normalisation of case, white space and quotes",
    "number": "the last number in each is the same",
    "json": "the same fields have the same values",
}


def write(facts: Facts, folder: Path) -> Path:
    """Writes index.html and every figure as PNG and SVG into the folder; returns the page's path.

    Raises ConfigError where it cannot be written.
    """
    try:
        return _write(facts, folder)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}): name another folder with --out") from error


def _write(facts: Facts, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, caption, figure in figures(facts):
        figure.savefig(folder / f"{name}.png", dpi=140)
        markup = svg(figure)
        (folder / f"{name}.svg").write_text(markup)
        drawn.append({"name": name, "caption": caption, "svg": Markup(markup)})
    page = folder / "index.html"
    page.write_text(template("page.html.j2").render(facts=facts, wording=wording(facts), figures=drawn, date=_date))
    return page


def wording(facts: Facts) -> list[str]:
    """What the certificate says, and what it does not: a paragraph each."""
    held, begun, ended = facts.certificate, *facts.certificate.window
    risk = min(0.99, 2 * held.tested_at)
    answers = delay(alpha=held.tested_at, bound=facts.alarm_bound, risk=risk) / facts.rho
    differing = "the disagreement" if held.level is None else "what the judge calls different"
    return [
        f"On traffic from {_date(begun)} to {_date(ended)} (eligible requests as they arrived, the teacher "
        f"{facts.teacher}, two answers agreeing where {_agreeing(facts)}) {facts.release.name} passed a test "
        f"that at most {percent(held.delta_spent)} of releases whose true disagreement on student-answered traffic "
        f"exceeds {percent(held.alpha)} would pass.",
        f"It was operated there at a score of {held.threshold:.4f} and above: it accepted {held.accepted} of {held.n} "
        f"references, of which {held.errors} {'disagreed' if held.level is None else 'were called different'}.",
        *_judged(facts),
        "This is an average over that traffic: not each answer, slice or user, not correctness, not later traffic.",
        f"Later traffic is watched by references, {percent(facts.rho)} of all requests. While {differing} stays at "
        f"most {percent(held.tested_at)}, a false alarm within m of them has a probability of at most m / B. "
        f"{bound_in_words(facts.alarm_bound, pace=facts.pace)}.",
        f"If it rises to {percent(risk)} at once, the median delay is some {answers:.0f} student-answered requests, "
        f"{answers * (risk - held.tested_at):.0f} of them wrong beyond what the contract allows. On alarm everything "
        "goes to the teacher.",
        f"It expires on {_date(held.expires_at)}.",
    ]


def _agreeing(facts: Facts) -> str:
    """When two answers agree, as the sentence goes on behind "where"."""
    if isinstance(facts.measure, Judge):
        return "people would say that they say the same"
    return MEASURES[facts.measure]


def _judged(facts: Facts) -> list[str]:
    """Who has compared the answers, where that was a judge, and how far its word goes."""
    if not isinstance(facts.measure, Judge):
        return []
    return [
        f"The agreement was judged by {facts.measure.model}, asked about each pair of answers both ways round, and "
        f"checked against {facts.judge_labels} labelled pairs. As it errs, the test was made against a share of "
        f"{percent(facts.certificate.tested_at)} that it calls different. That it errs on these answers as it does on "
        "the labelled pairs is assumed."
    ]


def template(name: str) -> Template:
    """One of the pages' templates; what is put into it is escaped."""
    environment = Environment(loader=PackageLoader("tutelage.report"), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(name)


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
