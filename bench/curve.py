"""What students of ever more rows came to, as a picture.

    python -m bench.curve docs/distillation.csv docs/distillation.png

The file has a line for each lesson and number of rows, as `bench.distillation` prints them: means and standard errors
over the seeds, in percent; no error where there was one seed.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

TEACHER = 93.0  # of its answers are right
STYLES = {"agreement": ("o-", "agrees with the teacher"), "accuracy": ("s--", "is right")}


@dataclass(frozen=True)
class Point:
    """A lesson at a number of rows; shares and their standard errors in percent."""

    lesson: str
    rows: int
    agreement: float
    agreement_se: float
    accuracy: float
    accuracy_se: float


def read(path: Path) -> list[Point]:
    """As the file has them."""
    with path.open(newline="") as file:
        return [_point(line) for line in csv.DictReader(file)]


def _point(line: dict[str, str]) -> Point:
    shares = (float(line[name] or 0.0) for name in ("agreement", "agreement_se", "accuracy", "accuracy_se"))
    return Point(line["lesson"], int(line["rows"]), *shares)


def draw(points: Sequence[Point]) -> Figure:
    """The curve of `plain`, and what else was done with as many rows beside it."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    plain = sorted((each for each in points if each.lesson == "plain"), key=lambda each: each.rows)
    for name, (style, words) in STYLES.items():
        _errors(left, plain, name=name, style=style, label=words)
    left.axhline(TEACHER, color="grey", linewidth=1, linestyle=":", label="the teacher is right")
    left.set_title("By rows")
    for lesson in sorted({each.lesson for each in points}):
        mine = sorted((each for each in points if each.lesson == lesson), key=lambda each: each.rows)
        _errors(right, mine, name="agreement", style="o-", label=lesson)
    right.set_title("By what is done with them")
    for axes in (left, right):
        axes.set_xscale("log")
        ticks = sorted({each.rows for each in points})
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("rows")
        axes.set_ylabel("% of messages that nobody has sent")
        axes.set_ylim(0, 100)
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
    return figure


def _errors(axes: Axes, points: Sequence[Point], *, name: str, style: str, label: str) -> None:
    rows = [each.rows for each in points]
    values, errors = ([getattr(each, f"{name}{end}") for each in points] for end in ("", "_se"))
    axes.errorbar(rows, values, yerr=errors, fmt=style, capsize=3, label=label)


def main() -> None:
    """Read, draw and write."""
    parser = argparse.ArgumentParser(prog="python -m bench.curve")
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    draw(read(options.data)).savefig(options.out, dpi=120)


if __name__ == "__main__":
    main()
