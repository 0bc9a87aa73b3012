"""A replay's page: one HTML file that needs nothing else."""

from pathlib import Path

from markupsafe import Markup

from tutelage.replay import words
from tutelage.replay.facts import Replay
from tutelage.replay.figures import figures
from tutelage.replay.narrowness import THRESHOLDS
from tutelage.report.figures import svg
from tutelage.report.page import template

PAGE = "replay.html"


def write(facts: Replay, folder: Path) -> Path:
    """Writes the page into the folder, which is made where it is missing; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [{"name": name, "caption": caption, "svg": Markup(svg(figure))} for name, caption, figure in figures(facts)]
    page = folder / PAGE
    page.write_text(
        template("replay.html.j2").render(
            facts=facts,
            words=words,
            figures=drawn,
            tasks=[words.row_of_task(seen) for seen in facts.seen],
            narrow=[words.row_of_narrowness(seen) for seen in facts.seen],
            thresholds=THRESHOLDS,
        )
    )
    return page
