"""Is it worth labelling more of the unsure answers? Against as many labels drawn alike (docs/decisions/0011).

    python -m bench.audits

Scores lie between a threshold of 0.7 and 1. Labels are drawn at a rate of 5 % of the surest answers and of 15 % of the
least sure, or of all answers at the rate that gives as many. Intervals: half-width of the live agreement. Alarms:
median answers from a rise of the risk until it sounds; its errors come anywhere, or where the student is unsure.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from rich.progress import track

from calibration.live import MOST_DOUBT, boundary
from calibration.monitor import ETAS

THRESHOLD, LEAST, MOST = 0.7, 0.05, 0.15
WIDEST = 1.0 - THRESHOLD
ALPHA, BOUND, BEFORE, SETTLED, LONGEST = 0.05, 5000.0, 0.03, 4000, 60_000
SURE = {"evenly": (1.0, 1.0), "mostly sure": (3.0, 1.0)}  # beta distributions of scores above the threshold


@dataclass(frozen=True)
class Rates:
    """Of labels, of the surest and of the least sure answers."""

    least: float
    most: float

    def of(self, score: np.ndarray) -> np.ndarray:
        """Of each answer, as its doubt grows."""
        return self.least + (self.most - self.least) * (1.0 - score) / WIDEST


def half_width(rates: Rates, *, answers: int, shape: tuple[float, float], runs: int = 40) -> float:
    """Of the interval after so many answers; the calibrator is right."""
    rng, found = np.random.default_rng(0), list[float]()
    reach = 1.0 / rates.least + WIDEST * (1.0 / rates.least - 1.0)
    for _ in range(runs):
        score = THRESHOLD + WIDEST * rng.beta(*shape, answers)
        doubt, rate = np.minimum(1.0 - score, MOST_DOUBT), rates.of(score)
        wrong, drawn = rng.random(answers) < 0.3 * doubt, rng.random(answers) < rate
        variance = float(((drawn * (wrong - doubt) / rate) ** 2).sum())
        found.append(boundary(variance, scale=reach, level=0.025) / answers)
    return float(np.mean(found))


def delay(rates: Rates, *, shape: tuple[float, float], risk: float, where_unsure: bool, runs: int = 300) -> float:
    """Median answers until the alarm; the higher its rate, the less a label counts, so that the mean is of all."""
    rng, etas = np.random.default_rng(1), np.array(ETAS)[:, None]
    sums, sounded = np.zeros((len(ETAS), runs)), np.full(runs, np.inf)
    mean_doubt = shape[1] / sum(shape)
    for number in range(-SETTLED, LONGEST):
        score = THRESHOLD + WIDEST * rng.beta(*shape, runs)
        rate, near = rates.of(score), (1.0 - score) / WIDEST
        wrong = rng.random(runs) < (risk if number >= 0 else BEFORE) * (near / mean_doubt if where_unsure else 1.0)
        bets = 1.0 + etas / ALPHA * rates.least / rate * (wrong - ALPHA)
        sums = np.where(rng.random(runs) < rate, (sums + 1.0) * bets, sums)
        sounded[(sums.mean(axis=0) >= BOUND) & (number >= 0) & np.isinf(sounded)] = number
        if np.isfinite(sounded).sum() > 0.6 * runs:
            break
    return float(np.median(sounded))


def main() -> None:
    """Print the tables."""
    lines = ["| scores | answers | by score | alike | at the least rate |", "|---|---|---|---|---|"]
    for (words, shape), answers in product(SURE.items(), (3000, 10_000, 30_000, 100_000)):
        widths = [half_width(rates, answers=answers, shape=shape) for rates in _compared(shape)]
        lines.append(f"| {words} | {answers} | {' | '.join(f'{width:.4f}' for width in widths)} |")
    lines += ["", "| scores | errors | risk | by score | alike | at the least rate |", "|---|---|---|---|---|---|"]
    cases = list(product(SURE.items(), (False, True), (0.10, 0.25)))
    for (words, shape), where_unsure, risk in track(cases, description="alarms"):
        found = [delay(rates, shape=shape, risk=risk, where_unsure=where_unsure) for rates in _compared(shape)]
        where = "where unsure" if where_unsure else "anywhere"
        lines.append(f"| {words} | {where} | {risk:.0%} | {' | '.join(f'{answers:.0f}' for answers in found)} |")
    print("\n".join(lines))


def _compared(shape: tuple[float, float]) -> tuple[Rates, Rates, Rates]:
    """By score, as many labels of all answers alike, and no more than the least rate."""
    alike = LEAST + (MOST - LEAST) * shape[1] / sum(shape)
    return Rates(LEAST, MOST), Rates(alike, alike), Rates(LEAST, LEAST)


if __name__ == "__main__":
    main()
